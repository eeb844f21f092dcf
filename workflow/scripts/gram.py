"""Gram matrix of a subject's training responses."""

from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.ridge.responses import prepare_gram

with job(snakemake):
    prepare_gram(
        snakemake.input[0],
        snakemake.output[0],
        device=choose_device(snakemake.params.how["device"], snakemake.threads),
        eigenvectors=snakemake.params.eigenvectors,
    )
