"""Noise ceilings: how much of a voxel's averaged response the seen image can explain."""

from __future__ import annotations

import numpy as np

from nsdrecon.errors import InputError


def noise_ceiling(ncsnr: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Explainable share of the variance of averaged responses, in per cent.

    100 ncsnr^2 / (ncsnr^2 + mean(1/n)), with n the repeats of each image.

    Parameters
    ----------
    ncsnr
        Noise-ceiling signal-to-noise ratio of each voxel (standard deviation of the signal over
        that of the noise in one trial), shape (n_voxels,).
    repeats
        Number of averaged repeats of each image, shape (n_images,), all at least 1.

    Returns
    -------
    Shape (n_voxels,), 0 to 100.

    Notes
    -----
    Allen et al. (2022), Nature Neuroscience 25, 116-126; with unequal repeats the noise variance of
    the averages is the mean over images.
    """
    ncsnr, repeats = np.asarray(ncsnr, dtype=np.float64), np.asarray(repeats, dtype=np.float64)
    if not len(repeats) or (repeats < 1).any():
        raise InputError("repeats", found=repeats.tolist()[:5], expected="1 or more for each image")
    if not np.isfinite(ncsnr).all() or (ncsnr < 0).any():
        raise InputError("ncsnr", found="negative or non-finite values", expected="0 or more")
    signal = ncsnr**2
    return 100 * signal / (signal + (1 / repeats).mean())
