"""Figures of the metrics: bars between floor and ceiling, retrieval, pairs of systems."""

import pandas as pd

from nsdrecon.job import job
from nsdrecon.metrics import from_params, identification_names
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.scores import bars_figure, retrieval_figure, scatter_figure
from nsdrecon.store import read_table

with job(snakemake) as log:
    params = snakemake.params
    rows = [from_params(row) for row in params.metrics]
    columns = [metric.name for metric in rows]
    metrics = read_table(snakemake.input.metrics)
    scores = pd.concat([read_table(path) for path in snakemake.input.scores])
    bars, retrieval, *scatters = snakemake.output.figures
    captions = [
        bars_figure(
            metrics[metrics["metric"].isin(columns)],
            bars,
            # One subject alone is not pooled: its own rows come last.
            subject=metrics["subject"].iloc[-1],
            systems=params.systems,
            floors=params.floors,
            ceilings=params.ceilings,
            lower_is_better=[row.name for row in rows if row.score.better == "lower"],
        ),
        retrieval_figure(
            read_table(snakemake.input.retrieval),
            retrieval,
            metrics=identification_names(rows),
            labels=params.systems,
        ),
    ]
    for output, pair in zip(scatters, params.contrasts.values(), strict=True):
        second, first = (scores[scores["system"] == system] for system in pair)
        captions.append(scatter_figure(first, second, columns, output, labels=params.systems))
    for output, caption in zip(snakemake.output.captions, captions, strict=True):
        write_caption(output, caption)
    log.info("%d figures of %d metrics", len(captions), len(columns))
