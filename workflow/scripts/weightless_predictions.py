"""Latents of one feature space, predicted from a subject's test responses without any weights."""

from nsdrecon.devices import choose_device
from nsdrecon.logs import job_log
from nsdrecon.ridge.fitting import fit_predict

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    fit_predict(
        snakemake.input.gram,
        snakemake.input.train,
        snakemake.input.latents,
        snakemake.input.test,
        snakemake.output.predictions,
        snakemake.output.statistics,
        alpha=snakemake.params.alpha,
        alpha_grid=cfg["regression.alpha_grid"],
        per_target=cfg["regression.alpha_per_target"],
        rescale=cfg["regression.rescale"],
        device=choose_device(cfg["device"], snakemake.threads),
        block=cfg["regression.block"],
    )
