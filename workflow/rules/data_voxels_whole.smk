# The voxels that are used, out of a session's whole volume.


rule session_betas:
    """The voxels of the mask in one session, as stored."""
    input:
        betas=DATA.betas("{subject}", "{session}"),
        mask=DATA.mask("{subject}"),
        # Not the table of all trials: with another session added, this one is not read again.
        design=DATA.design,
    output:
        "<results>/{subject}/betas/sessions/{session}.h5",
    log:
        "<logs>/session_betas/{subject}_{session}.log",
    benchmark:
        "<benchmarks>/session_betas/{subject}_{session}.tsv"
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(500),
        runtime=scaled(10),
    params:
        code=code("session_betas"),
        cfg=settings("nsd.betas", "nsd.mask", "nsd.space"),
        source=DATA.source,
        inputs=lambda wildcards: DATA.betas(wildcards.subject, wildcards.session),
    script:
        "../scripts/session_betas.py"


rule further_session:
    """The voxels of the mask in an experiment beside the sessions, as stored."""
    input:
        betas=DATA.further_betas("{subject}", "{experiment}"),
        mask=DATA.mask("{subject}"),
        tables=lambda wildcards: DATA.further_tables(wildcards.subject, wildcards.experiment),
    output:
        "<results>/{subject}/betas/sessions/{experiment}.h5",
    log:
        "<logs>/further_session/{subject}_{experiment}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("further_session"),
        cfg=settings("nsd.betas", "nsd.mask", "nsd.space"),
        source=DATA.source,
        inputs=lambda wildcards: DATA.further_betas(wildcards.subject, wildcards.experiment),
    script:
        "../scripts/further_session.py"
