# What the models see in images and captions. Those of the training split are the regression's targets;
# those of the test split, below oracle-latents/, are for oracles alone. They are not cut into shards:
# what a GPU does with 1,000 images takes less time than the start of a job.


rule model_check:
    """A model, looked at and loaded once: one that is damaged or does not fit fails here, not hours
    later. Of files that the user brought the checksums are recorded."""
    input:
        lambda wildcards: MODELS.files(wildcards.model),
    output:
        parts="<results>/data/models/{model}.tsv",
        # Kept for the next check, which compares with it.
        record=update("<results>/data/models/{model}.record.tsv"),
    log:
        "<logs>/model_check/{model}.log",
    benchmark:
        "<benchmarks>/model_check/{model}.tsv"
    wildcard_constraints:
        model="|".join([SCORING, STAGE1, *REGISTRY.models]),
    # Before all else that could start.
    priority: 1
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        # Rehearsal: 1.8 GB for Versatile Diffusion, whose weights are mapped, not copied; twice that.
        mem_mb=scaled(4000),
        runtime=scaled(30),
    # Without a fingerprint of its code: it loads every model, so a change of one model's code would
    # check all models again, and run again whatever waits for their checks.
    params:
        loaded=lambda wildcards: REGISTRY.checked_by(wildcards.model),
        own=lambda wildcards: MODELS.own_files(wildcards.model),
        model=lambda wildcards: MODELS.settings(wildcards.model),
    script:
        "../scripts/model_check.py"


rule vdvae_latents:
    """VDVAE latents of one shard of a subject's training images."""
    input:
        images=seen_images,
        checkpoint=config["models"]["vdvae"]["checkpoint"],
        checked="<results>/data/models/vdvae.tsv",
    output:
        temp("<results>/{subject}/latents/vdvae/shards/{shard}.h5"),
    log:
        "<logs>/vdvae_latents/{subject}_{shard}.log",
    benchmark:
        "<benchmarks>/vdvae_latents/{subject}_{shard}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # 2.8 GB in the rehearsal on a CPU, 32 images at a time; 4 GB for CUDA; 3.2 GB of latents of all
        # shards, of which the rehearsal has few.
        mem_mb=scaled(8000 + 3200 // config["shards"]),
        runtime=scaled(30),
        gpu=1,
    params:
        code=code("vdvae_latents"),
        cfg=settings(
            "latents.vdvae_layers", "latents.vdvae_precision", "latents.vdvae_values", "seed"
        ),
        how=untracked(settings("device", "latents.batch_size")),
        architecture=ARCHITECTURE,
        part=part,
    script:
        "../scripts/vdvae_latents.py"


use rule vdvae_latents as oracle_vdvae_latents with:
    # Of everybody's test images.
    output:
        "<results>/oracle-latents/vdvae.h5",
    log:
        "<logs>/oracle_vdvae_latents.log",
    benchmark:
        "<benchmarks>/oracle_vdvae_latents.tsv"


rule features:
    """Features of one shard of a subject's training images, or of their captions."""
    input:
        images=seen_images,
        captions=seen_captions,
        model=lambda wildcards: MODELS.files(feature(wildcards).model),
        checked=lambda wildcards: f"<results>/data/models/{feature(wildcards).model}.tsv",
    output:
        temp("<results>/{subject}/latents/{feature}/shards/{shard}.h5"),
    log:
        "<logs>/features/{subject}_{feature}_{shard}.log",
    benchmark:
        "<benchmarks>/features/{subject}_{feature}_{shard}.tsv"
    wildcard_constraints:
        feature="|".join([*REGISTRY.features, SCORING]),
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # 2.9 GB in the rehearsal on a CPU, for pictures; 4 GB for CUDA; 7 GB of vd-vision of all
        # shards, of which the rehearsal has few.
        mem_mb=scaled(8000 + 7000 // config["shards"]),
        runtime=scaled(120),
        gpu=1,
    params:
        code=lambda wildcards: fingerprint("features", *encoder_code(wildcards.feature)),
        cfg=lambda wildcards: settings(*(f"latents.{name}" for name in feature(wildcards).settings)),
        how=untracked(settings("device", "latents.batch_size")),
        encoder=lambda wildcards: feature(wildcards).encoder,
        folder=lambda wildcards: MODELS.place(feature(wildcards).model),
        inputs=seen_captions,
        kind=lambda wildcards: feature(wildcards).kind,
        part=part,
        settings=lambda wildcards: RUN.encoder_settings(wildcards.feature),
        source=DATA.source,
        split=seen_split,
    script:
        "../scripts/features.py"


use rule features as oracle_features with:
    # Of everybody's test images.
    output:
        "<results>/oracle-latents/{feature}.h5",
    log:
        "<logs>/oracle_features/{feature}.log",
    benchmark:
        "<benchmarks>/oracle_features/{feature}.tsv"


rule latents:
    """All shards of one feature space, rows by nsd_id."""
    input:
        expand("<results>/{{subject}}/latents/{{feature}}/shards/{shard}.h5", shard=SHARDS),
    output:
        "<results>/{subject}/latents/{feature}/train.h5",
    log:
        "<logs>/latents/{subject}_{feature}.log",
    benchmark:
        "<benchmarks>/latents/{subject}_{feature}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(30),
    params:
        code=code("latents"),
        made=lambda wildcards: of_shards(
            "vdvae_latents" if wildcards.feature == STAGE1 else "features", wildcards
        ),
    script:
        "../scripts/latents.py"
