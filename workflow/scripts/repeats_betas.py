"""Test responses of a subject, averaged over the first repeats alone."""

from nsdrecon.evaluation.variants import average_first_repeats
from nsdrecon.job import job

with job(snakemake):
    average_first_repeats(
        snakemake.input[0],
        snakemake.output[0],
        n_repeats=int(snakemake.wildcards.n),
        of=snakemake.params.of,
    )
