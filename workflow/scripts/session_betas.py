"""Cut the voxels of the mask out of one session."""

from nsdrecon.data.nsd import read_design, trial_table
from nsdrecon.data.session_files import extract_session
from nsdrecon.job import job

with job(snakemake):
    subject, session = snakemake.wildcards.subject, int(snakemake.wildcards.session)
    extract_session(
        snakemake.input.betas,
        snakemake.input.mask,
        trial_table(read_design(snakemake.input.design), subject, [session]),
        subject,
        session,
        snakemake.output[0],
    )
