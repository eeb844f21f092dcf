# The images that are used, out of the whole file of stimuli.


rule train_stimuli:
    """The images that a subject saw in the training split."""
    input:
        stimuli=DATA.stimuli,
        trials="<results>/{subject}/trials.tsv",
    output:
        "<results>/{subject}/stimuli/train.h5",
    log:
        "<logs>/train_stimuli/{subject}.log",
    benchmark:
        "<benchmarks>/train_stimuli/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(60),
    params:
        code=code("train_stimuli"),
        source=DATA.source,
        inputs=[DATA.stimuli],
    script:
        "../scripts/train_stimuli.py"


rule shared_stimuli:
    """The shared images: what every subject's reconstructions are scored against."""
    input:
        stimuli=DATA.stimuli,
        design=DATA.design,
    output:
        "<results>/stimuli/test.h5",
    log:
        "<logs>/shared_stimuli.log",
    benchmark:
        "<benchmarks>/shared_stimuli.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(20),
    params:
        code=code("shared_stimuli"),
        source=DATA.source,
        inputs=[DATA.stimuli, DATA.design],
    script:
        "../scripts/shared_stimuli.py"
