# A simulated NSD-Imagery and NSD-synthetic, in the layout of the real ones.


rule simulate_further_tests:
    """Pictures, trials and designs of a simulated NSD-Imagery and NSD-synthetic."""
    input:
        stimuli=DATA.stimuli,
    output:
        pictures=[*DATA.further_pictures("imagery"), *DATA.further_pictures("synthetic")],
        design=DATA.further_tables(SUBJECTS[0], "synthetic"),
        tables=[path for subject in SUBJECTS for path in DATA.further_tables(subject, "imagery")],
    log:
        "<logs>/simulate_further_tests.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("simulate_further_tests"),
        cfg=settings("simulation"),
        root=DATA.root,
        subjects=SUBJECTS,
    script:
        "../scripts/simulate_further_tests.py"


rule simulate_further_session:
    """Betas of a simulated subject in NSD-Imagery or NSD-synthetic."""
    input:
        features=DATA.simulated_features,
    output:
        raw(DATA.further_betas("{subject}", "{experiment}")),
    log:
        "<logs>/simulate_further_session/{subject}_{experiment}.log",
    benchmark:
        "<benchmarks>/simulate_further_session/{subject}_{experiment}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("simulate_further_session"),
        cfg=settings("nsd.betas", "nsd.format", "nsd.space", "simulation"),
        key=lambda wildcards: DATA.further_key(wildcards.subject, wildcards.experiment),
        root=DATA.root,
    script:
        "../scripts/simulate_further_session.py"
