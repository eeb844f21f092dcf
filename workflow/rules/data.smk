# Raw files of the data set under their bucket keys: simulated, downloaded, or a copy that is there
# already. Beside every downloaded file lies its record, from which the manifest is made.
#
# Downloads are local rules: compute nodes need no internet. Their parameters are not tracked, since
# neither the code nor the server that fetched a verified file changes its bytes. What is there already
# is not removed before the job (update), which keeps it if it is whole: a kill may have come between a
# file's name and Snakemake's note of it, or a person has put the file there.

if config["nsd"]["source"] == "simulated":

    rule simulate_experiment:
        """Design, stimuli and captions of a simulated NSD."""
        output:
            nsd=[nsd(key) for key in (layout.DESIGN, layout.STIMULUS_TABLE, layout.STIMULI)],
            captions=config["nsd"]["captions"],
            features="resources/simulation/features.h5",
        log:
            "logs/simulate_experiment.log",
        benchmark:
            "results/benchmarks/simulate_experiment.tsv"
        conda:
            "../envs/nsdrecon.yaml"
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_experiment"),
            cfg=settings("nsd.root", "simulation"),
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
        benchmark:
            "results/benchmarks/simulate_subject/{subject}.tsv"
        conda:
            "../envs/nsdrecon.yaml"
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_subject"),
            cfg=settings("nsd.betas", "nsd.root", "nsd.space", "simulation"),
        script:
            "../scripts/simulate_subject.py"

    rule simulate_session:
        """Betas of one session of a simulated subject."""
        input:
            features="resources/simulation/features.h5",
        output:
            raw(nsd_betas("{subject}", "{session}")),
        log:
            "logs/simulate_session/{subject}_{session}.log",
        benchmark:
            "results/benchmarks/simulate_session/{subject}_{session}.tsv"
        conda:
            "../envs/nsdrecon.yaml"
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(10),
        params:
            code=code("simulate_session"),
            cfg=settings("nsd.betas", "nsd.format", "nsd.root", "nsd.space", "simulation"),
        script:
            "../scripts/simulate_session.py"

elif DOWNLOADS:

    rule download_nsd:
        """One file of the data set, by its key in the bucket."""
        output:
            file=update(nsd("{key}")),
            record=nsd("{key}.record.tsv"),
        log:
            "logs/download_nsd/{key}.log",
        wildcard_constraints:
            key=r"nsddata(?!.*/betas_session\d\d\.).+\.(mat|csv|hdf5|nii\.gz)",
        localrule: True
        conda:
            "../envs/nsdrecon.yaml"
        resources:
            download=1,
        params:
            cfg=untracked(settings("nsd.s3", "nsd.terms_accepted")),
        script:
            "../scripts/download_nsd.py"

    use rule download_nsd as download_session with:
        output:
            file=update(raw(nsd("{key}"))),
            record=nsd("{key}.record.tsv"),
        wildcard_constraints:
            key=r"nsddata_betas.+/betas_session\d\d\.(hdf5|nii\.gz)",
        localrule: True

    if BY_RANGES:

        rule download_train_stimuli:
            """The images that a subject saw in the training split, out of the remote file."""
            input:
                trials="results/{subject}/trials.tsv",
            output:
                file=update("results/{subject}/stimuli/train.h5"),
                record="results/{subject}/stimuli/train.h5.record.tsv",
            log:
                "logs/download_train_stimuli/{subject}.log",
            localrule: True
            conda:
                "../envs/nsdrecon.yaml"
            resources:
                download=1,
            params:
                cfg=untracked(settings("nsd.s3", "nsd.terms_accepted")),
            script:
                "../scripts/download_train_stimuli.py"

        rule download_shared_stimuli:
            """The shared images, out of the remote file."""
            input:
                design=nsd(layout.DESIGN),
            output:
                file=update("results/stimuli/test.h5"),
                record="results/stimuli/test.h5.record.tsv",
            log:
                "logs/download_shared_stimuli.log",
            localrule: True
            conda:
                "../envs/nsdrecon.yaml"
            resources:
                download=1,
            params:
                cfg=untracked(settings("nsd.s3", "nsd.terms_accepted")),
            script:
                "../scripts/download_shared_stimuli.py"

    if VOXELS_BY_RANGES:

        rule download_session_betas:
            """The voxels of the mask in one session, out of the remote file."""
            input:
                mask=nsd_roi("{subject}", config["nsd"]["mask"]),
                design=nsd(layout.DESIGN),
            output:
                file="results/{subject}/betas/sessions/{session}.h5",
                record="results/{subject}/betas/sessions/{session}.h5.record.tsv",
            log:
                "logs/download_session_betas/{subject}_{session}.log",
            localrule: True
            conda:
                "../envs/nsdrecon.yaml"
            resources:
                download=1,
            params:
                cfg=untracked(settings("nsd.s3", "nsd.terms_accepted")),
                key=lambda wildcards: betas_key(wildcards.subject, wildcards.session),
            script:
                "../scripts/download_session_betas.py"


if config["nsd"]["source"] != "simulated":

    rule coco_captions:
        """Captions of all stimuli from COCO's annotations."""
        input:
            stimulus_table=nsd(layout.STIMULUS_TABLE),
            annotations=COCO_ANNOTATIONS,
        output:
            COCO_CAPTIONS,
        log:
            "logs/coco_captions.log",
        localrule: True
        conda:
            "../envs/nsdrecon.yaml"
        params:
            code=code("coco_captions"),
        script:
            "../scripts/coco_captions.py"


rule download_weights:
    """One file of pretrained weights."""
    output:
        file=update("resources/models/{model}/{file}"),
        # It has the checksum of the first download.
        record=update("resources/models/{model}/{file}.record.tsv"),
    log:
        "logs/download_weights/{model}_{file}.log",
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
        "logs/download_repository/{model}.log",
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
        "logs/doctor.log",
    # Asked again it would find the same.
    retries: 0
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("doctor"),
        cfg=settings("device", "downloads.mirrors", "nsd.s3", "nsd.source", "nsd.terms_accepted"),
        config=config,
        needs=lambda wildcards: planned_needs(),
        local=lambda wildcards: data_files() if config["nsd"]["source"] == "local" else {},
        models=lambda wildcards: planned_models(),
        records=lambda wildcards: records(),
        temporary=temporary_files(),
        own=lambda wildcards: brought(),
        snakefile=str(workflow.main_snakefile),
        slurm=lambda wildcards: slurm_facts(workflow),
    script:
        "../scripts/doctor.py"


rule manifest:
    """Every file that came from outside, with its checksum and its source."""
    input:
        records=lambda wildcards: records(),
        models=lambda wildcards: [f"results/data/models/{m}.record.tsv" for m in used_models()],
        captions=lambda wildcards: own_captions(),
    output:
        "results/data/manifest.tsv",
    log:
        "logs/manifest.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("manifest"),
    script:
        "../scripts/manifest.py"


rule verify_data:
    """Read every file of the manifest again and name what is damaged (a target to ask for)."""
    input:
        "results/data/manifest.tsv",
    log:
        "logs/verify_data.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("verify_data"),
        temporary=temporary_files(),
    script:
        "../scripts/verify_data.py"
