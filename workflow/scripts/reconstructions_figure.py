"""Figure of one subject: seen images beside the reconstructions of every system."""

from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import evenly_spaced, write_caption
from nsdrecon.pages.figures.pictures import reconstructions_figure
from nsdrecon.store import read_ids

ROWS = 12

with job(snakemake):
    caption = reconstructions_figure(
        snakemake.input.stimuli,
        dict(zip(snakemake.params.titles, snakemake.input.systems, strict=True)),
        snakemake.output.figure,
        nsd_id=evenly_spaced(read_ids(snakemake.input.systems[0]), ROWS),
        choice="evenly spaced through the ids of the test images",
        subject=snakemake.wildcards.subject,
    )
    write_caption(snakemake.output.caption, caption)
