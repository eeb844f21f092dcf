"""Strips of pictures of one subject for the gallery: what was seen, and all that was made of it."""

from nsdrecon.job import job
from nsdrecon.pages.gallery import write_strips
from nsdrecon.store import read_ids

with job(snakemake):
    params, files = snakemake.params, snakemake.input
    write_strips(
        snakemake.output[0],
        stimuli=files.stimuli,
        reconstructions=dict(zip(params.systems, files.reconstructions, strict=True)),
        nsd_id=read_ids(files.responses),
        samples=dict(zip(params.several, files.samples, strict=True)),
    )
