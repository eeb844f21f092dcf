"""Tables of means and intervals over all subjects and systems."""

from nsdrecon.evaluation.networks import clip_metric
from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.evaluation.tables import Layout, columns_for, write_markdown
from nsdrecon.logs import job_log
from nsdrecon.store import read_table, write_table

with job_log(snakemake.log[0], snakemake.rule) as log:
    cfg = snakemake.params.cfg
    metrics = metrics_table(
        [read_table(path) for path in snakemake.input],
        resamples=cfg["evaluation.bootstrap"],
        seed=cfg["seed"],
    )
    write_table(snakemake.output.long, metrics)
    write_markdown(
        metrics,
        snakemake.output.markdown,
        columns=columns_for([clip_metric(cfg["evaluation.clip_name"], cfg["models.clip.folder"])]),
        layout=Layout(snakemake.params.systems, snakemake.params.floors, {}),
    )
    log.info("%d rows of %d tables", len(metrics), len(snakemake.input))
