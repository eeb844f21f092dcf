# Ridge regression from voxels to latents, and predictions from the test responses.


rule gram:
    """Standardised voxels' Gram matrix, shared by all features and penalties; eigenvectors for loo."""
    input:
        "<results>/{subject}{variant}/betas/train.h5",
    output:
        "<results>/{subject}{variant}/weights/gram.h5",
    log:
        "<logs>/gram/{subject}{variant}.log",
    benchmark:
        "<benchmarks>/gram/{subject}{variant}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        mem_mb=scaled(7000),
        runtime=scaled(30),
    params:
        code=code("gram"),
        how=untracked(settings("device")),
        eigenvectors="loo"
        in [*config["regression"]["alpha"].values(), *RUN.ablations.get("alpha", [])],
    script:
        "../scripts/gram.py"


rule weights:
    """Ridge weights from voxels to one feature space; leave-one-out scores, part by part of it."""
    input:
        gram=lambda wildcards: f"{folder(wildcards)}/weights/gram.h5",
        betas=responses("train"),
        latents=lambda wildcards: f"{folder(wildcards)}/latents/{wildcards.feature}/train.h5",
    output:
        weights="<results>/{subject}{variant}/weights/{feature}.h5",
        scores="<results>/{subject}{variant}/weights/{feature}.scores.tsv",
    log:
        "<logs>/weights/{subject}{variant}_{feature}.log",
    benchmark:
        "<benchmarks>/weights/{subject}{variant}_{feature}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        mem_mb=scaled(6000),
        runtime=scaled(60),
    params:
        code=code("weights"),
        cfg=lambda wildcards: ablated(
            wildcards,
            f"regression.alpha.{wildcards.feature}",
            "regression.alpha_grid",
            "regression.alpha_per_target",
        ),
        how=untracked(settings("device", "regression.block")),
        parts=parts,
    script:
        "../scripts/weights.py"


rule predictions:
    """Latents predicted from the test responses alone."""
    input:
        weights=trained_weights,
        betas=responses("test"),
    output:
        "<results>/{subject}{variant}/predictions/{feature}.h5",
    log:
        "<logs>/predictions/{subject}{variant}_{feature}.log",
    benchmark:
        "<benchmarks>/predictions/{subject}{variant}_{feature}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(20),
    params:
        code=code("predictions"),
        cfg=lambda wildcards: ablated(wildcards, "regression.rescale"),
        how=untracked(settings("device", "regression.block")),
    script:
        "../scripts/predictions.py"
