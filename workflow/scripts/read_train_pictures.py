"""Copy a subject's training pictures out of those that the user brought."""

from nsdrecon.data.contract import extract_pictures
from nsdrecon.data.nsd import read_trials, split_ids
from nsdrecon.data.pictures import pictures
from nsdrecon.job import job

with job(snakemake, brought=["pictures"]):
    nsd_id = split_ids(read_trials(snakemake.input.trials), "train")
    extract_pictures(pictures(snakemake.input.pictures), nsd_id, snakemake.output[0])
