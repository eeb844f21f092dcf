"""Fetch one file of the data set from its bucket."""

from nsdrecon.logs import job_log
from nsdrecon.transfer.s3 import download_s3, open_bucket

with job_log(snakemake.log[0], snakemake.rule, again=True) as log:
    bucket = open_bucket(**snakemake.params.server)
    file, table = snakemake.output.file, snakemake.output.record
    record = download_s3(bucket, snakemake.wildcards.key, file, record=table)
    log.info("%d bytes, %s", record.bytes, record.checksum)
