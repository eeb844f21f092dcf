"""Average a subject's responses over the repeats of each image."""

from nsdrecon.data.betas import average_repeats
from nsdrecon.data.nsd import FURTHER, read_design, read_trials, require_design
from nsdrecon.job import job

with job(snakemake):
    cfg, subject = snakemake.params.cfg, snakemake.wildcards.subject
    trials = read_trials(snakemake.input.trials)
    if design := snakemake.input.get("design"):
        require_design(trials, read_design(design), subject)
    splits = [FURTHER + name for name in snakemake.params.tests]
    further = dict(zip(splits, snakemake.output.tests, strict=True))
    average_repeats(
        dict(zip(snakemake.params.sessions, snakemake.input.sessions, strict=True)),
        trials,
        subject,
        {"train": snakemake.output.train, "test": snakemake.output.test, **further},
        session_zscore=cfg["responses.session_zscore"],
        min_ncsnr=cfg["responses.min_ncsnr"],
    )
