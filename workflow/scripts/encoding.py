"""Encoding model of a subject: from vision features to the response of every voxel."""

from nsdrecon.brain.encoding import fit_encoding
from nsdrecon.devices import choose_device
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule):
    fit_encoding(
        snakemake.input.gram,
        snakemake.input.betas,
        snakemake.input.latents,
        snakemake.output[0],
        device=choose_device(snakemake.params.how["device"], snakemake.threads),
        block=snakemake.params.how["regression.block"],
    )
