"""Average a subject's responses over the repeats of each image."""

from nsdrecon.data.betas import average_repeats
from nsdrecon.data.nsd import read_trials
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    average_repeats(
        dict(zip(snakemake.params.sessions, snakemake.input.sessions, strict=True)),
        read_trials(snakemake.input.trials),
        snakemake.wildcards.subject,
        {"train": snakemake.output.train, "test": snakemake.output.test},
        session_zscore=cfg["responses.session_zscore"],
        min_ncsnr=cfg["responses.min_ncsnr"],
    )
