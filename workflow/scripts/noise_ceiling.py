"""The map of a subject's noise ceiling, from the repeats of images."""

from nsdrecon.data.noise_ceiling import write_ncsnr_map
from nsdrecon.data.nsd import read_trials
from nsdrecon.job import job

with job(snakemake):
    write_ncsnr_map(
        dict(zip(snakemake.params.sessions, snakemake.input.sessions, strict=True)),
        read_trials(snakemake.input.trials),
        snakemake.wildcards.subject,
        snakemake.output[0],
    )
