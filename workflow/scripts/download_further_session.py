"""Fetch the mask's voxels of NSD-Imagery or NSD-synthetic from where the data set is kept."""

from pathlib import Path

from nsdrecon.data.further_tests import further_trials
from nsdrecon.data.remote_sessions import read_remote_session
from nsdrecon.data.session_files import store_session
from nsdrecon.data.volumes import read_mask
from nsdrecon.job import job
from nsdrecon.transfer.chunks import WORKERS
from nsdrecon.transfer.manifest import record_of
from nsdrecon.transfer.s3 import nsd_bucket

with job(snakemake, brought=["tables"], again=True) as log:
    bucket = nsd_bucket(snakemake.params.how, workers=WORKERS)
    key, output = snakemake.params.key, Path(snakemake.output.file)
    subject, experiment = snakemake.wildcards.subject, snakemake.wildcards.experiment
    trials = further_trials(experiment, snakemake.input.tables)
    voxels = read_mask(snakemake.input.mask)
    betas = read_remote_session(bucket, key, voxels, len(trials), output.parent)
    store_session(betas, voxels, trials, subject, experiment, output)
    record = record_of(output, f"s3://{bucket.name}/{key}", table=snakemake.output.record)
    log.info("%d voxels, %d bytes", len(voxels), record.bytes)
