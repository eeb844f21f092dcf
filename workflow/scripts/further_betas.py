"""Average a subject's responses in NSD-Imagery or NSD-synthetic over the repeats of each image."""

from nsdrecon.data.betas import average_apart
from nsdrecon.data.further_tests import further_trials
from nsdrecon.data.nsd import FURTHER, read_trials
from nsdrecon.job import job

with job(snakemake, brought=["tables"]):
    average_apart(
        snakemake.input.session,
        further_trials(snakemake.params.experiment, snakemake.input.tables),
        snakemake.wildcards.subject,
        FURTHER + snakemake.wildcards.test,
        snakemake.output[0],
        train=snakemake.input.train,
        standardised_by=dict(zip(snakemake.params.sessions, snakemake.input.sessions, strict=True)),
        training_trials=read_trials(snakemake.input.trials),
    )
