"""Copy a subject's training images out of the stimulus file."""

from nsdrecon.data.nsd import read_trials, split_ids
from nsdrecon.data.stimuli import extract_stimuli
from nsdrecon.job import job

with job(snakemake):
    nsd_id = split_ids(read_trials(snakemake.input.trials), "train")
    extract_stimuli(snakemake.input.stimuli, nsd_id, snakemake.output[0])
