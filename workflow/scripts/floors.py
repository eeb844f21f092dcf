"""Floors of a subject that need no decoder, written like reconstructions."""

from nsdrecon.evaluation.floors import (
    flat_grey,
    mean_image,
    nearest_training_image,
    random_training_image,
)
from nsdrecon.job import job
from nsdrecon.store import dataset, open_h5, read_ids

with job(snakemake):
    stimuli, test = snakemake.input.stimuli, snakemake.input.test
    subject, seed = snakemake.wildcards.subject, snakemake.params.cfg["seed"]
    nsd_id = read_ids(test)
    mean, grey, random, nearest = snakemake.output
    with open_h5(stimuli) as file:
        size = dataset(file, "images").shape[1]
    mean_image(stimuli, nsd_id, mean, subject=subject)
    flat_grey(size, nsd_id, grey, subject=subject)
    random_training_image(stimuli, nsd_id, random, subject=subject, seed=seed)
    nearest_training_image(stimuli, snakemake.input.train, test, nearest, subject=subject)
