"""Join the shards of one system's reconstructions of a subject."""

from nsdrecon.job import job
from nsdrecon.store import merge_h5

with job(snakemake):
    merge_h5(snakemake.input, snakemake.output[0], ["images"])
