"""Products and factorisations of the ridge, wherever its tensors are.

On a CPU they run in the OpenBLAS of NumPy and SciPy, on views of the tensors: PyTorch's own run in
MKL, which on processors of AMD leaves half of the vector width unused. ``python -m
benchmarks.bench_ridge`` prints both rates.
"""

from __future__ import annotations

import scipy.linalg
import torch

_MIRRORED = 512  # rows whose triangle is completed at a time: they stay in the processor's cache


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
    """(L L')^-1 times columns (n, n_columns), of one type, rows or columns running in memory."""
    if columns.device.type != "cpu":
        return torch.cholesky_solve(columns, lower)
    # BLAS reads a matrix column by column; with the transposes nothing is copied into that order:
    # of the factor it sees L', and of columns that run by rows it solves X' L L' = columns'.
    upper, values = lower.numpy().T, columns.numpy()
    transposed = values.flags.c_contiguous
    (solve,) = scipy.linalg.get_blas_funcs(("trsm",), (upper,))
    right_hand = values.T if transposed else values
    for half in (0, 1) if transposed else (1, 0):
        right_hand = solve(1, upper, right_hand, side=transposed, trans_a=half)
    return torch.from_numpy(right_hand.T if transposed else right_hand)


def cholesky_inverse(lower: torch.Tensor) -> torch.Tensor:
    """(L L')^-1, float64."""
    if lower.device.type != "cpu":
        return torch.cholesky_inverse(lower)
    upper, _ = scipy.linalg.lapack.dpotri(lower.numpy().T)
    inverse = torch.from_numpy(upper.T)  # the lower triangle, with zeros above
    for start in range(0, len(inverse), _MIRRORED):
        rows = slice(start, start + _MIRRORED)
        inverse[rows, rows] += inverse[rows, rows].tril(-1).T
        inverse[rows, rows.stop :] = inverse[rows.stop :, rows].T
    return inverse


def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues, ascending, and eigenvectors, in columns, of a symmetric matrix.

    The matrix, float64, is lost.
    """
    if matrix.device.type != "cpu":
        return torch.linalg.eigh(matrix)
    pairs = scipy.linalg.eigh(matrix.numpy().T, overwrite_a=True, check_finite=False, driver="evd")
    return tuple(map(torch.from_numpy, pairs))
