"""A subject's training responses of the first sessions alone."""

from nsdrecon.data.betas import average_repeats
from nsdrecon.data.nsd import read_design, read_trials, require_design
from nsdrecon.evaluation.variants import select_images
from nsdrecon.job import job
from nsdrecon.store import read_ids

with job(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    trials, subject = read_trials(files.trials), snakemake.wildcards.subject
    if design := files.get("design"):
        require_design(trials, read_design(design), subject)
    average_repeats(
        dict(zip(params.sessions, files.sessions, strict=True)),
        trials[trials["session"].isin(params.sessions)],
        subject,
        {"train": output.train},
        session_zscore=params.cfg["responses.session_zscore"],
        voxels_of=files.train,
    )
    for source, target in zip(files.latents, output.latents, strict=True):
        select_images(source, read_ids(output.train), target)
