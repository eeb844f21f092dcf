# Stage 1: images that the VDVAE decodes from predicted latents, or from an oracle's true ones.


rule vdvae_images:
    """VDVAE images of one shard of the test images."""
    input:
        latents=decoded(STAGE1),
        checkpoint=config["models"]["vdvae"]["checkpoint"],
    output:
        temp("<results>/{subject}{variant}/reconstructions/{system}/shards/{shard}.h5"),
    log:
        "<logs>/vdvae_images/{subject}{variant}_{system}_{shard}.log",
    benchmark:
        "<benchmarks>/vdvae_images/{subject}{variant}_{system}_{shard}.tsv"
    wildcard_constraints:
        system=f"({ORACLE})?{STAGE1}",
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(60),
        gpu=1,
    params:
        code=code("vdvae_images"),
        cfg=settings("seed", "stage1.output", "stage1.rounding", "stage1.temperature"),
        how=untracked(settings("device", "stage1.batch_size")),
        architecture=ARCHITECTURE,
        part=part,
    script:
        "../scripts/vdvae_images.py"


rule reconstructions:
    """All shards of one system's reconstructions, rows by nsd_id."""
    input:
        system_shards,
    output:
        "<results>/{subject}{variant}/reconstructions/{system}.h5",
    log:
        "<logs>/reconstructions/{subject}{variant}_{system}.log",
    benchmark:
        "<benchmarks>/reconstructions/{subject}{variant}_{system}.tsv"
    wildcard_constraints:
        system="|".join([*SYSTEMS, *ORACLES]),
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(500),
        runtime=scaled(20),
    params:
        code=code("reconstructions"),
        made=lambda wildcards: of_shards(
            "vdvae_images" if REGISTRY.backbone(wildcards.system) is None else "diffusion_images",
            wildcards,
        ),
    script:
        "../scripts/reconstructions.py"
