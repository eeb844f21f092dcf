"""Synthetic responses of a subject, in which one region alone is active."""

from nsdrecon.brain.patterns import write_patterns
from nsdrecon.job import job
from nsdrecon.regions import Region

with job(snakemake):
    files, params = snakemake.input, snakemake.params
    write_patterns(
        files.gram,
        files.betas,
        [Region(*row) for row in params.regions],
        dict(zip(params.volumes, files.volumes, strict=True)),
        snakemake.output[0],
        pattern=params.cfg["brain.pattern"],
    )
