# What a person looks at: figures, the graph of the rules, the report.


rule reconstructions_figure:
    """Seen images beside the reconstructions of every system."""
    input:
        stimuli="<results>/stimuli/test.h5",
        systems=expand("<results>/{{subject}}/reconstructions/{system}.h5", system=SYSTEMS),
    output:
        figure="<results>/figures/reconstructions_{subject}.png",
        caption="<results>/figures/captions/reconstructions_{subject}.txt",
    log:
        "<logs>/reconstructions_figure/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("reconstructions_figure"),
        titles=list(RUN.titles.values()),
    script:
        "../scripts/reconstructions_figure.py"


rule samples_figure:
    """Where the samples of an image agree and where they do not."""
    input:
        stimuli="<results>/stimuli/test.h5",
        reconstructions="<results>/{subject}/reconstructions/{system}.h5",
        samples="<results>/{subject}/samples/{system}.h5",
    output:
        figure="<results>/figures/samples_{subject}_{system}.png",
        caption="<results>/figures/captions/samples_{subject}_{system}.txt",
    log:
        "<logs>/samples_figure/{subject}_{system}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("samples_figure"),
        title=lambda wildcards: RUN.titles[wildcards.system],
    script:
        "../scripts/samples_figure.py"


rule regression_figure:
    """Cross-validated accuracy of a subject's regressions."""
    input:
        expand("<results>/{{subject}}/weights/{feature}.scores.tsv", feature=FEATURES),
    output:
        figure="<results>/figures/regression_{subject}.png",
        caption="<results>/figures/captions/regression_{subject}.txt",
    log:
        "<logs>/regression_figure/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("regression_figure"),
        features=FEATURES,
    script:
        "../scripts/regression_figure.py"


rule noise_ceiling_figure:
    """How much of the averaged test responses the images can explain, voxel by voxel."""
    input:
        betas=expand("<results>/{subject}/betas/test.h5", subject=SUBJECTS),
        ncsnr=[DATA.ncsnr(subject) for subject in SUBJECTS],
    output:
        figure="<results>/figures/noise_ceiling.png",
        caption="<results>/figures/captions/noise_ceiling.txt",
    log:
        "<logs>/noise_ceiling_figure.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("noise_ceiling_figure"),
        source=DATA.source,
        subjects=SUBJECTS,
    script:
        "../scripts/noise_ceiling_figure.py"


rule metrics_figure:
    """Every metric of every system between floor and ceiling; pairs of systems image by image."""
    input:
        metrics="<results>/tables/metrics.tsv",
        retrieval="<results>/tables/retrieval.tsv",
        scores=expand(
            "<results>/{subject}/evaluation/{system}.tsv", subject=SUBJECTS, system=SYSTEMS
        ),
    output:
        figures=expand("<results>/figures/{figure}.png", figure=METRICS_FIGURES),
        captions=expand("<results>/figures/captions/{figure}.txt", figure=METRICS_FIGURES),
    log:
        "<logs>/metrics_figure.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("metrics_figure"),
        metrics=METRICS,
        contrasts=RUN.contrasts,
        systems=RUN.titles,
        floors=RUN.floor_titles,
        ceilings=RUN.oracle_titles,
    script:
        "../scripts/metrics_figure.py"


rule dag:
    """The graph of the rules, one subject's jobs and every rule's files, as configured."""
    output:
        rules="<results>/dag/rulegraph.svg",
        mermaid="<results>/dag/rulegraph.mmd",
        jobs=f"<results>/dag/dag_{SUBJECTS[0]}.svg",
        files="<results>/dag/filegraph.svg",
    log:
        "<logs>/dag.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("dag"),
        config=config,
        rules=rules_fingerprint,
        snakefile=untracked(str(workflow.main_snakefile)),
        subject=SUBJECTS[0],
    script:
        "../scripts/dag.py"


rule plan:
    """What the run asks for, before it starts: jobs, core-hours, GPU-hours, longest path."""
    output:
        rules="<results>/dag/plan.tsv",
        totals="<results>/dag/plan_totals.tsv",
        text="<results>/dag/plan.txt",
    log:
        "<logs>/plan.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("plan"),
        config=config,
        partitions=untracked(partitions_file()),
        rules=rules_fingerprint,
        snakefile=untracked(str(workflow.main_snakefile)),
    script:
        "../scripts/plan.py"


use rule plan as usage with:
    # The same table when everything has been computed, with what was measured.
    input:
        computed="<results>/tables/metrics.tsv",
    output:
        rules="<results>/dag/usage.tsv",
        totals="<results>/dag/usage_totals.tsv",
        text="<results>/dag/usage.txt",
    log:
        "<logs>/usage.log",
    localrule: True


rule report:
    """The page that a person reads first."""
    input:
        metrics="<results>/tables/metrics.tsv",
        contrasts="<results>/tables/contrasts.tsv",
        rulegraph="<results>/dag/rulegraph.svg",
        job_graph=f"<results>/dag/dag_{SUBJECTS[0]}.svg",
        filegraph="<results>/dag/filegraph.svg",
        usage="<results>/dag/usage.tsv",
        usage_totals="<results>/dag/usage_totals.tsv",
        trials=expand("<results>/{subject}/trials.tsv", subject=SUBJECTS),
        reconstructions=expand("<results>/figures/reconstructions_{subject}.png", subject=SUBJECTS),
        samples=expand(
            "<results>/figures/samples_{subject}_{system}.png",
            subject=SUBJECTS,
            system=RUN.several,
        ),
        regressions=expand("<results>/figures/regression_{subject}.png", subject=SUBJECTS),
        noise_ceiling="<results>/figures/noise_ceiling.png",
        scores=rules.metrics_figure.output.figures,
        repeats=[rules.repeats.output.figure] if RUN.repeats else [],
        holdout=rules.holdout.output if RUN.holdout else [],
        brain=[
            f"<results>/figures/{analysis}_{subject}.png"
            for analysis, subjects in RUN.brain.items()
            for subject in subjects
        ],
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("report"),
        config=config,
        subjects=SUBJECTS,
        metrics=METRICS,
        systems=RUN.titles,
        floors=RUN.floor_titles,
        ceilings=RUN.oracle_titles,
    script:
        "../scripts/report.py"
