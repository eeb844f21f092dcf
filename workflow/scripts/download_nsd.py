"""Fetch one file of the data set from its bucket."""

from nsdrecon.logs import job_log
from nsdrecon.transfer.manifest import write_manifest
from nsdrecon.transfer.s3 import download_s3, nsd_bucket

with job_log(snakemake.log[0], snakemake.rule) as log:
    bucket = nsd_bucket(snakemake.params.cfg)
    record = download_s3(bucket, snakemake.wildcards.key, snakemake.output.file)
    write_manifest(snakemake.output.record, [record])
    log.info("%d bytes, %s", record.bytes, record.checksum)
