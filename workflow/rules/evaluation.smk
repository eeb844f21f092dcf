# Scores of the reconstructions against the seen images, with floors, ceilings and intervals.

import re

METRICS_FIGURES = ["metrics", "retrieval", *(["contrasts"] if RUN.contrasts else [])]
METRICS_FIGURES += [f"scatter_{a}_{b}" for a, b in RUN.contrasts.values()]
TABLES = ["metrics.tsv", "metrics.md", "metrics.tex", "contrasts.tsv", "retrieval.tsv"]
TABLES += ["published.tsv"]
TABLES += ["samples.tsv"] if RUN.several else []
TABLES += ["holdout.tsv"] if RUN.holdout else []
TABLES += [f"test-{name}/metrics.tsv" for name in RUN.tests]
# Each a table and a figure: the column of what varies, its name, and the same in a sentence.
VARIED = {
    "repeats": {
        "by": "n_repeats",
        "xlabel": "repeats averaged",
        "against": "the number of repeats averaged, of the test images that have all repeats",
    },
    "learning": {
        "by": "n_sessions",
        "xlabel": "sessions trained on",
        "against": "the number of sessions that decoders were trained on; test responses are the same",
    },
}
for name, path in ABLATIONS.items():
    against = f"the value of {path}, everything else alike"
    VARIED[f"ablation_{name}"] = {"by": "value", "xlabel": path, "against": against}
CURVES = [name for name in ("repeats", "learning") if getattr(RUN, name)]
CURVES += [f"ablation_{name}" for name in RUN.ablations]
TABLES += [f"{curve}.tsv" for curve in CURVES]


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


rule seen_features:
    """What the networks that score see in the seen images, for all that is scored."""
    input:
        stimuli="<results>/stimuli/{tested}.h5",
        networks=MODELS.files("networks"),
        checked="<results>/data/models/networks.tsv",
    output:
        "<results>/seen-features/{tested}.h5",
    log:
        "<logs>/seen_features/{tested}.log",
    benchmark:
        "<benchmarks>/seen_features/{tested}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        # As `evaluation`, which does the same with every system's pictures.
        mem_mb=scaled(10000),
        runtime=scaled(60),
        gpu=1,
    params:
        code=code("seen_features", *source_files(RUN.networks)),
        cfg=settings("evaluation.protocol"),
        how=untracked(settings("device")),
        metrics=RUN.networks,
    script:
        "../scripts/seen_features.py"


rule evaluation:
    """Every metric of every image of a subject's systems, oracles and floors."""
    input:
        unpack(categories),
        unpack(seen_features),
        reconstructions=expand(
            "<results>/{{subject}}/reconstructions/{system}.h5",
            system=[*SCORED, *ORACLES, *FLOORS],
        ),
        stimuli="<results>/stimuli/test.h5",
        responses="<results>/{subject}/betas/test.h5",
        networks=MODELS.files("networks"),
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
        # bench_evaluation_job: 3.8 GB on a CPU, system by system; half as much again, and 4 GB for CUDA.
        mem_mb=scaled(10000),
        runtime=scaled(240),
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
    # The same of one system that was decoded otherwise.
    input:
        unpack(categories),
        unpack(seen_features),
        reconstructions=["<results>/{subject}{variant}/reconstructions/{system}.h5"],
        stimuli=tested_images,
        responses=responses("test"),
        networks=MODELS.files("networks"),
    output:
        scores=["<results>/{subject}{variant}/evaluation/{system}.tsv"],
        shuffled=["<results>/{subject}{variant}/evaluation/shuffled-{system}.tsv"],
    log:
        "<logs>/evaluation/{subject}{variant}_{system}.log",
    benchmark:
        "<benchmarks>/variant_evaluation/{subject}{variant}_{system}.tsv"
    wildcard_constraints:
        variant="|".join(
            [r"-repeats\d|-holdout|-sessions\d+|-test-[a-z0-9_]+", *map(re.escape, ABLATED)]
        ),
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
        of_nsd=DATA.kind == "nsd",
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
        of_nsd=DATA.kind == "nsd",
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
    benchmark:
        "<benchmarks>/sample_agreement.tsv"
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


rule learning_training:
    """Training responses of the first sessions alone, with their latents."""
    input:
        unpack(design),
        sessions=lambda wildcards: expand(
            "<results>/{subject}/betas/sessions/{session:02d}.h5",
            subject=wildcards.subject,
            session=SESSIONS[wildcards.subject][: int(wildcards.n)],
        ),
        trials="<results>/{subject}/trials.tsv",
        train="<results>/{subject}/betas/train.h5",
        latents=expand(
            "<results>/{{subject}}/latents/{feature}/train.h5", feature=RUN.learning_features
        ),
    output:
        train="<results>/{subject}-sessions{n}/betas/train.h5",
        latents=temp(
            expand(
                "<results>/{{subject}}-sessions{{n}}/latents/{feature}/train.h5",
                feature=RUN.learning_features,
            )
        ),
    log:
        "<logs>/learning_training/{subject}_{n}.log",
    benchmark:
        "<benchmarks>/learning_training/{subject}_{n}.tsv"
    wildcard_constraints:
        n=r"\d+",
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        # As `repeats_betas`, whose work it is.
        mem_mb=scaled(1000),
        runtime=scaled(30),
    params:
        code=code("learning_training"),
        cfg=settings("responses.session_zscore"),
        inputs=[DATA.design, RUN.learning_features],
        sessions=lambda wildcards: SESSIONS[wildcards.subject][: int(wildcards.n)],
        source=DATA.source,
    script:
        "../scripts/learning_training.py"


rule curve:
    """Scores against something that varies: repeats averaged, sessions trained on, a setting."""
    input:
        scores=lambda wildcards: [path for _, path in curve(wildcards.curve)],
    output:
        **drawn("{curve}", "curve", "Scores", figure="{curve}"),
        table=shown("<results>/tables/{curve}.tsv", "curve", "Tables", table="{curve}"),
    log:
        "<logs>/curve/{curve}.log",
    benchmark:
        "<benchmarks>/curve/{curve}.tsv"
    wildcard_constraints:
        curve="|".join(VARIED),
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("curve"),
        cfg=settings("evaluation.bootstrap", "seed"),
        inputs=lambda wildcards: [SUBJECTS, varied_systems(wildcards.curve)],
        metrics=METRICS,
        setting=lambda wildcards: ABLATIONS.get(wildcards.curve.removeprefix("ablation_")),
        systems=RUN.titles,
        values=lambda wildcards: [value for value, _ in curve(wildcards.curve)],
        varied=lambda wildcards: VARIED[wildcards.curve],
    script:
        "../scripts/curve.py"


rule holdout_training:
    """Training responses and latents without the clusters of captions that are left out."""
    input:
        captions=f"<results>/{{subject}}/latents/{RUN.captions}/train.h5",
        train="<results>/{subject}/betas/train.h5",
        latents=expand(
            "<results>/{{subject}}/latents/{feature}/train.h5", feature=RUN.holdout_features
        ),
    output:
        train="<results>/{subject}-holdout/betas/train.h5",
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
