"""Copy a subject's training pictures out of those that the user brought."""

from nsdrecon.data.contract import extract_pictures
from nsdrecon.data.nsd import read_trials, split_ids
from nsdrecon.extensions import implementation
from nsdrecon.job import job

with job(snakemake, brought=["pictures"]):
    nsd_id = split_ids(read_trials(snakemake.input.trials), "train")
    pictures = implementation(snakemake.params.pictures)(snakemake.input.pictures)
    extract_pictures(pictures, nsd_id, snakemake.output[0])
