"""Latents of one feature space, predicted from a subject's test responses."""

from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.ridge.decoding import predict

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    predict(
        snakemake.input.weights,
        snakemake.input.betas,
        snakemake.output[0],
        rescale=cfg["regression.rescale"],
        device=choose_device(how["device"], snakemake.threads),
        block=how["regression.block"],
    )
