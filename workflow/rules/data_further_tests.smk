# Experiments beside NSD's sessions, which further test sets are from: NSD-Imagery, NSD-synthetic.

from nsdrecon.layout import FURTHER_TESTS


def standardising(wildcards):
    """The sessions by whose training trials responses are standardised, if they are."""
    wanted = config["responses"]["session_zscore"]
    return SESSIONS[wildcards.subject] if wanted else []


def experiment(wildcards):
    """The experiment that a further test set is from."""
    return FURTHER_TESTS[wildcards.test]


rule further_betas:
    """Mean response to each image of a further test set, at the voxels of the training responses."""
    input:
        session=lambda wildcards: f"<results>/{wildcards.subject}/betas/sessions/{experiment(wildcards)}.h5",
        tables=lambda wildcards: DATA.further_tables(wildcards.subject, experiment(wildcards)),
        train="<results>/{subject}/betas/train.h5",
        sessions=lambda wildcards: expand(
            "<results>/{subject}/betas/sessions/{session:02d}.h5",
            subject=wildcards.subject,
            session=standardising(wildcards),
        ),
        trials="<results>/{subject}/trials.tsv",
    output:
        "<results>/{subject}-test-{test}/betas/test.h5",
    log:
        "<logs>/further_betas/{subject}_{test}.log",
    benchmark:
        "<benchmarks>/further_betas/{subject}_{test}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(15),
    params:
        code=code("further_betas"),
        cfg=settings("responses.min_ncsnr", "responses.session_zscore"),
        experiment=experiment,
        inputs=lambda wildcards: DATA.further_tables(wildcards.subject, experiment(wildcards)),
        sessions=standardising,
        source=DATA.source,
    script:
        "../scripts/further_betas.py"


rule further_pictures:
    """The pictures of a further test set, in the size of the others."""
    input:
        pictures=lambda wildcards: DATA.further_pictures(experiment(wildcards)),
    output:
        "<results>/stimuli/test-{test}.h5",
    log:
        "<logs>/further_pictures/{test}.log",
    benchmark:
        "<benchmarks>/further_pictures/{test}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("further_pictures"),
        experiment=experiment,
        inputs=lambda wildcards: DATA.further_pictures(experiment(wildcards)),
        source=DATA.source,
    script:
        "../scripts/further_pictures.py"
