# Raw files of the data set under their bucket keys: simulated or downloaded, by configuration.


localrules:
    download_weights,
    download_repository,


if config["nsd"]["source"] == "simulated":

    rule simulate_experiment:
        """Design, stimuli and captions of a simulated NSD."""
        output:
            nsd=[nsd(key) for key in (layout.DESIGN, layout.STIMULUS_TABLE, layout.STIMULI)],
            captions=config["nsd"]["captions"],
            features="resources/simulation/features.h5",
        log:
            "logs/simulate_experiment.log",
        conda:
            "../envs/nsdrecon.yaml"
        threads: 1
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_experiment"),
            cfg=settings("nsd.root", "simulation"),
        message:
            "Simulated experiment"
        script:
            "../scripts/simulate_experiment.py"

    rule simulate_subject:
        """ROI volumes and noise ceiling of a simulated subject."""
        input:
            features="resources/simulation/features.h5",
        output:
            mask=nsd_roi("{subject}", config["nsd"]["mask"]),
            ncsnr=nsd_ncsnr("{subject}"),
        log:
            "logs/simulate_subject/{subject}.log",
        conda:
            "../envs/nsdrecon.yaml"
        threads: 1
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_subject"),
            cfg=settings("nsd.betas", "nsd.root", "nsd.space", "simulation"),
        message:
            "Simulated {wildcards.subject}"
        script:
            "../scripts/simulate_subject.py"

    rule simulate_session:
        """Betas of one session of a simulated subject."""
        input:
            features="resources/simulation/features.h5",
        output:
            nsd_betas("{subject}", "{session}"),
        log:
            "logs/simulate_session/{subject}_{session}.log",
        conda:
            "../envs/nsdrecon.yaml"
        threads: 1
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_session"),
            cfg=settings("nsd.betas", "nsd.format", "nsd.root", "nsd.space", "simulation"),
        message:
            "Simulated session {wildcards.session} of {wildcards.subject}"
        script:
            "../scripts/simulate_session.py"

else:

    localrules:
        download_nsd,
        coco_captions,

    rule download_nsd:
        """One file of the data set, by its key in the bucket."""
        output:
            nsd("{key}"),
        log:
            "logs/download_nsd/{key}.log",
        wildcard_constraints:
            key=r"nsddata.*",
        conda:
            "../envs/nsdrecon.yaml"
        resources:
            download=1,
        params:
            code=code("download_nsd"),
            cfg=settings("nsd.terms_accepted"),
        message:
            "Download {wildcards.key}"
        script:
            "../scripts/download_nsd.py"

    rule coco_captions:
        """Captions of all stimuli from COCO's annotations."""
        input:
            stimulus_table=nsd(layout.STIMULUS_TABLE),
            annotations="resources/models/coco-annotations/annotations_trainval2017.zip",
        output:
            "resources/captions/coco.npy",
        log:
            "logs/coco_captions.log",
        conda:
            "../envs/nsdrecon.yaml"
        params:
            code=code("coco_captions"),
        message:
            "Captions from COCO"
        script:
            "../scripts/coco_captions.py"


rule download_weights:
    """One file of pretrained weights."""
    output:
        "resources/models/{model}/{file}",
    log:
        "logs/download_weights/{model}_{file}.log",
    wildcard_constraints:
        model=r"[a-z0-9-]+",
        file=r"[^/]+\.(th|pt|pth|pth\.tar|zip)",
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        code=code("download_weights"),
    message:
        "Download {wildcards.model}"
    script:
        "../scripts/download_weights.py"


rule download_repository:
    """A model's folder, at the commit it is pinned to."""
    output:
        "resources/models/{model}/downloaded.tsv",
    log:
        "logs/download_repository/{model}.log",
    wildcard_constraints:
        model=r"[a-z0-9-]+",
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        code=code("download_repository"),
    message:
        "Download {wildcards.model}"
    script:
        "../scripts/download_repository.py"
