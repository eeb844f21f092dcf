"""Ridge weights of a subject for one feature space."""

from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.ridge.fitting import fit_weights

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    fit_weights(
        snakemake.input.gram,
        snakemake.input.betas,
        snakemake.input.latents,
        snakemake.output[0],
        alpha=cfg[f"regression.alpha.{snakemake.wildcards.feature}"],
        alpha_grid=cfg["regression.alpha_grid"],
        per_target=cfg["regression.alpha_per_target"],
        device=choose_device(how["device"], snakemake.threads),
        block=how["regression.block"],
    )
