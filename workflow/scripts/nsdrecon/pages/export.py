"""Pictures as PNG files that are named by their image, for the evaluators of other projects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from nsdrecon.logs import progress
from nsdrecon.store import read_array, read_ids
from nsdrecon.whole_files import whole_folder

logger = logging.getLogger(__name__)

_TOGETHER = 16  # images read at a time


def export_pictures(
    folder: str | Path, *, stimuli: str | Path, reconstructions: Mapping[str, str | Path]
) -> None:
    """Write every picture at its own size, all or nothing.

    Parameters
    ----------
    folder
        It gets ``seen/{nsd_id}.png`` and ``{name}/{nsd_id}.png``; with several samples of an image
        ``{name}/{nsd_id}_{sample}.png``. A folder that is there is replaced.
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n, size, size, 3).
    reconstructions
        Folder below ``folder`` to HDF5 with ``images`` (n, samples, size, size, 3).
    """
    count = 0
    with whole_folder(folder) as made:
        for name, path in progress(
            [("seen", stimuli), *reconstructions.items()], description="png"
        ):
            (made / name).mkdir(parents=True)
            ids = read_ids(path)
            for block in np.array_split(ids, -(-len(ids) // _TOGETHER)):
                for image, pictures in zip(block, read_array(path, "images", block), strict=True):
                    samples = pictures if pictures.ndim == 4 else pictures[None]
                    for sample, picture in enumerate(samples):
                        ending = f"_{sample}" if len(samples) > 1 else ""
                        Image.fromarray(picture).save(made / name / f"{image}{ending}.png")
                        count += 1
    logger.info("%d pictures in %s", count, folder)
