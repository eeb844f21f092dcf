"""Figure of one subject: cross-validated accuracy of every regression."""

from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.regression import regression_figure
from nsdrecon.store import read_table

with job(snakemake):
    tables = [read_table(path, ["part", "loo_correlation_mean"]) for path in snakemake.input]
    caption = regression_figure(
        dict(zip(snakemake.params.features, tables, strict=True)),
        snakemake.output.figure,
        subject=snakemake.wildcards.subject,
    )
    write_caption(snakemake.output.caption, caption)
