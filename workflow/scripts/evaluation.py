"""Score the reconstructions of one system and its shuffled floor, image by image."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.scoring import evaluate
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.store import read_ids

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    metrics = [from_params(row) for row in snakemake.params.metrics]
    evaluate(
        snakemake.input.reconstructions,
        snakemake.input.stimuli,
        snakemake.output.scores,
        shuffled=snakemake.output.shuffled,
        seed=cfg["seed"],
        nsd_id=read_ids(snakemake.input.responses),
        protocol_name=cfg["evaluation.protocol"],
        metrics=metrics,
        categories=snakemake.input.get("categories") or None,
        device=choose_device(how["device"], snakemake.threads),
    )
