"""Copy the pictures of NSD-Imagery or NSD-synthetic, in the form of NSD's stimuli."""

from nsdrecon.data.further_tests import extract_further_pictures
from nsdrecon.job import job

with job(snakemake):
    extract_further_pictures(
        snakemake.params.experiment, snakemake.input.pictures, snakemake.output[0]
    )
