"""Noise ceilings: how much of a voxel's response to an image comes back when it is shown again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from nsdrecon.data.session_files import Session, read_block
from nsdrecon.data.volumes import Voxels, write_map
from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.store import ID, open_h5

logger = logging.getLogger(__name__)

_BLOCK_VOXELS = 256


def training_ncsnr(
    sessions: Sequence[Session], trials: pd.DataFrame, voxels: np.ndarray, subject: str
) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio of some voxels (ascending), from training trials alone.

    With responses standardised over the training trials of each session, so that their total
    variance is 1::

        noise variance = mean over images of the variance (ddof 1) over the repeats of an image
        ncsnr = sqrt(max(0, 1 - noise variance)) / sqrt(noise variance)

    This is how NSD estimates it (Allen et al., 2022, Nature Neuroscience 25, 116-126, Methods,
    "Noise ceiling estimation"), but NSD takes the images with three trials in all sessions, test
    images among them; here it is the training images with two or more in the sessions used.

    Returns
    -------
    (len(voxels),) float64; infinite where repeats do not differ.

    Raises
    ------
    InputError
        If no training image has two trials.
    """
    shown = trials.reset_index(drop=True)
    shown = shown[shown["split"] == "train"]
    shown = shown[shown.duplicated(ID, keep=False)]
    if shown.empty:
        raise InputError(
            f"trial table of {subject}",
            found="no training image with two trials",
            expected="some, to tell signal from noise for responses.min_ncsnr",
            remedy="Use more sessions, or set responses.min_ncsnr: null.",
        )
    return _ncsnr(sessions, shown, voxels, subject)


def write_ncsnr_map(
    sessions: Mapping[int, str | Path], trials: pd.DataFrame, subject: str, output: str | Path
) -> None:
    """The map of the noise ceiling's signal-to-noise ratio, from the repeats of all images.

    Test images are among them, so nothing is trained or chosen by it: it is drawn, mapped, and
    stands beside accuracies of encoding. Voxels that are not finite or do not vary in some session
    have no value, and none has one where no image was shown twice.

    Parameters
    ----------
    sessions
        Session number to its file: the sessions of the trial table.
    trials
        Trial table of the subject.
    subject
        Whose responses these are.
    output
        NIfTI file, written all or nothing.
    """
    shown = trials.sort_values(["session", "trial"]).reset_index(drop=True)
    shown = shown[shown.duplicated(ID, keep=False)]
    with ExitStack() as stack:
        files = [stack.enter_context(open_h5(sessions[number])) for number in sorted(sessions)]
        opened = [Session(file, np.ones(len(file["betas"]), dtype=bool)) for file in files]
        voxels = Voxels.of(files[0])
        values = np.full(len(voxels), np.nan, dtype=np.float32)
        usable = np.flatnonzero(np.all([_varies(file["betas"][()]) for file in files], axis=0))
        if shown.empty:
            logger.warning("%s: no image was shown twice, so there is no noise ceiling", subject)
        else:
            values[usable] = _ncsnr(opened, shown, usable, subject)
    write_map(output, values, voxels)


def _varies(betas: np.ndarray) -> np.ndarray:
    lowest, highest = betas.min(axis=0), betas.max(axis=0)
    return np.isfinite(lowest) & np.isfinite(highest) & (lowest < highest)


def _ncsnr(
    sessions: Sequence[Session], shown: pd.DataFrame, voxels: np.ndarray, subject: str
) -> np.ndarray:
    """The ratio of some voxels (ascending) from some trials, all of repeated images.

    The index of ``shown`` counts the trials of all sessions together.
    """
    _, image, counts = np.unique(shown[ID], return_inverse=True, return_counts=True)
    # (images x trials): times betas it is the mean over an image's repeats.
    means_of = scipy.sparse.csr_array((1 / counts[image], (image, np.arange(len(shown)))))
    weight = 1 / (counts - 1)[image] / len(counts)
    noise = np.empty(len(voxels))
    starts = range(0, len(voxels), _BLOCK_VOXELS)
    for start in progress(starts, description=f"{subject} noise ceiling", unit="block"):
        columns = slice(start, start + _BLOCK_VOXELS)
        betas = read_block(sessions, voxels[columns], zscore=True)[shown.index]
        betas -= (means_of @ betas)[image]
        noise[columns] = weight @ np.square(betas, out=betas)
    with np.errstate(divide="ignore"):
        ncsnr = np.sqrt(np.maximum(0, 1 - noise) / noise)
    logger.info(
        "%s: ncsnr from the repeats of %d images: median %.3f over %d voxels",
        *(subject, len(counts), np.median(ncsnr), len(ncsnr)),
    )
    return ncsnr
