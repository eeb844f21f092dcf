# Models, the record of all that came from outside, and the check of a run before it starts.


rule download_weights:
    """One file of pretrained weights."""
    output:
        file=update("resources/models/{model}/{file}"),
        # It has the checksum of the first download.
        record=update("resources/models/{model}/{file}.record.tsv"),
    log:
        "<logs>/download_weights/{model}_{file}.log",
    wildcard_constraints:
        model=r"[a-z0-9-]+",
        file=r"[^/]+\.(th|pt|pth|pth\.tar|zip)",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        cfg=untracked(settings("downloads.mirrors")),
    script:
        "../scripts/download_weights.py"


rule download_repository:
    """A model's folder, at the commit it is pinned to."""
    output:
        "resources/models/{model}/downloaded.tsv",
    log:
        "<logs>/download_repository/{model}.log",
    wildcard_constraints:
        model=r"[a-z0-9-]+",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    script:
        "../scripts/download_repository.py"


rule doctor:
    """Whether a run has all it needs, before anything is queued (a target to ask for)."""
    log:
        "<logs>/doctor.log",
    # Asked again it would find the same.
    retries: 0
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("doctor"),
        cfg=settings("device", "downloads.mirrors"),
        downloads=DATA.downloads,
        config=config,
        needs=lambda wildcards: DATA.downloads_in_detail(),
        local=lambda wildcards: DATA.needed() if DATA.local else {},
        models=lambda wildcards: planned_models(MODELS, DATA),
        records=lambda wildcards: records(MODELS, DATA),
        results=RUN.results,
        server=DATA.server,
        temporary=DATA.temporary,
        title=DATA.title,
        own=lambda wildcards: MODELS.brought() | DATA.brought(),
        snakefile=str(workflow.main_snakefile),
        slurm=lambda wildcards: slurm_facts(workflow),
    script:
        "../scripts/doctor.py"


rule manifest:
    """Every file that came from outside, with its checksum and its source."""
    input:
        records=lambda wildcards: records(MODELS, DATA),
        models=lambda wildcards: [f"<results>/data/models/{m}.record.tsv" for m in MODELS.names],
        own=lambda wildcards: [path for paths in DATA.own_files().values() for path in paths],
    output:
        "<results>/data/manifest.tsv",
    log:
        "<logs>/manifest.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("manifest"),
        inputs=lambda wildcards: [records(MODELS, DATA), MODELS.names, DATA.own_files()],
    script:
        "../scripts/manifest.py"


rule verify_data:
    """Read every file of the manifest again and name what is damaged (a target to ask for)."""
    input:
        "<results>/data/manifest.tsv",
    log:
        "<logs>/verify_data.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("verify_data"),
        temporary=DATA.temporary,
    script:
        "../scripts/verify_data.py"
