"""Scores against something that varies: a table and a figure."""

from nsdrecon.evaluation.statistics import curve_table
from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.scores import curves_figure
from nsdrecon.store import read_table, write_table

with job(snakemake, free=snakemake.params.setting) as log:
    cfg, params, files = snakemake.params.cfg, snakemake.params, snakemake.input.scores
    table = curve_table(
        [(value, read_table(path)) for value, path in zip(params.values, files, strict=True)],
        params.varied["by"],
        resamples=cfg["evaluation.bootstrap"],
        seed=cfg["seed"],
    )
    write_table(snakemake.output.table, table)
    caption = curves_figure(
        table,
        snakemake.output.figure,
        metrics=[row["name"] for row in params.metrics],
        labels=params.systems,
        **params.varied,
    )
    write_caption(snakemake.output.caption, caption)
    log.info("%d rows of %d tables", len(table), len(files))
