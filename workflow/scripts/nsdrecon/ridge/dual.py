"""Ridge regression in the dual, for many targets: the mathematics, on tensors.

For centred features X (n_samples, n_features) and targets Y (n_samples, n_targets), ridge weights
and predictions for other samples X* are

    W = X' G Y,   Y* = X* X' G Y,   G = (K + alpha I)^-1,   K = X X'.

K does not depend on the targets. Its constant vector is an eigenvector of eigenvalue 0 that the
centred targets never touch, so it is left out: below, G is the inverse on the vectors of mean 0.
With it, the leave-one-out residuals of ridge with an unpenalised intercept are

    y_i - y_i^(-i) = (G y)_i / G_ii

(Rifkin & Lippert 2007, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025; this is
residual / (1 - leverage) with I - H = alpha G).

What does not grow with the number of targets is computed in float64, unless the caller hands it
float32; products with targets run in the type of the targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from nsdrecon.errors import InputError
from nsdrecon.ridge.linalg import cholesky, cholesky_inverse, cholesky_solve, eigh, product

Alpha = float | Literal["loo"]
"""A ridge penalty, or the choice of one by leave-one-out."""


def check_alphas(alpha: Alpha, alpha_grid: Sequence[float]) -> list[float]:
    """The penalties to choose from, ascending; none if alpha is fixed.

    Raises
    ------
    InputError
        If alpha is neither a number from 0 nor ``loo``, or there is no valid grid to choose from.
    """
    if alpha != "loo":
        if isinstance(alpha, str) or not (math.isfinite(alpha) and alpha >= 0):
            raise InputError("alpha", found=alpha, expected="a number from 0, or loo")
        return []
    grid = sorted({float(value) for value in alpha_grid})
    if not grid or not all(math.isfinite(value) and value > 0 for value in grid):
        raise InputError("alpha_grid", found=list(alpha_grid), expected="numbers above 0")
    return grid


def gram_matrix(blocks: Iterable[torch.Tensor]) -> torch.Tensor:
    """K = sum over blocks of B B', the products in the type of the blocks, their sum in float64.

    Parameters
    ----------
    blocks
        Centred columns, each of shape (n_samples, any number); at least one.

    Returns
    -------
    Shape (n_samples, n_samples), float64, where the blocks are.
    """
    blocks = iter(blocks)
    first = next(blocks)
    gram = product(first, first.T).double()
    for block in blocks:
        gram += product(block, block.T)
    return gram


@dataclass(frozen=True)
class Factor:
    """Cholesky factor of K + alpha I, the constant vector having another eigenvalue than alpha.

    Attributes
    ----------
    lower
        (n_samples, n_samples) float64.
    constant
        Eigenvalue of the constant vector.
    """

    lower: torch.Tensor
    constant: float

    @classmethod
    def of(cls, gram: torch.Tensor, alpha: float) -> Factor:
        """Factorise.

        Parameters
        ----------
        gram
            K of centred features, (n_samples, n_samples), float64. It is lost.
        alpha
            Ridge penalty, 0 or more.

        Raises
        ------
        InputError
            If K + alpha I is singular on the vectors of mean 0, as far as float64 resolves: no more
            features than samples, and alpha is 0 or too small.
        """
        n_samples = len(gram)
        lift = float(gram.trace()) / n_samples or 1.0  # the mean eigenvalue will do
        gram += lift / n_samples
        gram.diagonal().add_(alpha)
        largest = float(gram.diagonal().max())
        lower = cholesky(gram)
        least = 8 * n_samples**0.5 * torch.finfo(gram.dtype).eps * largest
        if lower is None or float(lower.diagonal().min()) ** 2 <= least:
            raise _unresolved(alpha, least, n_samples)
        return cls(lower, lift + alpha)

    def apply(self, rows: torch.Tensor) -> torch.Tensor:
        """``rows @ G`` for rows (n_rows, n_samples) of mean 0, in their type."""
        return cholesky_solve(rows.T, self.lower.to(rows.dtype)).T

    def inverse(self) -> torch.Tensor:
        """G, (n_samples, n_samples) float64; its rows and columns sum to 0."""
        inverse = cholesky_inverse(self.lower)
        inverse -= 1 / (len(inverse) * self.constant)
        return inverse


def _unresolved(alpha: float, least: float, n_samples: int) -> InputError:
    """The error of a Gram matrix that is singular, with a penalty that is too small to mend it."""
    found = f"{alpha:g}, with a Gram matrix of {n_samples} images that is singular"
    expected = "a larger alpha: without a penalty the weights are not determined"
    if alpha > 0:
        found += f" in float64, where rounding hides what is below {least:.2g}"
        expected = f"above {least:.2g}"
    return InputError("alpha", found=found, expected=expected)


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues (n_samples - 1,), 0 or more, and eigenvectors (n_samples, n_samples - 1) of K.

    The constant vector is left out.
    """

    values: torch.Tensor
    vectors: torch.Tensor

    @classmethod
    def of(cls, gram: torch.Tensor) -> Spectrum:
        """The spectrum of a Gram matrix of centred features, float64."""
        # Far above all others, the constant vector is the last eigenvector and mixes with none.
        lift = 2 * float(gram.trace()) or 1.0
        values, vectors = eigh(gram + lift / len(gram))
        return cls(values[:-1].clamp(min=0), vectors[:, :-1])

    def filters(self, alphas: Sequence[float]) -> torch.Tensor:
        """Eigenvalues of G for each alpha: (n_alphas, n_samples - 1), float64."""
        alphas = torch.as_tensor(alphas, dtype=torch.float64, device=self.values.device)
        return 1 / (self.values + alphas[:, None])


