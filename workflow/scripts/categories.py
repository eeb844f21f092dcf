"""Categories of a subject's images, by the meaning of their captions."""

from nsdrecon.evaluation.variants import semantic_clusters
from nsdrecon.job import job
from nsdrecon.store import write_table

with job(snakemake):
    cfg = snakemake.params.cfg
    table = semantic_clusters(
        snakemake.input.train,
        others=[snakemake.input.test],
        n_clusters=cfg["evaluation.categories"],
        seed=cfg["seed"],
    )
    write_table(snakemake.output[0], table)
