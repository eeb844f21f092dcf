"""Scores against the number of repeats averaged: a table and a figure."""

import pandas as pd

from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.scores import repeats_figure
from nsdrecon.store import read_table, write_table

with job(snakemake) as log:
    cfg, params = snakemake.params.cfg, snakemake.params
    paths, parts = list(snakemake.input.scores), []
    for n in params.n:
        tables = [read_table(path) for path in paths if f"-repeats{n}/evaluation/" in path]
        part = metrics_table(tables, resamples=cfg["evaluation.bootstrap"], seed=cfg["seed"])
        parts.append(part.assign(n_repeats=n))
    table = pd.concat(parts, ignore_index=True)
    write_table(snakemake.output.table, table)
    columns = [row["name"] for row in params.metrics]
    caption = repeats_figure(table, snakemake.output.figure, metrics=columns, labels=params.systems)
    write_caption(snakemake.output.caption, caption)
    log.info("%d rows of %d tables", len(table), len(paths))
