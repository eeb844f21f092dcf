# From the sessions' responses to the mean response of each image.


rule average_betas:
    """Mean response of each image over its repeats, for every split."""
    input:
        unpack(design),
        sessions=lambda wildcards: expand(
            "<results>/{subject}/betas/sessions/{session}.h5",
            subject=wildcards.subject,
            session=sessions(wildcards),
        ),
        trials="<results>/{subject}/trials.tsv",
    output:
        train="<results>/{subject}/betas/train.h5",
        test="<results>/{subject}/betas/test.h5",
        tests=expand("<results>/{{subject}}-test-{test}/betas/test.h5", test=DATA.tests_of_sessions),
    log:
        "<logs>/average_betas/{subject}.log",
    benchmark:
        "<benchmarks>/average_betas/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("average_betas"),
        cfg=settings("responses.min_ncsnr", "responses.session_zscore"),
        sessions=lambda wildcards: SESSIONS[wildcards.subject],
        source=DATA.source,
        tests=DATA.tests_of_sessions,
    script:
        "../scripts/average_betas.py"
