"""Figure of the metrics: every system above its floor."""

from nsdrecon.figures import bars_figure, write_caption
from nsdrecon.logs import job_log
from nsdrecon.store import read_table

with job_log(snakemake.log[0], snakemake.rule):
    metrics = read_table(snakemake.input[0])
    # One subject alone is not pooled: its own rows come last.
    subject = metrics["subject"].iloc[-1]
    caption = bars_figure(
        metrics,
        snakemake.output.figure,
        subject=subject,
        systems=snakemake.params.systems,
        floors=snakemake.params.floors,
        ceilings={},
    )
    write_caption(snakemake.output.caption, caption)
