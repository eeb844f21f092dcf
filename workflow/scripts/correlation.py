"""Responses that a subject's reconstructions predict, against the measured ones."""

from functools import partial

import numpy as np

from nsdrecon.brain.correlation import correlation_table, measured_responses, predicted_responses
from nsdrecon.brain.encoding import EncodingModel, accuracy_table
from nsdrecon.brain.maps import training_ceiling
from nsdrecon.brain.region_decoding import ALL, read_regions
from nsdrecon.devices import choose_device
from nsdrecon.extensions import implementation
from nsdrecon.job import job
from nsdrecon.pages.figures.brain import correlation_figure
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.regions import Region
from nsdrecon.store import write_table

with job(snakemake) as log:
    files, params, how = snakemake.input, snakemake.params, snakemake.params.how
    device = choose_device(how["device"], snakemake.threads)
    model = EncodingModel.of(files.encoding, files.latents)
    nsd_id, measured = measured_responses(model, files.betas)
    varies = model.standardise.std > 0
    regions = [Region(*row) for row in params.regions]
    volumes = dict(zip(params.volumes, files.volumes, strict=True))
    found = read_regions(regions, volumes, model.voxels)
    members = {ALL: varies} | {name: flags & varies for name, flags in found.items()}
    ceiling = training_ceiling(files.ncsnr, files.train_betas, model.voxels)
    write_table(snakemake.output.accuracy, accuracy_table(model.accuracy, ceiling, members))
    encode = partial(
        implementation(params.encoder),
        folder=params.folder,
        batch_size=how["latents.batch_size"],
        device=device,
        **params.settings,
    )
    predicted = {}
    for name, path in zip(params.pictures, files.pictures, strict=True):
        predicted[name] = predicted_responses(
            model, path, nsd_id, encode, device=device, block=how["regression.block"]
        )
        spread = predicted[name].std(axis=0)[:, varies].mean()
        log.info("%s: predicted responses vary by %.3f of the measured", name, spread)
    table = correlation_table(
        predicted,
        measured,
        {name: flags for name, flags in members.items() if np.any(flags)},
        floors_of=params.floors,
        resamples=params.cfg["evaluation.bootstrap"],
        seed=params.cfg["seed"],
    )
    table.insert(0, "subject", snakemake.wildcards.subject)
    write_table(snakemake.output.table, table)
    shown = {"titles": params.titles, "features": params.cfg["brain.encoding"]}
    caption = correlation_figure(table, snakemake.output.figure, **shown)
    write_caption(snakemake.output.caption, caption)
