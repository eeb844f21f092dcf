"""What the networks that score see in the seen images."""

from nsdrecon.devices import choose_device
from nsdrecon.evaluation.seen_features import write_seen_features
from nsdrecon.job import job
from nsdrecon.metrics import from_params

with job(snakemake):
    cfg, how = snakemake.params.cfg, snakemake.params.how
    write_seen_features(
        snakemake.input.stimuli,
        snakemake.output[0],
        protocol_name=cfg["evaluation.protocol"],
        metrics=[from_params(row) for row in snakemake.params.metrics],
        device=choose_device(how["device"], snakemake.threads),
    )
