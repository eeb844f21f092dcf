"""Correlations of large tables by products of 8-bit integers: quick, with a bound of their error.

Identification asks which of two correlations is larger, and few pairs are so close that it takes
all digits to tell. Processors with instructions for 8-bit integers multiply them about four times
as fast as float32, and sum them exactly; what is lost is what the rows lose when they are rounded.

Values are rounded up or down at random, up the likelier the nearer (stochastic rounding). Then the
errors of different features are independent and zero on average, so that in a sum over n features
they grow as sqrt(n), and Hoeffding's inequality bounds them whatever the features are.

Hoeffding (1963), Journal of the American Statistical Association 58, 13-30.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

# Any of these multiplies 8-bit integers without overflow on the way.
_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")
# Below so many products, float32 is as quick.
_LEAST_PRODUCTS = 10**10
# Rows are scaled to +-_LARGEST; half a step is left for rounding up, and for that of float32.
_LARGEST = 126.5
# Features multiplied at a time: 127^2 times as many still fit into 32 bits.
_FEATURES = 1 << 16
# Elements rounded at a time: they stay in the processor's cache.
_ELEMENTS = 1 << 18
# Chance that the error of a product exceeds its bound.
_CHANCE = 1e-16


class Rows(NamedTuple):
    """Rows of a table that vary, with their moments.

    ``values`` is (n_rows, n_features) float32, ``mean`` and ``deviation`` (standard deviation) are
    (n_rows,) float64.
    """

    values: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def pays(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether this processor is quicker with 8-bit integers for tables of this size and type."""
    large = len(x) * len(y) * x.shape[1] >= _LEAST_PRODUCTS
    return large and x.dtype == y.dtype == np.float32 and _has_instructions()


@cache
def _has_instructions() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS)


def approximate_correlations(x: Rows, y: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of all rows of one table with all rows of another, and how far they may be off.

    Returns
    -------
    correlation
        Shape (n_x, n_y), float64.
    error
        Shape (n_x, n_y): the correlation is within so much of this, but for a chance of 1e-16 a
        pair.
    """
    n_features = x.values.shape[1]
    generator = torch.Generator().manual_seed(0)
    left, right = _Rounded(x), _Rounded(y)
    sums = np.zeros((len(x.values), len(y.values)))
    for start in range(0, n_features, _FEATURES):
        columns = slice(start, start + _FEATURES)
        one, other = left.block(columns, generator), right.block(columns, generator)
        sums += torch._int_mm(one, other.T).numpy()
    correlation = sums * left.step[:, None] * right.step / n_features
    # Feature k adds e_k y_k + x_k f_k + e_k f_k, with rounding errors e and f of mean 0 that span a
    # step each. The sum of the first two, all independent, is sub-Gaussian as in Hoeffding's proof,
    # of variance n (step_x^2 + step_y^2) / 4 for standardised rows; whatever e is, so is that of
    # the third, of variance n (step_x step_y)^2 / 4. Each may exceed its bound by half the chance.
    one, other = left.step[:, None], right.step
    deviations = np.hypot(one, other) + one * other
    return correlation, deviations * math.sqrt(math.log(4 / _CHANCE) / 2 / n_features)


class _Rounded:
    """Standardised rows of a table, rounded at random to multiples of a step each."""

    def __init__(self, rows: Rows) -> None:
        self._values = torch.from_numpy(rows.values)
        ends = self._values.amin(dim=1), self._values.amax(dim=1)  # ten times as quick as aminmax
        least, largest = (end.double().numpy() for end in ends)
        step = np.maximum(largest - rows.mean, rows.mean - least) / _LARGEST
        self.step = step / rows.deviation
        self._factor, self._offset = (
            torch.from_numpy(numbers[:, None]).float() for numbers in (1 / step, -rows.mean / step)
        )
        n_columns = min(_FEATURES, rows.values.shape[1])
        self._block = torch.empty(len(rows.values) * n_columns, dtype=torch.int8)

    def block(self, columns: slice, generator: torch.Generator) -> torch.Tensor:
        """Some columns, int8, until the next are asked for.

        All rows of a table share the random numbers of a feature.
        """
        values = self._values[:, columns]
        chances = torch.rand(values.shape[1], generator=generator)
        block = self._block[: values.numel()].view(values.shape)
        n_rows = max(1, _ELEMENTS // len(chances))
        for start in range(0, len(values), n_rows):
            rows = slice(start, start + n_rows)
            scaled = torch.addcmul(chances, values[rows], self._factor[rows])
            scaled += self._offset[rows]
            block[rows] = scaled.floor_()
        return block
