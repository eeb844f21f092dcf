# A simulated data set, in the formats of the real one.

from nsdrecon.regions import REGIONS, volumes


rule simulate_experiment:
    """Design, stimuli and captions of a simulated NSD."""
    output:
        nsd=[DATA.design, DATA.stimulus_table, DATA.stimuli],
        captions=DATA.captions,
        features=DATA.simulated_features,
    log:
        "<logs>/simulate_experiment.log",
    benchmark:
        "<benchmarks>/simulate_experiment.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("simulate_experiment"),
        cfg=settings("simulation"),
        root=DATA.root,
    script:
        "../scripts/simulate_experiment.py"


rule simulate_subject:
    """ROI volumes and noise ceiling of a simulated subject."""
    input:
        features=DATA.simulated_features,
    output:
        mask=DATA.mask("{subject}"),
        ncsnr=DATA.ncsnr("{subject}"),
        regions=[DATA.roi("{subject}", volume) for volume in volumes(REGIONS)],
    log:
        "<logs>/simulate_subject/{subject}.log",
    benchmark:
        "<benchmarks>/simulate_subject/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("simulate_subject"),
        cfg=settings("nsd.betas", "nsd.space", "simulation"),
        root=DATA.root,
    script:
        "../scripts/simulate_subject.py"


rule simulate_session:
    """Betas of one session of a simulated subject."""
    input:
        features=DATA.simulated_features,
    output:
        raw(DATA.betas("{subject}", "{session}")),
    log:
        "<logs>/simulate_session/{subject}_{session}.log",
    benchmark:
        "<benchmarks>/simulate_session/{subject}_{session}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("simulate_session"),
        cfg=settings("nsd.betas", "nsd.format", "nsd.space", "simulation"),
        root=DATA.root,
    script:
        "../scripts/simulate_session.py"
