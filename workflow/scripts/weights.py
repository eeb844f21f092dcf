"""Ridge weights of a subject for one feature space, and their leave-one-out scores."""

from math import prod

from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.ridge.fitting import fit_weights
from nsdrecon.ridge.scores import scores_table
from nsdrecon.store import write_table
from nsdrecon.vdvae.config import VDVAEConfig

with job(snakemake) as log:
    cfg, how = snakemake.params.cfg, snakemake.params.how
    fit_weights(
        snakemake.input.gram,
        snakemake.input.betas,
        snakemake.input.latents,
        snakemake.output.weights,
        alpha=cfg[f"regression.alpha.{snakemake.wildcards.feature}"],
        alpha_grid=cfg["regression.alpha_grid"],
        per_target=cfg["regression.alpha_per_target"],
        device=choose_device(how["device"], snakemake.threads),
        block=how["regression.block"],
    )
    sizes, parts = None, snakemake.params.parts
    if parts:
        shapes = VDVAEConfig(**parts["architecture"]).latent_shapes(parts["layers"])
        sizes = [prod(shape) for shape in shapes]
    table = scores_table(snakemake.output.weights, sizes)
    write_table(snakemake.output.scores, table)
    log.info("\n%s", table.head(1).to_string(index=False))
