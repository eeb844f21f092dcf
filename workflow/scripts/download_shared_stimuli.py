"""Fetch the shared images alone out of the remote stimulus file."""

from nsdrecon.data.nsd import read_design
from nsdrecon.job import job
from nsdrecon.layout import STIMULI
from nsdrecon.transfer.ranges import download_stimuli_by_ranges
from nsdrecon.transfer.s3 import nsd_bucket

with job(snakemake, again=True) as log:
    bucket = nsd_bucket(snakemake.params.how)
    design = read_design(snakemake.input.design)
    nsd_id = design.nsd_id[0, : design.n_shared]
    file, table = snakemake.output.file, snakemake.output.record
    record = download_stimuli_by_ranges(bucket, STIMULI, nsd_id, file, record=table)
    log.info("%d images, %d bytes", len(nsd_id), record.bytes)
