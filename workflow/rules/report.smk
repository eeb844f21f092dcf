# What a person looks at: figures, the gallery, the graph of the rules, the report.

import shlex
import sys

# Whatever has pictures of the test images: systems, floors that need no decoder, and ceilings.
PICTURES = [*SCORED, *FLOORS, *ORACLES]
# What was called, as far as a process of Snakemake knows.
COMMAND = shlex.join(["snakemake", *sys.argv[1:]])


rule reconstructions_figure:
    """Seen images beside the reconstructions of every system."""
    input:
        stimuli="<results>/stimuli/test.h5",
        systems=expand("<results>/{{subject}}/reconstructions/{system}.h5", system=SCORED),
    output:
        **drawn(
            "reconstructions_{subject}",
            "reconstructions",
            "Pictures",
            figure="evenly spaced",
            subject="{subject}",
        ),
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


rule extremes_figure:
    """The images that were reconstructed best, about as well as most, and worst."""
    input:
        stimuli="<results>/stimuli/test.h5",
        systems=expand("<results>/{{subject}}/reconstructions/{system}.h5", system=SCORED),
        scores=expand("<results>/{{subject}}/evaluation/{system}.tsv", system=SCORED),
    output:
        **drawn(
            "extremes_{subject}",
            "extremes",
            "Pictures",
            figure="best, median, worst",
            subject="{subject}",
        ),
    log:
        "<logs>/extremes_figure/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("extremes_figure"),
        metrics=METRICS,
        titles=list(RUN.titles.values()),
    script:
        "../scripts/extremes_figure.py"


rule samples_figure:
    """Where the samples of an image agree and where they do not."""
    input:
        stimuli="<results>/stimuli/test.h5",
        reconstructions="<results>/{subject}/reconstructions/{system}.h5",
        samples="<results>/{subject}/samples/{system}.h5",
    output:
        **drawn(
            "samples_{subject}_{system}",
            "samples_figure",
            "Pictures",
            figure="samples of {system}",
            subject="{subject}",
        ),
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
        **drawn(
            "regression_{subject}",
            "regression",
            "Data and regression",
            figure="regression",
            subject="{subject}",
        ),
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
        **drawn(
            "noise_ceiling",
            "noise_ceiling",
            "Data and regression",
            figure="noise ceiling",
            subject="all",
        ),
    log:
        "<logs>/noise_ceiling_figure.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("noise_ceiling_figure"),
        source=DATA.source,
        inputs=[DATA.ncsnr(subject) for subject in SUBJECTS],
        subjects=SUBJECTS,
    script:
        "../scripts/noise_ceiling_figure.py"


rule metrics_figure:
    """Every metric of every system between floor and ceiling; pairs of systems image by image."""
    input:
        metrics="<results>/tables/metrics.tsv",
        contrasts="<results>/tables/contrasts.tsv",
        retrieval="<results>/tables/retrieval.tsv",
        scores=expand(
            "<results>/{subject}/evaluation/{system}.tsv", subject=SUBJECTS, system=SYSTEMS
        ),
    output:
        figures=[
            shown(f"<results>/figures/{figure}.png", "scores_figure", "Scores", figure=figure)
            for figure in METRICS_FIGURES
        ],
        pdfs=expand("<results>/figures/{figure}.pdf", figure=METRICS_FIGURES),
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
        rules=shown("<results>/dag/rulegraph.svg", "rulegraph", "Workflow", figure="rules"),
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
        rules=shown("<results>/dag/usage.tsv", "usage", "Workflow", table="usage"),
        totals="<results>/dag/usage_totals.tsv",
        text="<results>/dag/usage.txt",
    log:
        "<logs>/usage.log",
    localrule: True


