# Files of a data set by the patterns of its section, read by what the data set's kind names.

from nsdrecon.extensions import source as module_of

READER = DATA.reader


def reading(script, *places):
    """The fingerprint of a rule's script and of what reads this kind of data set for it."""
    return code(script, *map(module_of, places))


rule read_trials:
    """Which image was shown in each trial of the used sessions, and its split."""
    input:
        trials=lambda wildcards: DATA.trials(wildcards.subject),
        tables=lambda wildcards: DATA.tables(wildcards.subject),
        pictures=DATA.pictures,
    output:
        "<results>/{subject}/trials.tsv",
    log:
        "<logs>/read_trials/{subject}.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=reading("read_trials", READER.place, READER.pictures),
        source=DATA.source,
        inputs=lambda wildcards: [
            *DATA.trials(wildcards.subject),
            *DATA.tables(wildcards.subject),
            DATA.pictures,
        ],
        # Looked at before hours are spent; a trial table is the same with and without.
        repeats=untracked(DATA.max_repeats if RUN.repeats else None),
        pictures=READER.pictures,
        reader=lambda wildcards: DATA.arguments(wildcards.subject),
    script:
        "../scripts/read_trials.py"


rule read_session:
    """The voxels of the mask in one session, as stored."""
    input:
        betas=lambda wildcards: DATA.betas(wildcards.subject, wildcards.session),
        mask=lambda wildcards: DATA.mask(wildcards.subject),
        trials="<results>/{subject}/trials.tsv",
    output:
        "<results>/{subject}/betas/sessions/{session}.h5",
    log:
        "<logs>/read_session/{subject}_{session}.log",
    benchmark:
        "<benchmarks>/read_session/{subject}_{session}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        # bench_brought: 2.2 GB for a session of whole volumes in GLMsingle's .npy, .2 GB in other forms.
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        code=reading("read_session", READER.place),
        cfg=settings(*(f"{DATA.kind}.{key}" for key in READER.settings)),
        source=DATA.source,
        inputs=lambda wildcards: [
            DATA.betas(wildcards.subject, wildcards.session),
            DATA.mask(wildcards.subject),
        ],
        reader=lambda wildcards: DATA.arguments(wildcards.subject),
    script:
        "../scripts/read_session.py"


rule read_train_pictures:
    """The pictures that a subject saw in the training split."""
    input:
        pictures=DATA.pictures,
        trials="<results>/{subject}/trials.tsv",
    output:
        "<results>/{subject}/stimuli/train.h5",
    log:
        "<logs>/read_train_pictures/{subject}.log",
    benchmark:
        "<benchmarks>/read_train_pictures/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(60),
    params:
        code=reading("read_train_pictures", READER.pictures),
        pictures=READER.pictures,
        source=DATA.source,
        inputs=[DATA.pictures],
    script:
        "../scripts/read_train_pictures.py"


rule read_test_pictures:
    """The pictures of one test set of all subjects: what reconstructions are scored against."""
    input:
        pictures=DATA.pictures,
        trials=expand("<results>/{subject}/trials.tsv", subject=SUBJECTS),
    output:
        "<results>/stimuli/{tested}.h5",
    log:
        "<logs>/read_test_pictures/{tested}.log",
    benchmark:
        "<benchmarks>/read_test_pictures/{tested}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(20),
    params:
        code=reading("read_test_pictures", READER.pictures),
        pictures=READER.pictures,
        source=DATA.source,
        inputs=[SUBJECTS, DATA.pictures],
    script:
        "../scripts/read_test_pictures.py"


rule read_captions:
    """The captions of all pictures, as an array."""
    input:
        captions=DATA.caption_list,
        pictures=DATA.pictures,
    output:
        "<results>/stimuli/captions.npy",
    log:
        "<logs>/read_captions.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=reading("read_captions", READER.captions, READER.pictures),
        captions=READER.captions,
        pictures=READER.pictures,
        inputs=[*DATA.caption_list, DATA.pictures],
    script:
        "../scripts/read_captions.py"


rule noise_ceiling:
    """The map of the noise ceiling, from repeats, where the user has none."""
    input:
        sessions=lambda wildcards: expand(
            "<results>/{subject}/betas/sessions/{session}.h5",
            subject=wildcards.subject,
            session=sessions(wildcards),
        ),
        trials="<results>/{subject}/trials.tsv",
    output:
        "<results>/{subject}/ncsnr.nii.gz",
    log:
        "<logs>/noise_ceiling/{subject}.log",
    benchmark:
        "<benchmarks>/noise_ceiling/{subject}.tsv"
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(15),
    params:
        code=code("noise_ceiling"),
        source=DATA.source,
        sessions=lambda wildcards: SESSIONS[wildcards.subject],
    script:
        "../scripts/noise_ceiling.py"


rule validate:
    """Read all of the data set and say what was found (a target to ask for)."""
    input:
        lambda wildcards: [path for paths in DATA.needed().values() for path in paths],
    log:
        "<logs>/validate.log",
    # Asked again it would find the same.
    retries: 0
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=reading("validate", READER.place, READER.pictures, READER.captions),
        captions=DATA.caption_list,
        maps={subject: DATA.own_map(subject) for subject in SUBJECTS},
        pictures=DATA.pictures,
        read=[READER.pictures, READER.captions],
        readers={subject: DATA.arguments(subject) for subject in SUBJECTS},
    script:
        "../scripts/validate.py"
