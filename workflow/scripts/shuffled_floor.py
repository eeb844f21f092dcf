"""Floor of one system: every image gets the reconstruction of another one."""

from nsdrecon.evaluation.floors import shuffled_brain
from nsdrecon.logs import job_log

with job_log(snakemake.log[0], snakemake.rule):
    shuffled_brain(snakemake.input[0], snakemake.output[0], seed=snakemake.params.cfg["seed"])
