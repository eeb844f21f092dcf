"""Score the reconstructions of one system, image by image."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.networks import clip_metric
from nsdrecon.evaluation.scoring import evaluate
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_trials, split_ids

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    evaluate(
        snakemake.input.reconstructions,
        snakemake.input.stimuli,
        snakemake.output[0],
        nsd_id=split_ids(read_trials(snakemake.input.trials), "test"),
        protocol_name=cfg["evaluation.protocol"],
        networks=[clip_metric(cfg["evaluation.clip_name"], cfg["models.clip.folder"])],
        device=choose_device(cfg["device"], snakemake.threads),
    )
