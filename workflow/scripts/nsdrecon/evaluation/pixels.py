"""Pixel metrics: two pictures of one size to a number.

Pictures are floating point in [0, 1], shape (height, width, 3); the number is NaN where the metric
is undefined. Resizing is the protocol's.

A metric is a function of two pictures. One that spends most of its time on each picture by itself
is a :class:`PreparedMetric`, so that a picture that is compared with several is prepared once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2gray

from nsdrecon.errors import InputError

# Gaussian window of SSIM (Wang et al. 2004): 11 taps, so 5 pixels at each border are not scored.
_SIGMA = 1.5
_TRUNCATE = 3.5
_BORDER = 5
_C1 = 0.01**2
_C2 = 0.03**2

Axes = tuple[int, ...]


@dataclass(frozen=True)
class PreparedMetric:
    """A metric that is called with two pictures, or compares what was prepared of each.

    Attributes
    ----------
    prepare
        Picture to whatever ``compare`` needs of it.
    compare
        What was prepared of the ground truth and of the reconstruction to the number.
    """

    prepare: Callable[[np.ndarray], Any]
    compare: Callable[[Any, Any], float]

    def __call__(self, ground_truth: np.ndarray, reconstruction: np.ndarray) -> float:
        """The metric of two pictures."""
        return self.compare(self.prepare(ground_truth), self.prepare(reconstruction))


@dataclass(frozen=True)
class _Centred:
    """All values of a picture less their mean, (1, n), float64, and the sum of their squares."""

    values: np.ndarray
    square: np.ndarray


def _centred(picture: np.ndarray) -> _Centred:
    row = picture.reshape(1, -1)
    mean = row.mean(axis=1, keepdims=True, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise InputError("picture", found="values that are not finite", expected="numbers")
    values = row - mean
    square = np.vecdot(values, values)
    if row.min() == row.max():
        square[:] = np.nan
    return _Centred(values, square)


def _correlation(x: _Centred, y: _Centred) -> float:
    return float((x.values @ y.values.T)[0, 0] / np.sqrt(x.square[0]) / np.sqrt(y.square[0]))


@dataclass(frozen=True)
class _Local:
    """A grey picture with its local means and population variances."""

    grey: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


def _local_mean(image: np.ndarray, axes: Axes) -> np.ndarray:
    sigmas = [_SIGMA if axis in axes else 0 for axis in range(2)]
    return gaussian_filter(image, sigmas, truncate=_TRUNCATE)


def _local(grey: np.ndarray, axes: Axes) -> _Local:
    mean = _local_mean(grey, axes)
    return _Local(grey, mean, _local_mean(grey * grey, axes) - mean * mean)


def _similarity(x: _Local, y: _Local, axes: Axes) -> float:
    covariance = _local_mean(x.grey * y.grey, axes) - x.mean * y.mean
    similarity = (
        (2 * x.mean * y.mean + _C1)
        * (2 * covariance + _C2)
        / ((x.mean**2 + y.mean**2 + _C1) * (x.variance + y.variance + _C2))
    )
    inside = tuple(slice(_BORDER, -_BORDER) if axis in axes else slice(None) for axis in range(2))
    return float(similarity[inside].mean(dtype=np.float64))


def _ssim(axes: Axes) -> PreparedMetric:
    """Mean structural similarity of the grey pictures, under a window that spans some axes.

    SSIM = (2 m_x m_y + C1)(2 c_xy + C2) / ((m_x^2 + m_y^2 + C1)(v_x + v_y + C2)), with local means,
    population variances and covariance under a Gaussian window (sigma 1.5, 11 taps, reflected
    border), C1 = 0.01^2, C2 = 0.03^2, averaged over the positions whose window is inside the
    picture (Wang, Bovik, Sheikh, Simoncelli 2004, IEEE Trans. Image Processing 13, 600-612).
    """
    return PreparedMetric(
        lambda picture: _local(rgb2gray(picture), axes), partial(_similarity, axes=axes)
    )


pixel_correlation = PreparedMetric(_centred, _correlation)
"""Pearson correlation over all pixels and colours (PixCorr); NaN if a picture is constant."""

ssim = _ssim((0, 1))
"""Structural similarity of the grey pictures (luminance by ITU-R BT.709)."""

ssim_along_columns = _ssim((0,))
"""Structural similarity of the grey pictures along their columns.

Every column is taken for a channel of a one-dimensional signal: what scikit-image before 0.20 did
with ``multichannel=True`` on a grey image, and so what Ozcelik and VanRullen (2023) report. Today's
takes fifteen times as long for it.
"""
