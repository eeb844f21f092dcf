"""Correlations of features where they lie: on the GPU that made them, or in memory."""

from __future__ import annotations

import numpy as np
import torch

from nsdrecon.errors import InputError
from nsdrecon.evaluation.similarity import correlation_matrix

# Values of a table that are worked on at a time: bounds the memory beside the features (32 MB).
_BLOCK_VALUES = 1 << 22


def correlations(ground_truth: torch.Tensor, reconstruction: torch.Tensor) -> np.ndarray:
    """:func:`~nsdrecon.evaluation.similarity.correlation_matrix` of features, on their device.

    Parameters
    ----------
    ground_truth, reconstruction
        Shape (n_images, n_features), float32, on one device.

    Returns
    -------
    Shape (n_images, n_images), float64; NaN in rows and columns of constant rows.

    Raises
    ------
    InputError
        If they hold non-finite values.
    """
    if ground_truth.device.type == "cpu":
        return correlation_matrix(ground_truth.numpy(), reconstruction.numpy())
    return on_device(ground_truth, reconstruction)


def on_device(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """The same by torch, in float64; sums are rounded in another order."""
    mean_x, mean_y = _row_means(x), _row_means(y)
    products = x.new_zeros((len(x), len(y)), dtype=torch.float64)
    squares_x, squares_y = products.new_zeros((len(x), 1)), products.new_zeros(len(y))
    step = max(1, _BLOCK_VALUES // max(len(x), len(y)))
    for start in range(0, x.shape[1], step):
        block_x, block_y = x[:, start : start + step] - mean_x, y[:, start : start + step] - mean_y
        products += block_x @ block_y.T
        squares_x[:, 0] += block_x.square().sum(dim=1)
        squares_y += block_y.square().sum(dim=1)
    squares_x[_constant_rows(x)] = torch.nan
    squares_y[_constant_rows(y)] = torch.nan
    return (products / squares_x.sqrt() / squares_y.sqrt()).cpu().numpy()


def _row_means(table: torch.Tensor) -> torch.Tensor:
    """Mean of each row in float64, shape (n_rows, 1)."""
    means = table.mean(dim=1, keepdim=True, dtype=torch.float64)
    if not torch.isfinite(means).all():
        raise InputError("features", found="values that are not finite", expected="numbers")
    return means


def _constant_rows(table: torch.Tensor) -> torch.Tensor:
    return table.amin(dim=1) == table.amax(dim=1)
