"""Figure of one subject: the images that were reconstructed best, about as most, and worst."""

from nsdrecon.job import job
from nsdrecon.metrics import from_params, identification_names
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.pictures import extremes_figure
from nsdrecon.store import read_table

with job(snakemake):
    columns = {row["name"]: from_params(row) for row in snakemake.params.metrics}
    # Of networks the last one, which sees what a picture is of; the first metric without any.
    names = [next(iter(columns)), *identification_names(columns.values())]
    caption = extremes_figure(
        snakemake.input.stimuli,
        dict(zip(snakemake.params.titles, snakemake.input.systems, strict=True)),
        [read_table(path) for path in snakemake.input.scores],
        snakemake.output.figure,
        metric=columns[names[-1]],
        subject=snakemake.wildcards.subject,
    )
    write_caption(snakemake.output.caption, caption)
