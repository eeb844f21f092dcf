"""Scores of test images of the clusters that training left out, and of the others."""

import pandas as pd

from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.evaluation.variants import holdout_table
from nsdrecon.job import job
from nsdrecon.store import read_table, write_table

with job(snakemake) as log:
    cfg, paths = snakemake.params.cfg, snakemake.input
    scores = pd.concat(
        holdout_table(*map(read_table, files), cfg["evaluation.held_out"])
        for files in zip(paths.full, paths.held_out, paths.categories, strict=True)
    )
    options = {"resamples": cfg["evaluation.bootstrap"], "seed": cfg["seed"]}
    parts = [
        metrics_table([part.drop(columns=["training", "images"])], **options).assign(
            training=training, images=images
        )
        for (training, images), part in scores.groupby(["training", "images"])
    ]
    table = pd.concat(parts, ignore_index=True)
    write_table(snakemake.output[0], table)
    log.info("%d rows of %d systems", len(table), len(paths.full))
