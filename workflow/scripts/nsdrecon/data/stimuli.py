"""Stimuli: the images that a run needs, out of the file of all images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.store import ID, create_h5, dataset, open_h5, read_rows, unique_ids

logger = logging.getLogger(__name__)

_BLOCK_IMAGES = 64  # 35 MB at NSD's 425 x 425


def extract_stimuli(path: str | Path, nsd_id: np.ndarray, output: str | Path) -> None:
    """Copy images out of ``nsd_stimuli.hdf5``, sorted by id, in blocks.

    The output holds ``nsd_id`` (n,) ascending and ``images`` (n, height, width, 3) uint8.

    Parameters
    ----------
    path
        File with `/imgBrick` of shape (n_stimuli, height, width, 3), uint8.
    nsd_id
        Shape (n,), each once, in any order.
    output
        HDF5 file, written all or nothing.

    Raises
    ------
    InputError
        If the file is missing, truncated or of another form, or has no image of an id.
    """
    nsd_id = np.sort(unique_ids(nsd_id, output))
    with open_h5(path) as file:
        images = stimulus_images(file)
        beyond = nsd_id[nsd_id >= len(images)]
        if len(beyond):
            raise InputError(
                path,
                found=f"{len(images)} images",
                expected=f"also nsd_id {listing(beyond)}",
            )
        logger.info("%d of %d stimuli from %s", len(nsd_id), len(images), path)
        write_stimuli(
            output, nsd_id, len(images), images.shape[1:], lambda block: read_rows(images, block)
        )


def write_stimuli(
    output: str | Path,
    nsd_id: np.ndarray,
    n_stimuli: int,
    shape: tuple[int, ...],
    read: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Write images in blocks, in the form of `extract_stimuli`.

    Parameters
    ----------
    output
        HDF5 file, written all or nothing.
    nsd_id
        Shape (n,), ascending.
    n_stimuli
        How many images the data set has.
    shape
        Of one image: height, width and 3.
    read
        Gives the images of some ids, (n_block, height, width, 3) uint8.
    """
    with create_h5(output) as extract:
        extract.create_dataset(ID, data=nsd_id)
        target = extract.create_dataset("images", (len(nsd_id), *shape), dtype=np.uint8)
        extract.attrs["n_stimuli"] = n_stimuli
        starts = range(0, len(nsd_id), _BLOCK_IMAGES)
        for start in progress(starts, description="stimuli", unit="block"):
            block = nsd_id[start : start + _BLOCK_IMAGES]
            target[start : start + len(block)] = read(block)


def stimulus_images(file: h5py.File) -> h5py.Dataset:
    """The stimuli of an open file, (n, height, width, 3) uint8.

    Raises
    ------
    InputError
        If it has none of this form.
    """
    images = dataset(file, "imgBrick")
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(
            file.filename,
            found=f"'imgBrick' of shape {images.shape} and type {images.dtype}",
            expected="(images, height, width, 3) of type uint8",
        )
    return images
