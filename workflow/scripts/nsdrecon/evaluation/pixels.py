"""Pixel metrics: two pictures of one size to a number.

Pictures are floating point in [0, 1], shape (height, width, 3); the number is NaN where the metric
is undefined. Resizing is the protocol's.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2gray

from nsdrecon.evaluation.similarity import correlation_matrix

# Gaussian window of SSIM (Wang et al. 2004): 11 taps, so 5 pixels at each border are not scored.
_SIGMA = 1.5
_TRUNCATE = 3.5
_BORDER = 5
_C1 = 0.01**2
_C2 = 0.03**2


def pixel_correlation(ground_truth: np.ndarray, reconstruction: np.ndarray) -> float:
    """Pearson correlation over all pixels and colours (PixCorr); NaN if a picture is constant."""
    rows = (picture.reshape(1, -1) for picture in (ground_truth, reconstruction))
    return float(correlation_matrix(*rows)[0, 0])


def ssim(ground_truth: np.ndarray, reconstruction: np.ndarray) -> float:
    """Structural similarity of the grey pictures (luminance by ITU-R BT.709)."""
    return grey_ssim(rgb2gray(ground_truth), rgb2gray(reconstruction), axes=(0, 1))


def ssim_along_columns(ground_truth: np.ndarray, reconstruction: np.ndarray) -> float:
    """Structural similarity of the grey pictures along their columns.

    Every column is taken for a channel of a one-dimensional signal: what scikit-image before 0.20
    did with ``multichannel=True`` on a grey image, and so what Ozcelik and VanRullen (2023) report.
    """
    return grey_ssim(rgb2gray(ground_truth), rgb2gray(reconstruction), axes=(0,))


def grey_ssim(x: np.ndarray, y: np.ndarray, axes: tuple[int, ...]) -> float:
    """Mean structural similarity of two grey pictures with values in [0, 1].

    SSIM = (2 m_x m_y + C1)(2 c_xy + C2) / ((m_x^2 + m_y^2 + C1)(v_x + v_y + C2)), with local means,
    population variances and covariance under a Gaussian window (sigma 1.5, 11 taps, reflected
    border), C1 = 0.01^2, C2 = 0.03^2, averaged over the positions whose window is inside the
    picture.

    Parameters
    ----------
    x, y
        Shape (height, width), one floating-point type; the computation keeps it.
    axes
        Axes that the window spans: (0, 1) for the usual SSIM, (0,) along columns, for which
        scikit-image takes fifteen times as long.

    Notes
    -----
    Wang, Bovik, Sheikh, Simoncelli (2004), IEEE Trans. Image Processing 13, 600-612.
    """
    sigmas = [_SIGMA if axis in axes else 0 for axis in range(2)]

    def local_mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, sigmas, truncate=_TRUNCATE)

    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x * x) - mean_x * mean_x
    variance_y = local_mean(y * y) - mean_y * mean_y
    covariance = local_mean(x * y) - mean_x * mean_y
    similarity = (
        (2 * mean_x * mean_y + _C1)
        * (2 * covariance + _C2)
        / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))
    )
    inside = tuple(slice(_BORDER, -_BORDER) if axis in axes else slice(None) for axis in range(2))
    return float(similarity[inside].mean(dtype=np.float64))
