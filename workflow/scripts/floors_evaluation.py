"""Score the floors of a subject that need no decoder, image by image."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.scoring import evaluate
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.store import read_ids

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    metrics = [from_params(row) for row in snakemake.params.metrics]
    device = choose_device(how["device"], snakemake.threads)
    pairs = zip(snakemake.input.reconstructions, snakemake.output, strict=True)
    for reconstructions, scores in pairs:
        evaluate(
            reconstructions,
            snakemake.input.stimuli,
            scores,
            nsd_id=read_ids(snakemake.input.responses),
            protocol_name=cfg["evaluation.protocol"],
            metrics=metrics,
            categories=snakemake.input.get("categories") or None,
            device=device,
        )
