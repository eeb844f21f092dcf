"""Fetch the mask's voxels alone out of one session's remote file."""

from pathlib import Path

from nsdrecon.betas import extract_session
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_design, trial_table
from nsdrecon.transfer.chunks import WORKERS, fetched_chunks
from nsdrecon.transfer.manifest import record_of, write_manifest
from nsdrecon.transfer.s3 import nsd_bucket
from nsdrecon.volumes import read_mask

with job_log(snakemake.log[0], snakemake.rule) as log:
    bucket = nsd_bucket(snakemake.params.cfg, workers=WORKERS)
    key, output = snakemake.params.key, Path(snakemake.output.file)
    subject, session = snakemake.wildcards.subject, int(snakemake.wildcards.session)
    trials = trial_table(read_design(snakemake.input.design), subject, [session])
    voxels = read_mask(snakemake.input.mask)
    copy = output.with_suffix(".hdf5")
    with fetched_chunks(bucket, key, voxels.index, voxels.shape, copy) as betas:
        extract_session(betas, snakemake.input.mask, trials, subject, session, output)
        record = record_of(output, f"s3://{bucket.name}/{key}")
        write_manifest(snakemake.output.record, [record])
    log.info("%d voxels, %d bytes", len(voxels), record.bytes)
