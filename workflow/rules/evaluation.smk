# Scores of the reconstructions against the seen images, with floors, ceilings and intervals.

METRICS_FIGURES = ["metrics", "retrieval", *(["contrasts"] if RUN.contrasts else [])]
METRICS_FIGURES += [f"scatter_{a}_{b}" for a, b in RUN.contrasts.values()]
TABLES = ["metrics.tsv", "metrics.md", "metrics.tex", "contrasts.tsv", "retrieval.tsv"]
TABLES += ["published.tsv"]
TABLES += ["samples.tsv"] if RUN.several else []
TABLES += ["repeats.tsv"] if RUN.repeats else []
TABLES += ["holdout.tsv"] if RUN.holdout else []
TABLES += [f"test-{name}/metrics.tsv" for name in RUN.tests]
REPEATS = list(range(1, DATA.max_repeats + 1))


rule floors:
    """Floors that need no decoder: mean image, flat grey, random and nearest training image."""
    input:
        stimuli="<results>/{subject}/stimuli/train.h5",
        train="<results>/{subject}/betas/train.h5",
        test="<results>/{subject}/betas/test.h5",
    output:
        expand("<results>/{{subject}}/reconstructions/{floor}.h5", floor=FLOORS),
    log:
        "<logs>/floors/{subject}.log",
    benchmark:
        "<benchmarks>/floors/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 2
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(15),
    params:
        code=code("floors"),
        cfg=settings("seed"),
    script:
        "../scripts/floors.py"


rule categories:
    """Clusters of captions: those of the training images, and which of them a test image is in."""
    input:
        train=f"<results>/{{subject}}/latents/{RUN.captions}/train.h5",
        test=f"<results>/oracle-latents/{RUN.captions}.h5",
    output:
        "<results>/{subject}/categories.tsv",
    log:
        "<logs>/categories/{subject}.log",
    benchmark:
        "<benchmarks>/categories/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 2
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("categories"),
        cfg=settings("evaluation.categories", "seed"),
        inputs=RUN.captions,
    script:
        "../scripts/categories.py"


rule evaluation:
    """Every metric of every image of a subject's systems, oracles and floors."""
    input:
        unpack(categories),
        reconstructions=expand(
            "<results>/{{subject}}/reconstructions/{system}.h5",
            system=[*SCORED, *ORACLES, *FLOORS],
        ),
        stimuli="<results>/stimuli/test.h5",
        responses="<results>/{subject}/betas/test.h5",
        networks=MODELS.files("networks"),
        checked=["<results>/data/models/networks.tsv"] if RUN.networks else [],
    output:
        scores=expand(
            "<results>/{{subject}}/evaluation/{system}.tsv", system=[*SCORED, *ORACLES, *FLOORS]
        ),
        shuffled=expand(
            "<results>/{{subject}}/evaluation/shuffled-{system}.tsv", system=[*SCORED, *ORACLES]
        ),
    log:
        "<logs>/evaluation/{subject}.log",
    benchmark:
        "<benchmarks>/evaluation/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(60),
        gpu=1,
    params:
        code=code("evaluation", *source_files(METRICS)),
        cfg=settings("evaluation.protocol", "seed"),
        how=untracked(settings("device")),
        inputs=lambda wildcards: [*categories(wildcards), *scored(wildcards)],
        left_out=RUN.unscored,
        metrics=METRICS,
    script:
        "../scripts/evaluation.py"


use rule evaluation as variant_evaluation with:
    # The same of one system that was decoded from other responses.
    input:
        unpack(categories),
        reconstructions=["<results>/{subject}{variant}/reconstructions/{system}.h5"],
        stimuli=tested_images,
        responses="<results>/{subject}{variant}/betas/test.h5",
        networks=MODELS.files("networks"),
        checked=["<results>/data/models/networks.tsv"] if RUN.networks else [],
    output:
        scores=["<results>/{subject}{variant}/evaluation/{system}.tsv"],
        shuffled=["<results>/{subject}{variant}/evaluation/shuffled-{system}.tsv"],
    log:
        "<logs>/evaluation/{subject}{variant}_{system}.log",
    benchmark:
        "<benchmarks>/variant_evaluation/{subject}{variant}_{system}.tsv"
    wildcard_constraints:
        variant=r"-repeats\d|-holdout|-test-[a-z0-9_]+",
        system="|".join(SYSTEMS),


rule metrics:
    """Means, intervals, contrasts and retrieval curves, per subject and pooled; the paper's table."""
    input:
        scores=expand(
            "<results>/{subject}/evaluation/{system}.tsv",
            subject=SUBJECTS,
            system=[*RUN.titles, *RUN.floor_titles, *RUN.oracle_titles],
        ),
        responses=expand("<results>/{subject}/betas/test.h5", subject=SUBJECTS),
    output:
        long=shown("<results>/tables/metrics.tsv", "metrics", "Tables", table="metrics"),
        markdown="<results>/tables/metrics.md",
        latex="<results>/tables/metrics.tex",
        contrasts=shown("<results>/tables/contrasts.tsv", "contrasts", "Tables", table="contrasts"),
        retrieval=shown("<results>/tables/retrieval.tsv", "retrieval", "Tables", table="retrieval"),
        published=shown("<results>/tables/published.tsv", "published", "Tables", table="published"),
    log:
        "<logs>/metrics.log",
    benchmark:
        "<benchmarks>/metrics.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 2
    resources:
        mem_mb=scaled(1500),
        runtime=scaled(15),
    params:
        code=code("metrics"),
        cfg=settings("evaluation.bootstrap", "seed"),
        metrics=METRICS,
        contrasts=RUN.contrasts,
        left_out=RUN.unscored,
        subjects=SUBJECTS,
        systems=RUN.titles,
        floors=RUN.floor_titles,
        ceilings=RUN.oracle_titles,
    script:
        "../scripts/metrics.py"


