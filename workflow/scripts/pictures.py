"""Figure of one subject: what each region alone is reconstructed as."""

from nsdrecon.job import job
from nsdrecon.pages.figures.brain import pictures_figure
from nsdrecon.pages.figures.drawing import write_caption

with job(snakemake):
    caption = pictures_figure(
        snakemake.input.patterns,
        dict(zip(snakemake.params.titles, snakemake.input.pictures, strict=True)),
        snakemake.output.figure,
    )
    write_caption(snakemake.output.caption, caption)
