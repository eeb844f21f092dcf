"""Products and factorisations of the ridge, wherever its tensors are.

On a CPU they run in the OpenBLAS of NumPy and SciPy, on views of the tensors: PyTorch's own run in
MKL, which on processors of AMD leaves half of the vector width unused. ``python -m
benchmarks.bench_ridge`` prints both rates.
"""

from __future__ import annotations

import scipy.linalg
import torch


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``left @ right`` for two matrices of one type.

    NumPy sees that ``product(x, x.T)`` is symmetric and computes half of it.
    """
    if left.device.type != "cpu":
        return left @ right
    return torch.from_numpy(left.numpy() @ right.numpy())


def cholesky(matrix: torch.Tensor) -> torch.Tensor | None:
    """Lower factor L of a symmetric matrix L L', None if it is not positive definite.

    The matrix, float64, is lost.
    """
    if matrix.device.type != "cpu":
        lower, failed = torch.linalg.cholesky_ex(matrix)
    else:
        upper, failed = scipy.linalg.lapack.dpotrf(matrix.numpy().T, overwrite_a=True)
        lower = torch.from_numpy(upper.T)
    return None if failed else lower


def cholesky_solve(columns: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    """(L L')^-1 times columns (n, n_columns), of one type."""
    if columns.device.type != "cpu":
        return torch.cholesky_solve(columns, lower)
    factor = (lower.numpy().T, False)
    return torch.from_numpy(scipy.linalg.cho_solve(factor, columns.numpy(), check_finite=False))


def cholesky_inverse(lower: torch.Tensor) -> torch.Tensor:
    """(L L')^-1, float64."""
    if lower.device.type != "cpu":
        return torch.cholesky_inverse(lower)
    upper, _ = scipy.linalg.lapack.dpotri(lower.numpy().T)
    inverse = torch.from_numpy(upper.T)  # the lower triangle, with zeros above
    inverse += inverse.tril(-1).T
    return inverse


def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues, ascending, and eigenvectors, in columns, of a symmetric matrix.

    The matrix, float64, is lost.
    """
    if matrix.device.type != "cpu":
        return torch.linalg.eigh(matrix)
    pairs = scipy.linalg.eigh(matrix.numpy().T, overwrite_a=True, check_finite=False, driver="evd")
    return tuple(map(torch.from_numpy, pairs))
