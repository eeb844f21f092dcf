"""How many dimensions of a brain the feature spaces of a subject are decoded from."""

from nsdrecon.brain.dimensions import dimensions_table
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.pages.figures.brain import dimensions_figure
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.store import write_table

with job(snakemake):
    files, params = snakemake.input, snakemake.params
    table = dimensions_table(
        files.gram,
        dict(zip(params.features, files.latents, strict=True)),
        alpha_grid=params.cfg["regression.alpha_grid"],
        resamples=params.cfg["evaluation.bootstrap"],
        seed=params.cfg["seed"],
        device=choose_device(params.how["device"], snakemake.threads),
        block=params.how["regression.block"],
    )
    write_table(snakemake.output.table, table)
    caption = dimensions_figure(table, snakemake.output.figure)
    write_caption(snakemake.output.caption, caption)
