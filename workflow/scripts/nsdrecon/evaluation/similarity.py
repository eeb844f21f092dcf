"""Likeness of features: one matrix of correlations, from which every score is read.

Rows of the matrix are ground truths, columns reconstructions; in a square one, row i and column i
are the same image, so the diagonal holds each reconstruction's correlation with its own ground
truth. With the columns in another order it is the matrix of a shuffled floor.

A correlation with a constant row is undefined and given as NaN; in identification it is a miss, as
is a tie: only a ground truth that correlates *less* with the reconstruction counts as told apart.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from nsdrecon.errors import InputError

# Correlations that differ by less than this are equal but for the rounding of sums.
_TIE = 1e-12
# Values of a table that are worked on at a time: bounds the memory beside the features (32 MB).
_BLOCK_VALUES = 1 << 22


def correlation_matrix(ground_truth: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Pearson correlations of all rows of one table with all rows of another, in float64.

    The off-diagonal block of ``np.corrcoef`` of the stacked tables, without its float64 copies and
    without the products inside one table: blocks of features are centred and multiplied one by one.

    Parameters
    ----------
    ground_truth
        Shape (n_ground_truths, n_features), any real type.
    reconstruction
        Shape (n_reconstructions, n_features).

    Returns
    -------
    Shape (n_ground_truths, n_reconstructions); NaN in rows and columns of constant rows.

    Raises
    ------
    InputError
        If the tables do not have the same number of features or hold non-finite values.
    """
    x, y = ground_truth, reconstruction
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.size or not y.size:
        raise InputError(
            "features to correlate",
            found=f"shapes {x.shape} and {y.shape}",
            expected="two tables with the same number of features",
        )
    mean_x, mean_y = _row_means(x), _row_means(y)
    products = np.zeros((len(x), len(y)))
    squares_x, squares_y = np.zeros((len(x), 1)), np.zeros(len(y))
    step = max(1, _BLOCK_VALUES // max(len(x), len(y)))
    for start in range(0, x.shape[1], step):
        block_x, block_y = x[:, start : start + step] - mean_x, y[:, start : start + step] - mean_y
        products += block_x @ block_y.T
        squares_x[:, 0] += np.vecdot(block_x, block_x)
        squares_y += np.vecdot(block_y, block_y)
    squares_x[_constant_rows(x)] = np.nan
    squares_y[_constant_rows(y)] = np.nan
    return products / np.sqrt(squares_x) / np.sqrt(squares_y)


def told_apart(correlation: np.ndarray) -> np.ndarray:
    """Which ground truths correlate less with a reconstruction than its own ground truth does.

    Entry (i, j) is true if r(ground truth i, reconstruction j) < r(ground truth j, reconstruction
    j). Ties and undefined correlations are false, and so is the diagonal.

    Parameters
    ----------
    correlation
        :func:`correlation_matrix`, shape (n_images, n_images).

    Returns
    -------
    Shape (n_images, n_images), boolean.
    """
    _check_square(correlation)
    return correlation.diagonal() - correlation > _TIE


def two_way_identification(correlation: np.ndarray) -> np.ndarray:
    """Share of the other ground truths that each reconstruction is told apart from.

    The reconstruction is fixed and the ground truths vary: the share of ground truths i != j with
    r(ground truth i, reconstruction j) < r(ground truth j, reconstruction j). Chance is 0.5. The
    mean over reconstructions is the two-way identification of Ozcelik and VanRullen (2023).

    Parameters
    ----------
    correlation
        :func:`correlation_matrix`, shape (n_images, n_images), n_images at least 2.

    Returns
    -------
    Shape (n_images,), multiples of 1 / (n_images - 1).
    """
    n_images = len(correlation)
    if n_images < 2:
        raise InputError("identification", found=f"{n_images} images", expected="2 or more")
    return told_apart(correlation).sum(axis=0) / (n_images - 1)


def identification_within_category(correlation: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Two-way identification against ground truths of the same category only (hard negatives).

    Parameters
    ----------
    correlation
        :func:`correlation_matrix`, shape (n_images, n_images).
    category
        Shape (n_images,): the category of each ground truth.

    Returns
    -------
    Shape (n_images,); NaN for an image that is alone in its category.
    """
    category = np.asarray(category)
    if category.shape != (len(correlation),):
        raise InputError(
            "categories", found=f"shape {category.shape}", expected=f"({len(correlation)},)"
        )
    same = category[:, None] == category[None, :]
    others = same.sum(axis=0) - 1
    successes = (told_apart(correlation) & same).sum(axis=0)
    return np.divide(successes, others, out=np.full(len(others), np.nan), where=others > 0)


def correlation_distance(correlation: np.ndarray) -> np.ndarray:
    """One minus the correlation of every reconstruction with its own ground truth.

    Parameters
    ----------
    correlation
        :func:`correlation_matrix`, shape (n_images, n_images).

    Returns
    -------
    Shape (n_images,): 0 is best, 1 is no relation; NaN where a row is constant.
    """
    _check_square(correlation)
    return 1 - correlation.diagonal()


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


def _row_means(table: np.ndarray) -> np.ndarray:
    """Mean of each row in float64, shape (n_rows, 1)."""
    means = table.mean(axis=1, keepdims=True, dtype=np.float64)
    if not np.isfinite(means).all():
        raise InputError("features", found="values that are not finite", expected="numbers")
    return means


def _constant_rows(table: np.ndarray) -> np.ndarray:
    return table.min(axis=1) == table.max(axis=1)


def _check_square(correlation: np.ndarray) -> None:
    n_ground_truths, n_reconstructions = correlation.shape
    if n_ground_truths != n_reconstructions:
        raise InputError(
            "features to compare",
            found=f"{n_ground_truths} ground truths and {n_reconstructions} reconstructions",
            expected="one reconstruction a ground truth",
        )
