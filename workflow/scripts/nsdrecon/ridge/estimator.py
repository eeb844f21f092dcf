"""The dual ridge in the scikit-learn idiom, for arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nsdrecon.errors import InputError
from nsdrecon.ridge.dual import (
    Alpha,
    AlphaPerTarget,
    OneAlpha,
    Solver,
    Spectrum,
    check_alphas,
    gram_matrix,
    loo_squared_errors,
)
from nsdrecon.ridge.linalg import product

_TYPES = {"float32": torch.float32, "float64": torch.float64}
_BLOCK = 8192  # columns whose products are summed in the arrays' own type
_TARGETS = 8192  # predicted at a time: wide enough to multiply at full speed


class DualRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge regression with an intercept, for many more targets than samples.

    Minimises ||Y - 1 b' - X W'||^2 + alpha ||W||^2 through the Gram matrix of the samples, as
    `sklearn.linear_model.Ridge` does for wide X, on a CPU or a GPU. ``alpha="loo"`` chooses alpha
    by the leave-one-out squared error, as `sklearn.linear_model.RidgeCV` does.

    Parameters
    ----------
    alpha
        Penalty, or ``loo``.
    alpha_grid
        Penalties above 0 that ``loo`` chooses from; their order does not matter.
    alpha_per_target
        Choose for each target, not one alpha for all.
    compute_coef
        Compute weights. Without them a prediction costs a product with the training targets, which
        pays for few samples and many targets; the targets are kept as they are, not copied.
    dtype
        Of products with features and targets, ``float32`` or ``float64``; the Gram matrix is summed
        and factorised in float64 either way. Weights are applied in the type of what they decode.
    device
        Where to compute, such as ``cpu`` or ``cuda``.

    Attributes
    ----------
    alpha_
        The penalty, or (n_targets,) if chosen for each target.
    loo_mse_
        (n_alphas,) leave-one-out squared error of each penalty, ascending, a mean over samples and
        targets; only with ``loo``.
    coef_
        (n_targets, n_features), or (n_features,) for a single target; only with ``compute_coef``.
    intercept_
        (n_targets,) or a number; only with ``compute_coef``.
    n_features_in_, feature_names_in_
        As in all estimators of scikit-learn.
    """

    def __init__(
        self,
        alpha: Alpha = 1.0,
        *,
        alpha_grid: Sequence[float] = (0.1, 1.0, 10.0),
        alpha_per_target: bool = False,
        compute_coef: bool = True,
        dtype: Literal["float32", "float64"] = "float32",
        device: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.alpha_grid = alpha_grid
        self.alpha_per_target = alpha_per_target
        self.compute_coef = compute_coef
        self.dtype = dtype
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> DualRidge:
        """Fit to features and targets.

        Parameters
        ----------
        X
            (n_samples, n_features).
        y
            (n_samples,) or (n_samples, n_targets).

        Raises
        ------
        ValueError
            If the arrays are not finite, differ in length or have a single sample.
        InputError
            If alpha is not valid, or 0 with a singular Gram matrix.
        """
        X, y = validate_data(
            self,
            X,
            y,
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        if self.dtype not in _TYPES:
            raise InputError("dtype", found=self.dtype, expected=" or ".join(_TYPES))
        self._flat = y.ndim == 1
        targets = y.reshape(len(y), -1)
        targets = targets.astype(np.result_type(targets, np.float32), copy=False)
        self._x_mean = X.mean(axis=0, dtype=np.float64)
        self._y_mean = targets.mean(axis=0, dtype=np.float64)
        features = self._centred(X, self._x_mean)
        solver = self._solver(features, targets)
        if isinstance(solver, OneAlpha) and not self.compute_coef:
            self._dual = (features, solver, targets, self._y_mean)
            return self
        centred = self._centred(targets, self._y_mean)
        coordinates = centred if isinstance(solver, OneAlpha) else self._solve(solver, centred)
        if not self.compute_coef:
            self._dual = (features, solver, coordinates.cpu().numpy(), np.zeros_like(self._y_mean))
            return self
        coef = product(coordinates.T, solver.operator(features.T).T).cpu().numpy()
        intercept = (self._y_mean - coef @ self._x_mean.astype(coef.dtype)).astype(coef.dtype)
        self.coef_ = coef[0] if self._flat else coef
        self.intercept_ = intercept[0] if self._flat else intercept
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predictions, (n_samples,) or (n_samples, n_targets), in the type of X."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        if self.compute_coef:
            features = torch.from_numpy(X - self._x_mean.astype(X.dtype)).to(self.device)
            weights = torch.from_numpy(np.atleast_2d(self.coef_)).to(features)
            values = product(features, weights.T)
        else:
            train, solver, coordinates, centre = self._dual
            kernel = product(self._centred(X, self._x_mean), train.T).double()
            rows = solver.operator(kernel).to(train.dtype)
            values = torch.empty(len(X), coordinates.shape[1], dtype=train.dtype)
            for start in range(0, coordinates.shape[1], _TARGETS):
                columns = np.s_[:, start : start + _TARGETS]
                block = self._centred(coordinates[columns], centre[columns[1]])
                values[columns] = product(rows, block).cpu()
        predictions = (values.cpu().numpy() + self._y_mean).astype(X.dtype)
        return predictions[:, 0] if self._flat else predictions

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "alpha_")

    def _centred(self, values: np.ndarray, mean: np.ndarray) -> torch.Tensor:
        difference = values - mean.astype(values.dtype)
        return torch.from_numpy(difference).to(self.device, _TYPES[self.dtype])

    def _solver(self, features: torch.Tensor, targets: np.ndarray) -> Solver:
        """The solver for the fixed or chosen alpha, from centred features and targets as given."""
        gram = gram_matrix(features.split(_BLOCK, dim=1))
        alpha = self.alpha
        grid = check_alphas(alpha, self.alpha_grid)
        if alpha == "loo":
            spectrum = Spectrum.of(gram).to(features.dtype)
            if self.alpha_per_target:
                return AlphaPerTarget(spectrum, grid)
            starts = range(0, targets.shape[1], _BLOCK)
            columns = [slice(start, start + _BLOCK) for start in starts]
            blocks = (self._centred(targets[:, part], self._y_mean[part]) for part in columns)
            target_gram = gram_matrix(blocks)
            errors = loo_squared_errors(spectrum, grid, target_gram).cpu().numpy()
            self.loo_mse_ = errors / targets.size
            alpha = grid[int(errors.argmin())]
        self.alpha_ = alpha
        return OneAlpha(gram, alpha, features.dtype)

    def _solve(self, solver: Solver, targets: torch.Tensor) -> torch.Tensor:
        """Coordinates of the targets, each with the alpha chosen for it."""
        solution = solver.solve(targets)
        self.loo_mse_ = solution.loo_squared_errors.cpu().numpy() / targets.numel()
        self.alpha_ = solution.alpha.numpy()
        return solution.coordinates
