"""Cut the voxels of the mask out of the betas of NSD-Imagery or NSD-synthetic."""

from nsdrecon.data.further_tests import further_trials
from nsdrecon.data.session_files import extract_session
from nsdrecon.job import job

with job(snakemake, brought=["tables"]):
    experiment = snakemake.wildcards.experiment
    extract_session(
        snakemake.input.betas,
        snakemake.input.mask,
        further_trials(experiment, snakemake.input.tables),
        snakemake.wildcards.subject,
        experiment,
        snakemake.output[0],
    )
