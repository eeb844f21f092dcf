"""Gram matrix of a subject's training responses."""

from nsdrecon.devices import choose_device
from nsdrecon.logs import job_log
from nsdrecon.ridge.responses import prepare_gram

with job_log(snakemake.log[0], snakemake.rule):
    prepare_gram(
        snakemake.input[0],
        snakemake.output[0],
        device=choose_device(snakemake.params.how["device"], snakemake.threads),
        eigenvectors=snakemake.params.eigenvectors,
    )
