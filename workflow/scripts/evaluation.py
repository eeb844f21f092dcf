"""Score the reconstructions of one system and its floor, image by image."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.networks import clip_metric
from nsdrecon.evaluation.scoring import evaluate
from nsdrecon.logs import job_log
from nsdrecon.nsd import read_trials, split_ids

with job_log(snakemake.log[0], snakemake.rule):
    cfg = snakemake.params.cfg
    device = choose_device(cfg["device"], snakemake.threads)
    for name in ("system", "floor"):
        evaluate(
            snakemake.input[name],
            snakemake.input.stimuli,
            snakemake.output[name],
            nsd_id=split_ids(read_trials(snakemake.input.trials), "test"),
            protocol_name=cfg["evaluation.protocol"],
            networks=[clip_metric(cfg["evaluation.clip_name"], cfg["models.clip.folder"])],
            device=device,
        )