use rule metrics as test_metrics with:
    # The same of a further test set, which is pooled with no other.
    input:
        scores=expand(
            "<results>/{subject}-test-{{test}}/evaluation/{system}.tsv",
            subject=SUBJECTS,
            system=[*SYSTEMS, *shuffled(RUN.system_titles)],
        ),
        responses=expand("<results>/{subject}-test-{{test}}/betas/test.h5", subject=SUBJECTS),
    output:
        long=shown("<results>/tables/test-{test}/metrics.tsv", "metrics", "Tables", table="{test}"),
        markdown="<results>/tables/test-{test}/metrics.md",
        latex="<results>/tables/test-{test}/metrics.tex",
        contrasts="<results>/tables/test-{test}/contrasts.tsv",
        retrieval="<results>/tables/test-{test}/retrieval.tsv",
        published="<results>/tables/test-{test}/published.tsv",
    log:
        "<logs>/test_metrics/{test}.log",
    benchmark:
        "<benchmarks>/test_metrics/{test}.tsv"
    params:
        code=code("metrics"),
        cfg=settings("evaluation.bootstrap", "seed"),
        metrics=METRICS,
        contrasts=RUN.contrasts,
        left_out={},
        subjects=SUBJECTS,
        systems=RUN.system_titles,
        floors=shuffled(RUN.system_titles),
        ceilings={},


rule sample_agreement:
    """How much the samples of one image agree with each other, without the ground truth."""
    input:
        expand(
            "<results>/{subject}/reconstructions/{system}.h5", subject=SUBJECTS, system=RUN.several
        ),
    output:
        shown("<results>/tables/samples.tsv", "samples", "Tables", table="samples"),
    log:
        "<logs>/sample_agreement.log",
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(120),
    params:
        code=code("sample_agreement", *source_files(RUN.pixel_metrics)),
        cfg=settings("evaluation.bootstrap", "evaluation.protocol", "seed"),
        inputs=[SUBJECTS, RUN.several],
        metrics=RUN.pixel_metrics,
    script:
        "../scripts/sample_agreement.py"


rule repeats_betas:
    """Test responses averaged over the first repeats alone, of the images that have all repeats."""
    input:
        "<results>/{subject}/betas/test.h5",
    output:
        "<results>/{subject}-repeats{n}/betas/test.h5",
    log:
        "<logs>/repeats_betas/{subject}_{n}.log",
    benchmark:
        "<benchmarks>/repeats_betas/{subject}_{n}.tsv"
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        code=code("repeats_betas"),
        of=DATA.max_repeats,
    script:
        "../scripts/repeats_betas.py"


rule repeats:
    """Scores against the number of repeats averaged."""
    input:
        scores=expand(
            "<results>/{subject}-repeats{n}/evaluation/{system}.tsv",
            n=REPEATS,
            subject=SUBJECTS,
            system=RUN.repeats,
        ),
    output:
        table=shown("<results>/tables/repeats.tsv", "repeats", "Tables", table="repeats"),
        figure=shown("<results>/figures/repeats.png", "repeats_figure", "Scores", figure="repeats"),
        pdf="<results>/figures/repeats.pdf",
        caption="<results>/figures/captions/repeats.txt",
    log:
        "<logs>/repeats.log",
    benchmark:
        "<benchmarks>/repeats.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("repeats"),
        cfg=settings("evaluation.bootstrap", "seed"),
        inputs=[SUBJECTS, RUN.repeats],
        n=REPEATS,
        metrics=METRICS,
        systems=RUN.titles,
    script:
        "../scripts/repeats.py"


rule holdout_training:
    """Training responses and latents without the clusters of captions that are left out."""
    input:
        captions=f"<results>/{{subject}}/latents/{RUN.captions}/train.h5",
        train="<results>/{subject}/betas/train.h5",
        test="<results>/{subject}/betas/test.h5",
        latents=expand(
            "<results>/{{subject}}/latents/{feature}/train.h5", feature=RUN.holdout_features
        ),
    output:
        train="<results>/{subject}-holdout/betas/train.h5",
        test="<results>/{subject}-holdout/betas/test.h5",
        latents=temp(
            expand(
                "<results>/{{subject}}-holdout/latents/{feature}/train.h5",
                feature=RUN.holdout_features,
            )
        ),
    log:
        "<logs>/holdout_training/{subject}.log",
    benchmark:
        "<benchmarks>/holdout_training/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(30),
    params:
        code=code("holdout_training"),
        cfg=settings("evaluation.categories", "evaluation.held_out", "seed"),
        inputs=[RUN.captions, RUN.holdout_features],
    script:
        "../scripts/holdout_training.py"


rule holdout:
    """Scores of test images of clusters that training left out, and of the others."""
    input:
        full=expand(
            "<results>/{subject}/evaluation/{system}.tsv",
            subject=SUBJECTS,
            system=RUN.holdout,
        ),
        held_out=expand(
            "<results>/{subject}-holdout/evaluation/{system}.tsv",
            subject=SUBJECTS,
            system=RUN.holdout,
        ),
        categories=[
            f"<results>/{subject}/categories.tsv" for subject in SUBJECTS for _ in RUN.holdout
        ],
    output:
        shown("<results>/tables/holdout.tsv", "holdout", "Tables", table="holdout"),
    log:
        "<logs>/holdout.log",
    benchmark:
        "<benchmarks>/holdout.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("holdout"),
        cfg=settings("evaluation.bootstrap", "evaluation.held_out", "seed"),
        inputs=[SUBJECTS, RUN.holdout],
    script:
        "../scripts/holdout.py"
