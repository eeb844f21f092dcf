# The images that are used, out of the remote file of stimuli.


rule download_train_stimuli:
    """The images that a subject saw in the training split, out of the remote file."""
    input:
        trials="<results>/{subject}/trials.tsv",
    output:
        file=update("<results>/{subject}/stimuli/train.h5"),
        record="<results>/{subject}/stimuli/train.h5.record.tsv",
    log:
        "<logs>/download_train_stimuli/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        how=untracked(settings("nsd.s3", "nsd.terms_accepted")),
        source=untracked(DATA.source),
    script:
        "../scripts/download_train_stimuli.py"


rule download_shared_stimuli:
    """The shared images, out of the remote file."""
    input:
        design=DATA.design,
    output:
        file=update("<results>/stimuli/test.h5"),
        record="<results>/stimuli/test.h5.record.tsv",
    log:
        "<logs>/download_shared_stimuli.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        how=untracked(settings("nsd.s3", "nsd.terms_accepted")),
        source=untracked(DATA.source),
        inputs=[DATA.design],
    script:
        "../scripts/download_shared_stimuli.py"
