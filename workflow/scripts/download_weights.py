"""Fetch one file of pretrained weights."""

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import job_log
from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.https import download_https
from nsdrecon.transfer.manifest import recorded_checksum

with job_log(snakemake.log[0], snakemake.rule, again=True) as log:
    model, file = snakemake.wildcards.model, snakemake.wildcards.file
    if model not in FILES or FILES[model].name != file:
        known = listing((f"{name}/{entry.name}" for name, entry in FILES.items()), 20)
        raise InputError(
            "models", found=f"{model}/{file}", expected=f"a file of your own or {known}"
        )
    entry, path, table = FILES[model], snakemake.output.file, snakemake.output.record
    urls = [entry.url, *snakemake.params.cfg["downloads.mirrors"].get(model, [])]
    # Without a published checksum, the one of the first download is the one to expect.
    first = (recorded_checksum(table, path) or "").removeprefix("sha256:")
    expected = entry.sha256 or first or None
    record = download_https(urls, path, size=entry.size, sha256=expected, record=table)
    log.info("%d bytes, %s", record.bytes, record.checksum)
