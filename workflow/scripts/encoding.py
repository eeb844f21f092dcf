"""Encoding model of a subject: from features of images to the response of every voxel."""

from nsdrecon.brain.encoding import fit_encoding
from nsdrecon.devices import choose_device
from nsdrecon.job import job

with job(snakemake):
    fit_encoding(
        snakemake.input.gram,
        snakemake.input.betas,
        snakemake.input.latents,
        snakemake.output[0],
        device=choose_device(snakemake.params.how["device"], snakemake.threads),
        block=snakemake.params.how["regression.block"],
    )
