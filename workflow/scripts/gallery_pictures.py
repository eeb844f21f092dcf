"""Strips of pictures of one subject for the gallery: what was seen, and all that was made of it."""

from nsdrecon.job import job
from nsdrecon.pages.gallery import write_strips

with job(snakemake):
    params, files = snakemake.params, snakemake.input
    write_strips(
        snakemake.output[0],
        stimuli=files.stimuli,
        reconstructions=dict(zip(params.systems, files.reconstructions, strict=True)),
        samples=dict(zip(params.several, files.samples, strict=True)),
    )
