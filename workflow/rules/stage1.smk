# Stage 1: images that the VDVAE decodes from predicted latents, or from an oracle's true ones.


rule vdvae_images:
    """VDVAE images of a subject's test images."""
    input:
        latents=decoded(STAGE1),
        responses=responses("test"),
        checkpoint=config["models"]["vdvae"]["checkpoint"],
    output:
        "<results>/{subject}{variant}/reconstructions/{system}.h5",
    log:
        "<logs>/vdvae_images/{subject}{variant}_{system}.log",
    benchmark:
        "<benchmarks>/vdvae_images/{subject}{variant}_{system}.tsv"
    wildcard_constraints:
        system=f"{STAGE1}|{ORACLE}{STAGE1}",
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # Rehearsal: 1.3 GB on a CPU; half as much again, and 4 GB for CUDA.
        mem_mb=scaled(6000),
        runtime=scaled(20),
        gpu=1,
    params:
        code=code("vdvae_images"),
        cfg=settings(
            "seed", "stage1.output", "stage1.precision", "stage1.rounding", "stage1.temperature"
        ),
        how=untracked(settings("device", "stage1.batch_size")),
        architecture=ARCHITECTURE,
        inputs=[config["models"]["vdvae"]["checkpoint"]],
    script:
        "../scripts/vdvae_images.py"
