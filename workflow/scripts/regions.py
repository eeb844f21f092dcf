"""Every feature space of a subject, decoded from each region alone and without it."""

from nsdrecon.brain.region_decoding import decode_regions
from nsdrecon.devices import choose_device
from nsdrecon.job import job
from nsdrecon.pages.figures.brain import regions_figure
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.regions import Region
from nsdrecon.store import write_table

with job(snakemake):
    files, params = snakemake.input, snakemake.params
    table = decode_regions(
        files.gram,
        files.betas,
        dict(zip(params.features, files.latents, strict=True)),
        [Region(*row) for row in params.regions],
        dict(zip(params.volumes, files.volumes, strict=True)),
        alpha_grid=params.cfg["regression.alpha_grid"],
        resamples=params.cfg["evaluation.bootstrap"],
        seed=params.cfg["seed"],
        device=choose_device(params.how["device"], snakemake.threads),
        block=params.how["regression.block"],
    )
    write_table(snakemake.output.table, table)
    caption = regions_figure(table, snakemake.output.figure)
    write_caption(snakemake.output.caption, caption)
