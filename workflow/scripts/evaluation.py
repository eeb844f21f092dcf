"""Score the reconstructions of one system and its shuffled floor, image by image."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.networks import configured_metrics
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.evaluation.scoring import evaluate
from nsdrecon.logs import job_log
from nsdrecon.store import read_ids

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    rules = protocol(cfg["evaluation.protocol"])
    evaluate(
        snakemake.input.reconstructions,
        snakemake.input.stimuli,
        snakemake.output.scores,
        shuffled=snakemake.output.shuffled,
        seed=cfg["seed"],
        nsd_id=read_ids(snakemake.input.responses),
        protocol_name=rules.name,
        networks=configured_metrics(rules, snakemake.params.networks),
        categories=snakemake.input.get("categories"),
        device=choose_device(cfg["device"], snakemake.threads),
    )
