# What NSD's design says of a subject's trials.


rule trials:
    """Which image was shown in each trial of the used sessions, and its split."""
    input:
        design=DATA.design,
    output:
        "<results>/{subject}/trials.tsv",
    log:
        "<logs>/trials/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("trials"),
        inputs=[DATA.design],
        # Looked at before hours are spent; a trial table is the same with and without.
        repeats=untracked(DATA.max_repeats if RUN.repeats else None),
        sessions=lambda wildcards: SESSIONS[wildcards.subject],
        source=DATA.source,
    script:
        "../scripts/trials.py"
