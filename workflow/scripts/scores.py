"""Table of a regression's leave-one-out scores on the training images."""

from math import prod

from nsdrecon.job import job
from nsdrecon.ridge.scores import scores_table
from nsdrecon.store import write_table
from nsdrecon.vdvae.config import VDVAEConfig

with job(snakemake) as log:
    sizes, parts = None, snakemake.params.parts
    if parts:
        shapes = VDVAEConfig(**parts["architecture"]).latent_shapes(parts["layers"])
        sizes = [prod(shape) for shape in shapes]
    table = scores_table(snakemake.input[0], sizes)
    write_table(snakemake.output[0], table)
    log.info("\n%s", table.head(1).to_string(index=False))