rule gallery_pictures:
    """Every picture of one subject, a strip an image, for the gallery."""
    input:
        stimuli="<results>/stimuli/test.h5",
        responses="<results>/{subject}/betas/test.h5",
        reconstructions=expand("<results>/{{subject}}/reconstructions/{system}.h5", system=PICTURES),
        samples=expand("<results>/{{subject}}/samples/{system}.h5", system=RUN.several),
    output:
        directory("<results>/gallery/pictures/{subject}"),
    log:
        "<logs>/gallery_pictures/{subject}.log",
    benchmark:
        "<benchmarks>/gallery_pictures/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(30),
    params:
        code=code("gallery_pictures"),
        systems=PICTURES,
        several=RUN.several,
    script:
        "../scripts/gallery_pictures.py"


rule gallery:
    """The page of all test images: every system, floors and ceilings, scores, captions."""
    input:
        pictures=expand("<results>/gallery/pictures/{subject}", subject=SUBJECTS),
        scores=expand(
            "<results>/{subject}/evaluation/{system}.tsv", subject=SUBJECTS, system=PICTURES
        ),
        samples=expand(
            "<results>/{subject}/samples/{system}.h5", subject=SUBJECTS, system=RUN.several
        ),
        stimuli="<results>/stimuli/test.h5",
        captions=[DATA.captions] if RUN.needs_captions else [],
    output:
        "<results>/gallery/index.html",
    log:
        "<logs>/gallery.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("gallery"),
        inputs=[DATA.captions] if RUN.needs_captions else [],
        subjects=SUBJECTS,
        metrics=METRICS,
        titles=RUN.titles,
        floors=FLOORS,
        ceilings=RUN.oracle_titles,
        several=RUN.several,
    script:
        "../scripts/gallery.py"


rule export:
    """Every picture as a PNG named by its image, for other evaluators (a target to ask for)."""
    input:
        stimuli="<results>/stimuli/test.h5",
        reconstructions=expand(
            "<results>/{subject}/reconstructions/{system}.h5", subject=SUBJECTS, system=PICTURES
        ),
    output:
        directory("<results>/export"),
    log:
        "<logs>/export.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("export"),
        subjects=SUBJECTS,
        systems=PICTURES,
    script:
        "../scripts/export.py"


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
        responses=expand("<results>/{subject}/betas/test.h5", subject=SUBJECTS),
        weights=expand(
            "<results>/{subject}/weights/{feature}.h5", subject=SUBJECTS, feature=FEATURES
        ),
        extremes=expand("<results>/figures/extremes_{subject}.png", subject=SUBJECTS),
        reconstructions=expand("<results>/figures/reconstructions_{subject}.png", subject=SUBJECTS),
        gallery="<results>/gallery/index.html",
        samples=expand(
            "<results>/figures/samples_{subject}_{system}.png",
            subject=SUBJECTS,
            system=RUN.several,
        ),
        regressions=expand("<results>/figures/regression_{subject}.png", subject=SUBJECTS),
        noise_ceiling="<results>/figures/noise_ceiling.png",
        scores=rules.metrics_figure.output.figures,
        curves=[f"<results>/figures/{curve}.png" for curve in CURVES],
        holdout=rules.holdout.output if RUN.holdout else [],
        tests=expand("<results>/tables/test-{test}/metrics.tsv", test=RUN.tests),
        brain=[
            f"<results>/figures/{analysis}_{subject}.png"
            for analysis, subjects in RUN.brain.items()
            for subject in subjects
        ],
    output:
        shown("<results>/report.html", "report", "Report", page="report"),
    log:
        "<logs>/report.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("report"),
        config=config,
        command=untracked(COMMAND),
        benchmarks=untracked(workflow.pathvars.apply("<benchmarks>")),
        tests=RUN.tests,
        defaults=default_values(SCHEMA),
        described=DATA.described,
        subjects=SUBJECTS,
        weights=[f"{subject}, {feature}" for subject in SUBJECTS for feature in FEATURES],
        metrics=METRICS,
        systems=RUN.titles,
        floors=RUN.floor_titles,
        ceilings=RUN.oracle_titles,
    script:
        "../scripts/report.py"
