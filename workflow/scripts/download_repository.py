"""Fetch a model's folder from its repository."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "0"  # the one job that asks the hub; read when it is imported

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import job_log
from nsdrecon.transfer.catalogue import REPOSITORIES
from nsdrecon.transfer.manifest import write_manifest
from nsdrecon.transfer.weights import download_hub

with job_log(snakemake.log[0], snakemake.rule, again=True) as log:
    model = snakemake.wildcards.model
    if model not in REPOSITORIES:
        known = listing(REPOSITORIES, 20)
        raise InputError("models", found=model, expected=f"a folder of your own or one of {known}")
    source, output = REPOSITORIES[model], Path(snakemake.output[0])
    records = download_hub(source.repository, source.revision, output.parent, source.patterns)
    write_manifest(output, records)
    log.info("%d files, %d bytes", len(records), sum(record.bytes for record in records))
