"""Figures of the metrics: systems between floor and ceiling, contrasts, retrieval, pairs."""

from pathlib import Path

import pandas as pd

from nsdrecon.evaluation.tables import Layout
from nsdrecon.job import job
from nsdrecon.metrics import from_params, identification_names
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.scores import (
    contrasts_figure,
    dots_figure,
    retrieval_figure,
    scatter_figure,
)
from nsdrecon.store import ID, read_table

INTERVAL = ["ci_low", "ci_high"]

with job(snakemake) as log:
    params, files = snakemake.params, snakemake.input
    columns = [from_params(row) for row in params.metrics]
    metrics = read_table(files.metrics, ["subject", "system", "metric", "mean", *INTERVAL])
    retrieval = read_table(
        files.retrieval, ["subject", "system", "metric", "n_way", "accuracy", *INTERVAL]
    )
    # One subject alone is not pooled: its own rows come last.
    shown = {"subject": metrics["subject"].iloc[-1], "columns": columns}
    layout = Layout(params.systems, params.floors, params.ceilings)
    outputs = {Path(path).stem: path for path in snakemake.output.figures}
    captions = {
        "metrics": dots_figure(metrics, outputs["metrics"], layout=layout, **shown),
        "retrieval": retrieval_figure(
            retrieval,
            outputs["retrieval"],
            metrics=identification_names(columns),
            labels=params.systems,
        ),
    }
    if params.contrasts:
        wanted = ["subject", "metric", "contrast", "difference", *INTERVAL, "p_holm"]
        table = read_table(files.contrasts, wanted)
        captions["contrasts"] = contrasts_figure(table, outputs["contrasts"], **shown)
    wanted = [ID, "subject", "system", *(column.name for column in columns)]
    scores = pd.concat([read_table(path, wanted) for path in files.scores])
    for one, other in params.contrasts.values():
        name = f"scatter_{one}_{other}"
        second, first = (scores[scores["system"] == system] for system in (one, other))
        options = {"labels": params.systems}
        captions[name] = scatter_figure(first, second, columns, outputs[name], **options)
    for path in snakemake.output.captions:
        write_caption(path, captions[Path(path).stem])
    log.info("%d figures of %d metrics", len(captions), len(columns))
