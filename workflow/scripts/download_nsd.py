"""Fetch one file of the data set from its bucket."""

from nsdrecon.layout import BUCKET
from nsdrecon.logs import job_log
from nsdrecon.transfer.guards import require_terms
from nsdrecon.transfer.s3 import Bucket, download_s3

with job_log(snakemake.log[0], snakemake.rule) as log:
    require_terms(snakemake.params.cfg["nsd.terms_accepted"])
    record = download_s3(Bucket(BUCKET), snakemake.wildcards.key, snakemake.output[0])
    log.info("%d bytes, %s", record.bytes, record.checksum)
