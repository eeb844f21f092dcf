# Ridge regression from voxels to latents, and predictions from the test responses.


rule gram:
    """Standardised voxels' Gram matrix, shared by all features and penalties; eigenvectors for loo."""
    input:
        "results/{subject}/betas/train.h5",
    output:
        "results/{subject}/weights/gram.h5",
    log:
        "logs/gram/{subject}.log",
    benchmark:
        "results/benchmarks/gram/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        mem_mb=scaled(7000),
        runtime=scaled(30),
    params:
        code=code("gram"),
        cfg=settings("device"),
        eigenvectors="loo" in config["regression"]["alpha"].values(),
    script:
        "../scripts/gram.py"


rule scores:
    """Cross-validated accuracy on the training images, part by part of a feature space."""
    input:
        "results/{subject}/weights/{feature}.h5",
    output:
        "results/{subject}/weights/{feature}.scores.tsv",
    log:
        "logs/scores/{subject}_{feature}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("scores"),
        parts=parts,
    script:
        "../scripts/scores.py"


rule weights:
    """Ridge weights from voxels to one feature space, with leave-one-out scores."""
    input:
        gram="results/{subject}/weights/gram.h5",
        betas="results/{subject}/betas/train.h5",
        latents="results/{subject}/latents/{feature}/train.h5",
    output:
        "results/{subject}/weights/{feature}.h5",
    log:
        "logs/weights/{subject}_{feature}.log",
    benchmark:
        "results/benchmarks/weights/{subject}_{feature}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 8
    resources:
        mem_mb=scaled(6000),
        runtime=scaled(60),
    params:
        code=code("weights"),
        cfg=settings(
            "device",
            "regression.alpha_grid",
            "regression.alpha_per_target",
            "regression.block",
        ),
        alpha=lambda wildcards: config["regression"]["alpha"][wildcards.feature],
    script:
        "../scripts/weights.py"


rule predictions:
    """Latents predicted from the test responses alone."""
    input:
        weights=trained("results/{subject}/weights/{feature}.h5"),
        betas="results/{subject}/betas/test.h5",
    output:
        "results/{subject}/predictions/{feature}.h5",
    log:
        "logs/predictions/{subject}_{feature}.log",
    benchmark:
        "results/benchmarks/predictions/{subject}_{feature}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(20),
    params:
        code=code("predictions"),
        cfg=settings("device", "regression.block", "regression.rescale"),
    script:
        "../scripts/predictions.py"
