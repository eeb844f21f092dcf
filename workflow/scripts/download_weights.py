"""Fetch one file of pretrained weights."""

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import job_log
from nsdrecon.transfer.https import download_https
from nsdrecon.transfer.weights import FILES

with job_log(snakemake.log[0], snakemake.rule) as log:
    model, file = snakemake.wildcards.model, snakemake.wildcards.file
    if model not in FILES or FILES[model].name != file:
        known = listing((f"{name}/{entry.name}" for name, entry in FILES.items()), 20)
        raise InputError(
            "models", found=f"{model}/{file}", expected=f"a file of your own or {known}"
        )
    record = download_https(FILES[model].url, snakemake.output[0], sha256=FILES[model].sha256)
    log.info("%d bytes, %s", record.bytes, record.checksum)
