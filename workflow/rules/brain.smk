# What the brain tells: analyses of training images, of the subjects that section brain lists.

from dataclasses import astuple

from nsdrecon.regions import volumes

# What the encoding model sees pictures with.
ENCODER, ENCODER_MODEL, ENCODER_SETTINGS = RUN.encoder
ENCODER_CODE = [source(ENCODER)] if RUN.encoding == STAGE1 else encoder_code(RUN.encoding)
MAPS = ["noise-ceiling"]
MAPS += [f"{kind}-{feature}" for kind in ("importance", "encoding") for feature in FEATURES]


rule maps:
    """Importance, encoding accuracy and noise ceiling of every voxel, as volumes and as a figure."""
    input:
        gram="<results>/{subject}/weights/gram.h5",
        betas="<results>/{subject}/betas/train.h5",
        ncsnr=lambda wildcards: DATA.ncsnr(wildcards.subject),
        latents=expand("<results>/{{subject}}/latents/{feature}/train.h5", feature=FEATURES),
        weights=expand("<results>/{{subject}}/weights/{feature}.h5", feature=FEATURES),
    output:
        **drawn("maps_{subject}", "maps", "Brain", figure="maps of voxels", subject="{subject}"),
        ceiling="<results>/{subject}/maps/noise-ceiling.nii.gz",
        importance=expand(
            "<results>/{{subject}}/maps/importance-{feature}.nii.gz", feature=FEATURES
        ),
        encoding=expand("<results>/{{subject}}/maps/encoding-{feature}.nii.gz", feature=FEATURES),
    log:
        "<logs>/maps/{subject}.log",
    benchmark:
        "<benchmarks>/maps/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        # bench_sizes: 4.5 GB with one penalty, .6 GB more for each other one.
        mem_mb=scaled(10000),
        runtime=scaled(120),
    params:
        code=code("maps"),
        how=untracked(settings("device", "regression.block")),
        source=DATA.source,
        features=FEATURES,
        inputs=lambda wildcards: DATA.ncsnr(wildcards.subject),
    script:
        "../scripts/maps.py"


rule surfaces:
    """The maps of a subject on the surfaces that the user has coordinates of."""
    input:
        maps=expand("<results>/{{subject}}/maps/{map}.nii.gz", map=MAPS),
        coordinates=lambda wildcards: list(RUN.surfaces(wildcards.subject).values()),
    output:
        expand(
            "<results>/{{subject}}/maps/{hemisphere}.{map}.func.gii",
            hemisphere=RUN.hemispheres,
            map=MAPS,
        ),
    log:
        "<logs>/surfaces/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("surfaces"),
        inputs=lambda wildcards: RUN.surfaces(wildcards.subject),
    script:
        "../scripts/surfaces.py"


rule regions:
    """Every feature space decoded from each region alone, and from all voxels but the region's."""
    input:
        gram="<results>/{subject}/weights/gram.h5",
        betas="<results>/{subject}/betas/train.h5",
        latents=expand("<results>/{{subject}}/latents/{feature}/train.h5", feature=FEATURES),
        volumes=lambda wildcards: list(DATA.region_volumes(wildcards.subject).values()),
    output:
        **drawn("regions_{subject}", "regions", "Brain", figure="regions", subject="{subject}"),
        table="<results>/{subject}/regions.tsv",
    log:
        "<logs>/regions/{subject}.log",
    benchmark:
        "<benchmarks>/regions/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        # bench_sizes: 4.7 GB.
        mem_mb=scaled(8000),
        runtime=scaled(120),
    params:
        code=code("regions"),
        cfg=settings("evaluation.bootstrap", "regression.alpha_grid", "seed"),
        how=untracked(settings("device", "regression.block")),
        source=DATA.source,
        features=FEATURES,
        inputs=lambda wildcards: DATA.region_volumes(wildcards.subject),
        regions=[astuple(region) for region in DATA.regions],
        volumes=volumes(DATA.regions),
    script:
        "../scripts/regions.py"


rule dimensions:
    """Every feature space decoded from the first few dimensions of the brain alone."""
    input:
        gram="<results>/{subject}/weights/gram.h5",
        latents=expand("<results>/{{subject}}/latents/{feature}/train.h5", feature=FEATURES),
    output:
        **drawn(
            "dimensions_{subject}", "dimensions", "Brain", figure="dimensions", subject="{subject}"
        ),
        table="<results>/{subject}/dimensions.tsv",
    log:
        "<logs>/dimensions/{subject}.log",
    benchmark:
        "<benchmarks>/dimensions/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        # bench_sizes: 5.5 GB.
        mem_mb=scaled(10000),
        runtime=scaled(120),
    params:
        code=code("dimensions"),
        cfg=settings("evaluation.bootstrap", "regression.alpha_grid", "seed"),
        how=untracked(settings("device", "regression.block")),
        features=FEATURES,
    script:
        "../scripts/dimensions.py"


rule encoding:
    """An encoding model: from features of an image to the response of every voxel."""
    input:
        gram="<results>/{subject}/weights/gram.h5",
        betas="<results>/{subject}/betas/train.h5",
        latents=f"<results>/{{subject}}/latents/{RUN.encoding}/train.h5",
    output:
        "<results>/{subject}/encoding.h5",
    log:
        "<logs>/encoding/{subject}.log",
    benchmark:
        "<benchmarks>/encoding/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        # bench_sizes: 3.5 GB.
        mem_mb=scaled(8000),
        runtime=scaled(60),
    params:
        code=code("encoding"),
        how=untracked(settings("device", "regression.block")),
        source=DATA.source,
        inputs=RUN.encoding,
    script:
        "../scripts/encoding.py"


