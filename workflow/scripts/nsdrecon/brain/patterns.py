"""Synthetic responses: what would be reconstructed if one region alone were active.

A pattern is a response in which all voxels outside of a region are at their mean. It is decoded
like the response to a test image.

``binary``
    All voxels of the region are raised alike, as published with Brain-Diffuser.
``mean-response``
    The voxels of the region respond as they do, on average, to the tenth of the training images
    that drive the region most.

Each pattern is scaled on its own, to the length of a typical response of all voxels: a region of
few voxels would otherwise move the decoder hardly away from the mean image.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from nsdrecon.brain.region_decoding import read_regions
from nsdrecon.errors import InputError
from nsdrecon.regions import Region
from nsdrecon.ridge.responses import Gram
from nsdrecon.store import ID, create_h5

logger = logging.getLogger(__name__)

Pattern = Literal["binary", "mean-response"]
_DRIVING = 0.1  # share of the training images


def write_patterns(
    gram: str | Path,
    train_betas: str | Path,
    regions: Sequence[Region],
    volumes: Mapping[str, str | Path],
    output: str | Path,
    *,
    pattern: Pattern,
) -> None:
    """Write a response for each region, in the form of a file of test responses.

    The output holds ``nsd_id``, which numbers the regions, ``betas`` (n_regions, n_voxels)
    float32, ``voxel`` and ``affine``; its attribute ``regions`` has their names.

    Parameters
    ----------
    gram, train_betas
        File of `nsdrecon.ridge.responses`, and the responses it was made of.
    regions, volumes
        As in `nsdrecon.brain.region_decoding.read_regions`; a region without voxels that vary is
        left out.
    output
        HDF5 file, written all or nothing.
    pattern
        See above.

    Raises
    ------
    InputError
        If the pattern is none of those above, no region has a voxel that varies, or files are
        damaged or do not belong together.
    """
    if pattern not in get_args(Pattern):
        raise InputError("pattern", found=pattern, expected=", ".join(get_args(Pattern)))
    training = Gram.of(gram)
    varies = training.standardise.std > 0
    found = read_regions(regions, volumes, training.voxels)
    members = {name: flags & varies for name, flags in found.items() if (flags & varies).any()}
    if not members:
        raise InputError(gram, found="no region with a voxel that varies", expected="at least one")
    flags = np.stack(list(members.values()))
    patterns = flags.astype(np.float64)
    if pattern == "mean-response":
        patterns *= _driven_responses(training, train_betas, flags)
    length = np.linalg.norm(patterns, axis=1, keepdims=True)
    patterns *= np.sqrt(varies.sum()) / length
    with create_h5(output) as file:
        # Numbers of no training image: nothing is decoded that was trained on.
        file.create_dataset(ID, data=training.nsd_id.max() + 1 + np.arange(len(patterns)))
        betas = training.standardise.mean + training.standardise.std * patterns
        file.create_dataset("betas", data=betas.astype(np.float32))
        training.voxels.write(file)
        file.attrs.update(training.labels, pattern=pattern, regions=list(members))
    logger.info("%s patterns of %d regions: %s", pattern, len(members), ", ".join(members))


def _driven_responses(training: Gram, train_betas: str | Path, flags: np.ndarray) -> np.ndarray:
    """Mean response of all voxels to the images that drive each region, (n_regions, n_voxels)."""
    inside = torch.from_numpy(flags.astype(np.float64))
    drive = torch.zeros(len(training.nsd_id), len(flags), dtype=torch.float64)
    for columns, responses in training.standardised(train_betas, "cpu"):
        drive += responses @ inside[:, columns].T
    n_driving = max(1, round(_DRIVING * len(drive)))
    driving = drive.argsort(dim=0, descending=True, stable=True)[:n_driving]
    means = np.empty(flags.shape)
    for columns, responses in training.standardised(train_betas, "cpu"):
        means[:, columns] = responses[driving].mean(dim=0).numpy()
    return means
