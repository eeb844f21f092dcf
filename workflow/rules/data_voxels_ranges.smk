# The voxels that are used, out of a session's remote file.


rule download_session_betas:
    """The voxels of the mask in one session, out of the remote file."""
    input:
        mask=DATA.mask("{subject}"),
        design=DATA.design,
    output:
        file="<results>/{subject}/betas/sessions/{session}.h5",
        record="<results>/{subject}/betas/sessions/{session}.h5.record.tsv",
    log:
        "<logs>/download_session_betas/{subject}_{session}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        cfg=untracked(settings("nsd.betas", "nsd.mask", "nsd.space")),
        how=untracked(settings("nsd.s3", "nsd.terms_accepted")),
        source=untracked(DATA.source),
        inputs=lambda wildcards: DATA.mask(wildcards.subject),
        key=lambda wildcards: DATA.betas_key(wildcards.subject, wildcards.session),
    script:
        "../scripts/download_session_betas.py"


rule download_further_session:
    """The voxels of the mask in an experiment beside the sessions, out of the remote file."""
    input:
        mask=DATA.mask("{subject}"),
        tables=lambda wildcards: DATA.further_tables(wildcards.subject, wildcards.experiment),
    output:
        file="<results>/{subject}/betas/sessions/{experiment}.h5",
        record="<results>/{subject}/betas/sessions/{experiment}.h5.record.tsv",
    log:
        "<logs>/download_further_session/{subject}_{experiment}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        cfg=untracked(settings("nsd.betas", "nsd.mask", "nsd.space")),
        how=untracked(settings("nsd.s3", "nsd.terms_accepted")),
        source=untracked(DATA.source),
        inputs=lambda wildcards: DATA.mask(wildcards.subject),
        key=lambda wildcards: DATA.further_key(wildcards.subject, wildcards.experiment),
    script:
        "../scripts/download_further_session.py"
