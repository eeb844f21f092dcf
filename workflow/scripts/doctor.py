"""Check what a run needs before anything is queued, and say of every fault what to do."""

import logging
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "0"  # asks the hub; read when it is imported

from nsdrecon.doctor import checks, intact, nodes, sources
from nsdrecon.doctor.amounts import Needs
from nsdrecon.doctor.findings import Finding, Result, examined, table
from nsdrecon.graph.plan import planned_jobs
from nsdrecon.logs import job_log


def jobs():
    """The jobs that the run would have."""
    return planned_jobs(snakemake.params.snakefile, snakemake.params.config)


with job_log(snakemake.log[0], snakemake.rule) as log:
    # Otherwise a line for every file that is read again, and for every attempt at the hub.
    logging.getLogger("nsdrecon.transfer.manifest").setLevel(logging.WARNING)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    params = snakemake.params
    cfg, needs, planned, rows = params.cfg, Needs(**params.needs), [], []
    if params.downloads:
        bucket = params.title, params.server
        rows += examined("bucket", checks.bucket, *bucket, needs, planned)
    if params.local:
        rows += examined("local copy", sources.local_files, needs.root, params.local)
    mirrors = cfg["downloads.mirrors"]
    rows += examined("sources of models", checks.models, params.models, mirrors, planned)
    rows += examined("disks", checks.room, needs, params.models, planned, params.results)
    rows += examined("downloads, here", intact.downloads, params.records, params.temporary)
    for name, (files, folders, loader) in params.own.items():
        rows += examined(f"{name}, brought", intact.own_files, name, files)
        rows += examined(f"{name}, its parts", intact.own_folders, name, folders, loader)
    if params.slurm:
        account = snakemake.resources.get("slurm_account")
        options = [*params.slurm["options"], *([f"--account={account}"] if account else [])]
        rows += examined("SLURM", checks.slurm, params.slurm, options, jobs, cfg["device"])
    else:
        found = "this run does not use it; with --profile slurm its partitions are looked at too"
        rows.append(Finding("SLURM", Result.SKIPPED, found))
        rows += examined("torch on this machine", nodes.local_torch, cfg["device"])
    log.info("before anything is queued:\n%s", table(rows))

if any(row.result is Result.FAIL for row in rows):
    sys.exit(1)