rule correlation:
    """Responses predicted from the reconstructions against the measured ones, region by region."""
    input:
        encoding="<results>/{subject}/encoding.h5",
        latents=f"<results>/{{subject}}/latents/{RUN.encoding}/train.h5",
        betas="<results>/{subject}/betas/test.h5",
        train_betas="<results>/{subject}/betas/train.h5",
        ncsnr=lambda wildcards: DATA.ncsnr(wildcards.subject),
        volumes=lambda wildcards: list(DATA.region_volumes(wildcards.subject).values()),
        pictures=[
            "<results>/stimuli/test.h5",
            "<results>/{subject}/reconstructions/mean-image.h5",
            *expand("<results>/{{subject}}/reconstructions/{system}.h5", system=SYSTEMS),
        ],
        model=lambda wildcards: MODELS.files(ENCODER_MODEL),
        checked=f"<results>/data/models/{ENCODER_MODEL}.tsv",
    output:
        **drawn(
            "correlation_{subject}",
            "correlation",
            "Brain",
            figure="brain correlation",
            subject="{subject}",
        ),
        table="<results>/{subject}/correlation.tsv",
        accuracy="<results>/{subject}/encoding.tsv",
    log:
        "<logs>/correlation/{subject}.log",
    benchmark:
        "<benchmarks>/correlation/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # bench_sizes: 3.0 GB without the network, rehearsal: 1.9 GB with it, on a CPU; half as much
        # again as both, and 4 GB for CUDA.
        mem_mb=scaled(12000),
        runtime=scaled(120),
        gpu=1,
    params:
        code=code("correlation", *ENCODER_CODE),
        cfg=settings("brain.encoding", "evaluation.bootstrap", "seed"),
        how=untracked(settings("device", "latents.batch_size", "regression.block")),
        source=DATA.source,
        encoder=ENCODER,
        floors={name: f"shuffled-{name}" for name in SYSTEMS},
        folder=lambda wildcards: MODELS.place(ENCODER_MODEL),
        inputs=lambda wildcards: [
            RUN.encoding,
            DATA.ncsnr(wildcards.subject),
            DATA.region_volumes(wildcards.subject),
        ],
        pictures=["seen", "mean-image", *SYSTEMS],
        regions=[astuple(region) for region in DATA.regions],
        settings=ENCODER_SETTINGS,
        titles={**RUN.titles, "mean-image": RUN.floor_titles["mean-image"]},
        volumes=volumes(DATA.regions),
    script:
        "../scripts/correlation.py"


rule best_of:
    """Of several samples of an image, the one whose predicted response fits the measured one best."""
    input:
        encoding="<results>/{subject}/encoding.h5",
        latents=f"<results>/{{subject}}/latents/{RUN.encoding}/train.h5",
        betas="<results>/{subject}/betas/test.h5",
        reconstructions="<results>/{subject}/reconstructions/{system}.h5",
        model=lambda wildcards: MODELS.files(ENCODER_MODEL),
        checked=f"<results>/data/models/{ENCODER_MODEL}.tsv",
    output:
        f"<results>/{{subject}}/reconstructions/{{system}}{BEST}.h5",
    log:
        "<logs>/best_of/{subject}_{system}.log",
    benchmark:
        "<benchmarks>/best_of/{subject}_{system}.tsv"
    wildcard_constraints:
        system=DIFFUSION,
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # As `correlation`, which has more pictures: both take them one sample at a time.
        mem_mb=scaled(12000),
        runtime=scaled(120),
        gpu=1,
    params:
        code=code("best_of", *ENCODER_CODE),
        how=untracked(settings("device", "latents.batch_size", "regression.block")),
        encoder=ENCODER,
        folder=lambda wildcards: MODELS.place(ENCODER_MODEL),
        inputs=RUN.encoding,
        settings=ENCODER_SETTINGS,
    script:
        "../scripts/best_of.py"


rule patterns:
    """Synthetic responses in which one region alone is active; stages 1 and 2 decode them."""
    input:
        gram="<results>/{subject}/weights/gram.h5",
        betas="<results>/{subject}/betas/train.h5",
        volumes=lambda wildcards: list(DATA.region_volumes(wildcards.subject).values()),
    output:
        "<results>/{subject}-regions/betas/test.h5",
    log:
        "<logs>/patterns/{subject}.log",
    benchmark:
        "<benchmarks>/patterns/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(20),
    params:
        code=code("patterns"),
        cfg=settings("brain.pattern"),
        source=DATA.source,
        inputs=lambda wildcards: DATA.region_volumes(wildcards.subject),
        regions=[astuple(region) for region in DATA.regions],
        volumes=volumes(DATA.regions),
    script:
        "../scripts/patterns.py"


rule pictures:
    """What each region alone is reconstructed as."""
    input:
        patterns="<results>/{subject}-regions/betas/test.h5",
        pictures=expand(
            "<results>/{{subject}}-regions/reconstructions/{system}.h5", system=RUN.pictured
        ),
    output:
        **drawn(
            "pictures_{subject}",
            "pictures",
            "Brain",
            figure="pictures of regions",
            subject="{subject}",
        ),
    log:
        "<logs>/pictures/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("pictures"),
        titles=[RUN.titles[name] for name in RUN.pictured],
    script:
        "../scripts/pictures.py"
