# Scores of the reconstructions against the seen images, with floors and intervals.


localrules:
    shuffled_floor,
    metrics,


rule shared_stimuli:
    """The shared images: what every subject's reconstructions are scored against."""
    input:
        stimuli=nsd(layout.STIMULI),
        design=nsd(layout.DESIGN),
    output:
        "results/stimuli/test.h5",
    log:
        "logs/shared_stimuli.log",
    conda:
        "../envs/nsdrecon.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(20),
    params:
        code=code("shared_stimuli"),
    message:
        "Test images"
    script:
        "../scripts/shared_stimuli.py"


rule shuffled_floor:
    """A floor: every image gets the reconstruction of another image of the same system."""
    input:
        "results/{subject}/reconstructions/{system}.h5",
    output:
        "results/{subject}/reconstructions/shuffled-{system}.h5",
    log:
        "logs/shuffled_floor/{subject}_{system}.log",
    wildcard_constraints:
        system="|".join(SYSTEMS),
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("shuffled_floor"),
        cfg=settings("seed"),
    message:
        "Shuffled {wildcards.system} of {wildcards.subject}"
    script:
        "../scripts/shuffled_floor.py"


rule evaluation:
    """Every metric of every image of one system and of its floor."""
    input:
        system="results/{subject}/reconstructions/{system}.h5",
        floor="results/{subject}/reconstructions/shuffled-{system}.h5",
        stimuli="results/stimuli/test.h5",
        trials="results/{subject}/trials.tsv",
        clip=folder_files(config["models"]["clip"]["folder"]),
    output:
        system="results/{subject}/evaluation/{system}.tsv",
        floor="results/{subject}/evaluation/shuffled-{system}.tsv",
    log:
        "logs/evaluation/{subject}_{system}.log",
    benchmark:
        "results/benchmarks/evaluation/{subject}_{system}.tsv"
    wildcard_constraints:
        system="|".join(SYSTEMS),
    conda:
        "../envs/nsdrecon.yaml"
    threads: 4
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(60),
        gpu=1,
    params:
        code=code("evaluation"),
        cfg=settings("device", "evaluation.clip_name", "evaluation.protocol", "models.clip.folder"),
    message:
        "Scores of {wildcards.system}, {wildcards.subject}"
    script:
        "../scripts/evaluation.py"


rule metrics:
    """Means and intervals of every metric, per subject and pooled."""
    input:
        expand(
            "results/{subject}/evaluation/{system}.tsv",
            subject=SUBJECTS,
            system=[*SYSTEMS, *FLOORS],
        ),
    output:
        long="results/tables/metrics.tsv",
        markdown="results/tables/metrics.md",
    log:
        "logs/metrics.log",
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("metrics"),
        cfg=settings("evaluation.bootstrap", "evaluation.clip_name", "models.clip.folder", "seed"),
        systems=SYSTEM_TITLES,
        floors=FLOOR_TITLES,
    message:
        "Tables of metrics"
    script:
        "../scripts/metrics.py"