def loo_squared_errors(
    spectrum: Spectrum, alphas: Sequence[float], target_gram: torch.Tensor
) -> torch.Tensor:
    """Leave-one-out squared error, summed over samples and targets, for each alpha.

    The sum over targets of (G y)_i^2 is the diagonal of G S G with S = Y Y', so the cost of an
    alpha does not depend on the number of targets.

    Parameters
    ----------
    spectrum
        Of the Gram matrix of the features; the products run in the type of its eigenvectors.
    alphas
        Penalties above 0.
    target_gram
        S, (n_samples, n_samples), of centred targets (`gram_matrix`).

    Returns
    -------
    Shape (n_alphas,), float64.
    """
    vectors = spectrum.vectors
    rotated = product(product(vectors.T, target_gram.to(vectors.dtype)), vectors)
    errors = []
    for shrink in spectrum.filters(alphas).to(vectors.dtype):
        shrunk = vectors * shrink
        diagonal = (shrunk * vectors).sum(dim=1, dtype=torch.float64)
        squares = (product(shrunk, rotated) * shrunk).sum(dim=1, dtype=torch.float64)
        errors.append((squares / diagonal**2).sum())
    return torch.stack(errors)


@dataclass(frozen=True)
class Solution:
    """A block of targets, solved.

    Attributes
    ----------
    coordinates
        What `Solver.operator` multiplies: (n_coordinates, n_targets).
    loo_residuals
        Target minus leave-one-out prediction, (n_samples, n_targets).
    alpha
        (n_targets,) float64.
    loo_squared_errors
        Sum over samples and targets for each alpha that was tried, (n_alphas,) float64; none is
        where alpha is fixed.
    """

    coordinates: torch.Tensor
    loo_residuals: torch.Tensor
    alpha: torch.Tensor
    loo_squared_errors: torch.Tensor


class Solver(Protocol):
    """Ridge for blocks of centred targets (n_samples, n_targets)."""

    n_coordinates: int

    def operator(self, rows: torch.Tensor) -> torch.Tensor:
        """Matrix (n_rows, n_coordinates) that gives ``rows @ G @ Y`` for rows (n_rows, n_samples).

        Rows of X' give weights, rows of X* X' give predictions.
        """
        ...

    def solve(self, targets: torch.Tensor) -> Solution:
        """Solve a block of targets, with leave-one-out residuals."""
        ...


class OneAlpha:
    """The same alpha for all targets: their coordinates are the targets themselves.

    The Gram matrix is lost.
    """

    def __init__(self, gram: torch.Tensor, alpha: float) -> None:
        self.alpha = alpha
        self.factor = Factor.of(gram, alpha)
        self.n_coordinates = len(gram)
        self._residual_operator: torch.Tensor | None = None

    def operator(self, rows: torch.Tensor) -> torch.Tensor:
        """See :meth:`Solver.operator`."""
        return self.factor.apply(rows)

    def solve(self, targets: torch.Tensor) -> Solution:
        """See :meth:`Solver.solve`."""
        if self._residual_operator is None:
            inverse = self.factor.inverse()
            inverse /= inverse.diagonal().clone()[:, None]
            self._residual_operator = inverse.to(targets.dtype)
        residuals = product(self._residual_operator, targets)
        alpha = torch.full(targets.shape[1:], self.alpha, dtype=torch.float64)
        return Solution(targets, residuals, alpha, torch.empty(0, dtype=torch.float64))


class AlphaPerTarget:
    """Each target has the alpha of its least leave-one-out error; coordinates of eigenvectors."""

    def __init__(self, spectrum: Spectrum, alphas: Sequence[float]) -> None:
        self.alphas = torch.as_tensor(alphas, dtype=torch.float64)
        self.vectors = spectrum.vectors
        self.n_coordinates = self.vectors.shape[1]
        self.filters = spectrum.filters(alphas)
        self.diagonals = product(self.filters, (self.vectors**2).T.to(torch.float64))

    def operator(self, rows: torch.Tensor) -> torch.Tensor:
        """See :meth:`Solver.operator`."""
        return product(rows, self.vectors.to(rows.dtype))

    def solve(self, targets: torch.Tensor) -> Solution:
        """See :meth:`Solver.solve`."""
        vectors = self.vectors.to(targets.dtype)
        filters = self.filters.to(targets.dtype)
        rotated = product(vectors.T, targets)
        best = torch.zeros_like(targets)
        least = torch.full_like(targets[0], torch.inf, dtype=torch.float64)
        choice = torch.zeros_like(least, dtype=torch.long)
        totals = []
        for index, (shrink, diagonal) in enumerate(zip(filters, self.diagonals, strict=True)):
            residuals = product(vectors, shrink[:, None] * rotated)
            residuals /= diagonal[:, None].to(targets.dtype)
            errors = (residuals**2).sum(dim=0, dtype=torch.float64)
            better = errors < least
            best = torch.where(better, residuals, best)
            least = torch.where(better, errors, least)
            choice[better] = index
            totals.append(errors.sum())
        coordinates = filters[choice].T * rotated
        return Solution(coordinates, best, self.alphas[choice.cpu()], torch.stack(totals))
