"""Scores of reconstructions against ground truths: arrays in, one value an image out.

Pixel scores compare two pictures of one size. Feature scores compare two tables of features whose
rows are the same images in the same order.

A correlation with a constant row is undefined and given as NaN; in identification it is a miss, as
is a tie: only a ground truth that correlates *less* with the reconstruction counts as told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import gammaln

from nsdrecon.errors import InputError
from nsdrecon.evaluation import screening

# Weights of red, green and blue in the grey image of both protocols (ITU-R BT.709).
GREY_WEIGHTS = (0.2125, 0.7154, 0.0721)

# Gaussian window of SSIM (Wang et al. 2004): 11 taps, so 5 pixels at each border are not scored.
_SSIM_SIGMA = 1.5
_SSIM_TRUNCATE = 3.5
_SSIM_BORDER = 5
_SSIM_C1 = 0.01**2
_SSIM_C2 = 0.03**2

# Correlations that differ by less than this are equal but for the rounding of float64 sums.
_TIE = 1e-12
# Error of the float32 products; pairs closer than this are computed again in float64.
_PRODUCT_ERROR = 5e-6
# Share of the pairs that may be left undecided by 8-bit products: more are quicker all in float32.
_MOST_CLOSE = 0.03
# Share of the squared mean that a row's variance must exceed to be summed without centring.
_LEAST_VARIANCE = 0.1
# Elements of one working block: bounds the memory beside the features (16 MB in float32).
_BLOCK_ELEMENTS = 1 << 22
# Features whose products are summed in float32; wide enough to be multiplied at full speed.
_PRODUCT_FEATURES = 8192


def grey(image: np.ndarray) -> np.ndarray:
    """Luminance of an RGB image, (height, width, 3) floating point to (height, width)."""
    return image @ np.asarray(GREY_WEIGHTS, dtype=image.dtype)


def pixel_correlation(ground_truth: np.ndarray, reconstruction: np.ndarray) -> float:
    """Pearson correlation over all pixels and colours of two images of one shape (PixCorr).

    NaN where one of them is constant.
    """
    return float(row_correlation(ground_truth.reshape(1, -1), reconstruction.reshape(1, -1))[0])


def ssim(
    ground_truth: np.ndarray, reconstruction: np.ndarray, axes: tuple[int, ...] = (0, 1)
) -> float:
    """Mean structural similarity of two grey images with values in [0, 1].

    SSIM = (2 m_x m_y + C1)(2 c_xy + C2) / ((m_x^2 + m_y^2 + C1)(v_x + v_y + C2)), with local means,
    population variances and covariance under a Gaussian window (sigma 1.5, 11 taps, reflected
    border), C1 = 0.01^2, C2 = 0.03^2, averaged over the positions whose window is inside the image.

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (height, width), one floating-point type; the computation keeps it.
    axes
        Axes that the window spans. (0, 1) is the usual SSIM. (0,) takes every column for a
        channel of a one-dimensional signal: what scikit-image before 0.20 did with
        ``multichannel=True`` on a grey image, and so what Ozcelik and VanRullen (2023) report.

    Notes
    -----
    Wang, Bovik, Sheikh, Simoncelli (2004), IEEE Trans. Image Processing 13, 600-612.
    """
    sigmas = [_SSIM_SIGMA if axis in axes else 0 for axis in range(2)]

    def local_mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, sigmas, truncate=_SSIM_TRUNCATE)

    x, y = ground_truth, reconstruction
    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x * x) - mean_x * mean_x
    variance_y = local_mean(y * y) - mean_y * mean_y
    covariance = local_mean(x * y) - mean_x * mean_y
    similarity = (
        (2 * mean_x * mean_y + _SSIM_C1)
        * (2 * covariance + _SSIM_C2)
        / ((mean_x**2 + mean_y**2 + _SSIM_C1) * (variance_x + variance_y + _SSIM_C2))
    )
    inside = tuple(
        slice(_SSIM_BORDER, -_SSIM_BORDER) if axis in axes else slice(None) for axis in range(2)
    )
    return float(similarity[inside].mean(dtype=np.float64))


def row_correlation(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Pearson correlation of every row with its own counterpart, in float64.

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (n_images, n_features); row i of both is the same image.

    Returns
    -------
    Shape (n_images,); NaN where a row is constant.
    """
    _check_pair(ground_truth, reconstruction)
    result = np.empty(len(ground_truth))
    for rows in _blocks(len(ground_truth), ground_truth.shape[1]):
        x, y = _unit_rows(ground_truth[rows]), _unit_rows(reconstruction[rows])
        result[rows] = np.vecdot(x, y)
    return result


