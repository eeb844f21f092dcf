"""Join the shards of one system's reconstructions of a subject."""

from nsdrecon.logs import job_log
from nsdrecon.store import merge_h5

with job_log(snakemake.log[0], snakemake.rule):
    merge_h5(snakemake.input, snakemake.output[0], ["images"])
