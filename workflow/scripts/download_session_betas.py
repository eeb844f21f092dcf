"""Fetch the mask's voxels of one session from where the data set is kept."""

from pathlib import Path

from nsdrecon.data.nsd import read_design, trial_table
from nsdrecon.data.remote_sessions import read_remote_session
from nsdrecon.data.session_files import store_session
from nsdrecon.data.volumes import read_mask
from nsdrecon.job import job
from nsdrecon.transfer.chunks import WORKERS
from nsdrecon.transfer.manifest import record_of
from nsdrecon.transfer.s3 import nsd_bucket

with job(snakemake, again=True) as log:
    bucket = nsd_bucket(snakemake.params.how, workers=WORKERS)
    key, output = snakemake.params.key, Path(snakemake.output.file)
    subject, session = snakemake.wildcards.subject, int(snakemake.wildcards.session)
    trials = trial_table(read_design(snakemake.input.design), subject, [session])
    voxels = read_mask(snakemake.input.mask)
    betas = read_remote_session(bucket, key, voxels, len(trials), output.parent)
    store_session(betas, voxels, trials, subject, session, output)
    record = record_of(output, f"s3://{bucket.name}/{key}", table=snakemake.output.record)
    log.info("%d voxels, %d bytes", len(voxels), record.bytes)
