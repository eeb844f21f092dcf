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