def correlation_distance(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """One minus the Pearson correlation of every row with its counterpart, shape (n_images,).

    0 is best, 1 is no relation; NaN where a row is constant.
    """
    return 1 - row_correlation(ground_truth, reconstruction)


def correlation_matrix(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Pearson correlations of all rows of one table with all rows of another.

    The same as the off-diagonal block of ``np.corrcoef`` of the stacked tables (to 1e-6), without
    its float64 copies and without the products inside one table: products are float32 inside a
    block of features, their sums over blocks float64.

    Parameters
    ----------
    ground_truth
        Shape (n_ground_truths, n_features), any real type.
    reconstruction
        Shape (n_reconstructions, n_features).

    Returns
    -------
    Shape (n_ground_truths, n_reconstructions), float64; NaN in rows and columns of constant rows.

    Raises
    ------
    InputError
        If the tables do not have the same number of features or hold non-finite values.
    """
    _check_features(ground_truth, reconstruction)
    return _correlations(_Rows(ground_truth), _Rows(reconstruction))


def told_apart(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Which ground truths correlate less with a reconstruction than its own ground truth does.

    Entry (i, j) is true if r(ground truth i, reconstruction j) < r(ground truth j, reconstruction
    j). Ties and undefined correlations are false, and so is the diagonal. Pairs too close for the
    float32 product are decided in float64, so the answer does not depend on blocks or threads.

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (n_images, n_features); row i of both is the same image.

    Returns
    -------
    Shape (n_images, n_images), boolean.
    """
    _check_pair(ground_truth, reconstruction)
    x, y = _Rows(ground_truth), _Rows(reconstruction)
    difference = _screened_differences(x, y) if screening.pays(x.table, y.table) else None
    if difference is None:
        correlation = _correlations(x, y)
        difference = correlation.diagonal() - correlation
    np.fill_diagonal(difference, np.nan)
    result = difference > 0
    close = np.abs(difference) < _PRODUCT_ERROR
    for j in np.flatnonzero(close.any(axis=0)):
        made = y.exact([j])
        own = _exact_correlations(x.exact([j]), made)
        for rows in _blocks(x.n_rows, x.n_features, close[:, j]):
            result[rows, j] = own - _exact_correlations(x.exact(rows), made) > _TIE
    return result


def two_way_identification(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Share of the other ground truths that each reconstruction is told apart from.

    The reconstruction is fixed and the ground truths vary: the share of ground truths i != j with
    r(ground truth i, reconstruction j) < r(ground truth j, reconstruction j). Chance is 0.5. The
    mean over reconstructions is the two-way identification of Ozcelik and VanRullen (2023).

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (n_images, n_features), n_images at least 2; row i of both is the same image.

    Returns
    -------
    Shape (n_images,), multiples of 1 / (n_images - 1).

    Raises
    ------
    InputError
        If there are fewer than two images, shapes differ or values are not finite.
    """
    n_images = len(ground_truth)
    if n_images < 2:
        raise InputError("identification", found=f"{n_images} images", expected="2 or more")
    return told_apart(ground_truth, reconstruction).sum(axis=0) / (n_images - 1)


def identification_within_category(
    ground_truth: np.ndarray, reconstruction: np.ndarray, category: np.ndarray
) -> np.ndarray:
    """Two-way identification against ground truths of the same category only (hard negatives).

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (n_images, n_features); row i of both is the same image.
    category
        Shape (n_images,): the category of each ground truth.

    Returns
    -------
    Shape (n_images,); NaN for an image that is alone in its category.
    """
    category = np.asarray(category)
    if category.shape != (len(ground_truth),):
        raise InputError(
            "categories", found=f"shape {category.shape}", expected=f"({len(ground_truth)},)"
        )
    same = category[:, None] == category[None, :]
    others = same.sum(axis=0) - 1
    successes = (told_apart(ground_truth, reconstruction) & same).sum(axis=0)
    return np.divide(successes, others, out=np.full(len(others), np.nan), where=others > 0)


def n_way_accuracy(two_way: np.ndarray, n_images: int, n_way: int) -> np.ndarray:
    """Expected accuracy of picking the right image among ``n_way``, over all sets of distractors.

    A reconstruction told apart from s of the N - 1 other ground truths is right if all its n - 1
    distractors are among those s: C(s, n-1) / C(N-1, n-1). No sets need to be drawn.

    Parameters
    ----------
    two_way
        Two-way identification of each reconstruction among all images, shape (n_images,).
    n_images
        Number N of images that it was computed among.
    n_way
        Number n of candidates, 2 to N. Chance is 1 / n.

    Returns
    -------
    Shape (n_images,).
    """
    if not 2 <= n_way <= n_images:
        raise InputError("n-way identification", found=n_way, expected=f"2 to {n_images}")
    successes = np.rint(np.asarray(two_way) * (n_images - 1))
    distractors = n_way - 1
    possible = successes >= distractors
    s = np.where(possible, successes, distractors)
    log_share = _log_choose(s, distractors) - _log_choose(n_images - 1, distractors)
    return np.where(possible, np.exp(log_share), 0.0)


def _log_choose(n: np.ndarray | int, k: int) -> np.ndarray:
    return gammaln(np.asarray(n) + 1.0) - gammaln(k + 1.0) - gammaln(np.asarray(n) - k + 1.0)


def _check_features(x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.shape[1]:
        raise InputError(
            "features to correlate",
            found=f"shapes {x.shape} and {y.shape}",
            expected="two tables with the same number of features",
        )


def _check_pair(x: np.ndarray, y: np.ndarray) -> None:
    _check_features(x, y)
    if len(x) != len(y):
        raise InputError(
            "features to correlate",
            found=f"{len(x)} ground truths and {len(y)} reconstructions",
            expected="one reconstruction a ground truth",
        )


def _blocks(
    n_items: int, item_size: int, wanted: np.ndarray | None = None
) -> Iterator[np.ndarray | slice]:
    """Index blocks of at most ``_BLOCK_ELEMENTS`` elements over all, or the wanted, items."""
    step = max(1, _BLOCK_ELEMENTS // max(item_size, 1))
    if wanted is None:
        yield from (slice(start, start + step) for start in range(0, n_items, step))
    else:
        positions = np.flatnonzero(wanted)
        yield from (positions[start : start + step] for start in range(0, len(positions), step))


def _screened_differences(x: _Rows, y: _Rows) -> np.ndarray | None:
    """How much more each reconstruction correlates with its own ground truth than with each other.

    The sign is right, and what is near 0 is computed in float32. None where the rows' moments, or
    the many pairs that are close, ask for float32 throughout.
    """
    x.count_all()
    y.count_all()
    if x.needs_centring() or y.needs_centring():
        return None

    def in_float32(i: int | slice, j: int | slice) -> np.ndarray:
        covariance = np.vecdot(x.table[i], y.table[j]) / x.n_features - x_mean[i] * y_mean[j]
        return covariance / (x_deviation[i] * y_deviation[j])

    x_mean, x_deviation, y_mean, y_deviation = x.mean, x.deviation, y.mean, y.deviation
    correlation, error = screening.approximate_correlations(
        screening.Rows(x.table, x_mean, x_deviation), screening.Rows(y.table, y_mean, y_deviation)
    )
    own = in_float32(slice(None), slice(None))
    difference = own - correlation
    close = np.abs(difference) < error + _PRODUCT_ERROR
    np.fill_diagonal(close, False)
    if close.mean() > _MOST_CLOSE:
        return None
    for j, i in np.argwhere(close.T):  # by reconstructions, so that one stays in the cache
        difference[i, j] = own[j] - in_float32(i, j)
    return difference


def _correlations(x: _Rows, y: _Rows) -> np.ndarray:
    """Correlations of all rows of one table with all rows of another, products in float32."""
    products = _products(x, y)
    if x.centre_if_needed() | y.centre_if_needed():  # both, not the first alone
        products = _products(x, y)
    covariance = products / x.n_features - np.outer(x.mean, y.mean)
    return covariance / x.deviation[:, None] / y.deviation


def _products(x: _Rows, y: _Rows) -> np.ndarray:
    """Sums over features of the rows' products; the rows' moments on the way, for one reading."""
    products = np.zeros((x.n_rows, y.n_rows))
    part = np.empty(products.shape, dtype=np.float32)
    x.forget()
    y.forget()
    # Values beyond float32 overflow here; their rows are scaled before the second reading.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, x.n_features, _PRODUCT_FEATURES):
            columns = slice(start, start + _PRODUCT_FEATURES)
            left, right = x.block(columns), y.block(columns)
            x.count(left)
            y.count(right)
            products += np.matmul(left, right.T, out=part)
    return products


def _exact_correlations(rows: _Exact, one: _Exact) -> np.ndarray:
    """Correlations of some rows with one row, in float64, shape (n_rows,)."""
    covariance = rows.values @ one.values[0] / one.values.shape[1] - rows.mean * one.mean
    return covariance / rows.deviation / one.deviation


class _Exact(NamedTuple):
    """Some rows of a table and their moments, float64."""

    values: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


class _Rows:
    """Rows of a table as float32 blocks, with the moments of the blocks that were counted.

    The features of networks are taken as they are, without a copy. Only rows whose mean would drown
    their variance in rounding, or whose squares leave the range of float32, are moved to mean zero
    and scaled to range one.
    """

    def __init__(self, table: np.ndarray) -> None:
        self.table = table
        self.n_rows, self.n_features = table.shape
        self._centre, self._scale = None, None
        self._exact_moments = np.full((2, self.n_rows), np.nan)
        self.forget()

    def forget(self) -> None:
        """Count from nothing."""
        self._sums, self._squares = np.zeros(self.n_rows), np.zeros(self.n_rows)

    def block(self, columns: slice) -> np.ndarray:
        values = self.table[:, columns]
        if self._centre is not None:
            values = (values - self._centre) * self._scale
        return values.astype(np.float32, copy=False)

    def count_all(self) -> None:
        """Take the whole table into the moments."""
        self.forget()
        for start in range(0, self.n_features, _PRODUCT_FEATURES):
            self.count(self.table[:, start : start + _PRODUCT_FEATURES])

    def count(self, values: np.ndarray) -> None:
        """Take a block into the moments."""
        self._sums += values @ np.ones(values.shape[1], dtype=np.float32)
        self._squares += np.vecdot(values, values)

    @property
    def mean(self) -> np.ndarray:
        """Mean of each row of the blocks, float64, (n_rows,)."""
        return self._sums / self.n_features

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each row, float64, (n_rows,); NaN if it is constant."""
        return np.sqrt(self._variance())

    def _variance(self) -> np.ndarray:
        return self._squares / self.n_features - self.mean**2

    def needs_centring(self) -> bool:
        """Whether a mean drowns its row's variance in rounding, or squares were too large."""
        with np.errstate(invalid="ignore"):
            variance = self._variance()
        return not ((variance > _LEAST_VARIANCE * self.mean**2) & np.isfinite(variance)).all()

    def centre_if_needed(self) -> bool:
        """Move the rows to mean zero if float32 needs it; whether the blocks are new."""
        if not self.needs_centring():
            return False
        self._centre, self._scale = _centre_and_scale(self.table)
        return True

    def exact(self, rows: np.ndarray | list[int]) -> _Exact:
        """Some rows in float64; their moments are computed once."""
        values = self.table[rows].astype(np.float64)
        if self._centre is not None:
            values -= self._centre[rows]
            values *= self._scale[rows]
        mean, deviation = self._exact_moments[:, rows]
        if np.isnan(mean).any():
            mean = values.mean(axis=1)
            deviation = np.sqrt(np.vecdot(values, values) / self.n_features - mean**2)
            self._exact_moments[:, rows] = mean, deviation
        return _Exact(values, mean, deviation)


def _centre_and_scale(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1 / range of each row, float64, shape (n_rows, 1); the scale of a constant is
    NaN."""
    mean, scale = np.empty((len(table), 1)), np.empty((len(table), 1))
    for rows in _blocks(len(table), table.shape[1]):
        values = np.asarray(table[rows], dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError("features", found="values that are not finite", expected="numbers")
        spread = np.ptp(values, axis=1, keepdims=True)
        mean[rows] = values.mean(axis=1, keepdims=True)
        scale[rows] = np.divide(1, spread, out=np.full_like(spread, np.nan), where=spread > 0)
    return mean, scale


def _unit_rows(table: np.ndarray) -> np.ndarray:
    """Rows centred and scaled to unit norm, float64; NaN for constant rows."""
    rows = np.array(table, dtype=np.float64)
    constant = np.ptp(rows, axis=1, keepdims=True) == 0
    rows -= rows.mean(axis=1, keepdims=True)
    if not np.isfinite(rows).all():
        raise InputError("features", found="values that are not finite", expected="numbers")
    norm = np.sqrt(np.vecdot(rows, rows))[:, None]
    norm[constant] = np.nan
    rows /= norm
    return rows
