"""Cut the voxels of the mask out of one session."""

from nsdrecon.betas import extract_session
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_trials

with job_log(snakemake.log[0], snakemake.rule):
    extract_session(
        snakemake.input.betas,
        snakemake.input.mask,
        read_trials(snakemake.input.trials),
        snakemake.wildcards.subject,
        int(snakemake.wildcards.session),
        snakemake.output[0],
    )
