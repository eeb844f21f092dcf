"""Copy the pictures of one test set of all subjects out of those that the user brought."""

import numpy as np

from nsdrecon.data.contract import extract_pictures
from nsdrecon.data.nsd import read_trials, split_ids
from nsdrecon.extensions import implementation
from nsdrecon.job import job

with job(snakemake, brought=["pictures"]):
    tested = snakemake.wildcards.tested
    seen = [split_ids(read_trials(path), tested) for path in snakemake.input.trials]
    nsd_id = np.unique(np.concatenate(seen))
    pictures = implementation(snakemake.params.pictures)(snakemake.input.pictures)
    extract_pictures(pictures, nsd_id, snakemake.output[0])
