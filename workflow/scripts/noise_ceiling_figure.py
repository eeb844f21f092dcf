"""Figure of all subjects: noise ceilings of the averaged test responses."""

import numpy as np

from nsdrecon.data.volumes import Voxels, read_map
from nsdrecon.evaluation.ceilings import noise_ceiling
from nsdrecon.job import job
from nsdrecon.pages.figures.drawing import write_caption
from nsdrecon.pages.figures.regression import noise_ceiling_figure
from nsdrecon.store import dataset, open_h5

with job(snakemake) as log:
    ceilings = {}
    for subject, betas, ncsnr in zip(
        snakemake.params.subjects, snakemake.input.betas, snakemake.input.ncsnr, strict=True
    ):
        with open_h5(betas) as file:
            voxels, repeats = Voxels.of(file), dataset(file, "repeats")[()]
        values = read_map(ncsnr, voxels)
        # The maps cover all sessions: a voxel that fell silent in one not used here has no value.
        known = np.isfinite(values)
        log.info("%s: %d of %d voxels have no ncsnr", subject, (~known).sum(), len(values))
        ceilings[subject] = noise_ceiling(values[known], repeats)
    caption = noise_ceiling_figure(ceilings, snakemake.output.figure)
    write_caption(snakemake.output.caption, caption)
