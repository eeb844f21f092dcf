"""How much the samples of one image agree, for every system that draws several."""

from nsdrecon.evaluation.agreement import sample_agreement
from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.job import job
from nsdrecon.metrics import from_params
from nsdrecon.store import write_table

with job(snakemake) as log:
    cfg = snakemake.params.cfg
    metrics = [from_params(row) for row in snakemake.params.metrics]
    tables = [
        sample_agreement(path, metrics, protocol_name=cfg["evaluation.protocol"]).assign(
            protocol="between samples", sample=0, undefined=""
        )
        for path in snakemake.input
    ]
    means = metrics_table(tables, resamples=cfg["evaluation.bootstrap"], seed=cfg["seed"])
    columns = ["subject", "system", "metric", "mean", "ci_low", "ci_high", "n_images"]
    write_table(snakemake.output[0], means[columns])
    log.info("%d rows of %d systems and subjects", len(means), len(tables))
