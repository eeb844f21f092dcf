# Stage 2: latent diffusion from the stage-1 image, guided by predicted CLIP features.


rule diffusion_images:
    """Images of one diffusion system for one shard of the test images."""
    input:
        responses=responses("test"),
        stage1=stage1_images,
        guidance=lambda wildcards: [
            decoded(feature)(wildcards) for feature in REGISTRY.guidance(wildcards.system).values()
        ],
        model=lambda wildcards: folder_files(backbone_folder(wildcards)),
    output:
        temp("<results>/{subject}{variant}/reconstructions/{system}/shards/{shard}.h5"),
    log:
        "<logs>/diffusion_images/{subject}{variant}_{system}_{shard}.log",
    benchmark:
        "<benchmarks>/diffusion_images/{subject}{variant}_{system}_{shard}.tsv"
    wildcard_constraints:
        system=f"{DIFFUSION}|{DIFFUSION_ORACLES}",
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # Rehearsal: 12.5 GB on a CPU, Versatile Diffusion; half as much again, and 4 GB for CUDA.
        mem_mb=scaled(23000),
        runtime=scaled(60 * max(config["stage2"]["samples"], *RUN.ablations.get("samples", [1]))),
        gpu=1,
    params:
        code=lambda wildcards: fingerprint(
            "diffusion_images", source(REGISTRY.backbone(wildcards.system).loader)
        ),
        cfg=lambda wildcards: ablated(
            wildcards,
            "seed",
            "stage2.compile",
            "stage2.precision",
            "stage2.samples",
            *(f"stage2.{name}" for name in (*SAMPLING, *own_settings(wildcards))),
        ),
        how=untracked(settings("device", "stage2.batch_size")),
        folder=backbone_folder,
        guidance=lambda wildcards: REGISTRY.guidance(wildcards.system),
        inputs=lambda wildcards: folder_files(backbone_folder(wildcards)),
        loader=lambda wildcards: REGISTRY.backbone(wildcards.system).loader,
        part=part,
        sampler=lambda wildcards: REGISTRY.system(wildcards.system).sampler,
        sampling=sampling,
        settings=own_settings,
    script:
        "../scripts/diffusion_images.py"


rule reconstructions:
    """All shards of one system's reconstructions, rows by nsd_id."""
    input:
        expand(
            "<results>/{{subject}}{{variant}}/reconstructions/{{system}}/shards/{shard}.h5",
            shard=SHARDS,
        ),
    output:
        "<results>/{subject}{variant}/reconstructions/{system}.h5",
    log:
        "<logs>/reconstructions/{subject}{variant}_{system}.log",
    benchmark:
        "<benchmarks>/reconstructions/{subject}{variant}_{system}.tsv"
    wildcard_constraints:
        system=f"{DIFFUSION}|{DIFFUSION_ORACLES}",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(500),
        runtime=scaled(20),
    params:
        code=code("reconstructions"),
        made=lambda wildcards: of_shards("diffusion_images", wildcards),
    script:
        "../scripts/reconstructions.py"


rule samples:
    """Mean, uncertainty and chosen sample of every image, by its predicted vision features."""
    input:
        reconstructions="<results>/{subject}/reconstructions/{system}.h5",
        predicted=f"<results>/{{subject}}/predictions/{CHOOSER}.h5",
        model=lambda wildcards: MODELS.files(RUN.feature(CHOOSER).model),
    output:
        "<results>/{subject}/samples/{system}.h5",
    log:
        "<logs>/samples/{subject}_{system}.log",
    benchmark:
        "<benchmarks>/samples/{subject}_{system}.tsv"
    wildcard_constraints:
        system=DIFFUSION,
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # Rehearsal: 1.9 GB on a CPU; half as much again, and 4 GB for CUDA.
        mem_mb=scaled(7000),
        runtime=scaled(120),
        gpu=1,
    params:
        code=code("samples"),
        cfg=settings("latents.vision_resize"),
        how=untracked(settings("device", "latents.batch_size")),
        feature=CHOOSER,
        folder=lambda wildcards: MODELS.place(RUN.feature(CHOOSER).model),
        inputs=lambda wildcards: MODELS.files(RUN.feature(CHOOSER).model),
    script:
        "../scripts/samples.py"
