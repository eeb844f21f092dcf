"""Figure of one system: the chosen sample of each image, the mean, and where samples disagree."""

from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import evenly_spaced, write_caption
from nsdrecon.pages.figures.pictures import samples_figure
from nsdrecon.store import read_ids

ROWS = 8

with job(snakemake):
    caption = samples_figure(
        snakemake.input.stimuli,
        snakemake.input.reconstructions,
        snakemake.input.samples,
        snakemake.output.figure,
        nsd_id=evenly_spaced(read_ids(snakemake.input.samples), ROWS),
        choice="evenly spaced through the ids of the test images",
        title=f"{snakemake.wildcards.subject}: {snakemake.params.title}",
    )
    write_caption(snakemake.output.caption, caption)
