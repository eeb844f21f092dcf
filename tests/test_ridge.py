"""Dual ridge on tensors: the same numbers as scikit-learn and as leaving images out one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV

from nsdrecon.errors import InputError
from nsdrecon.ridge.dual import (
    AlphaPerTarget,
    Factor,
    OneAlpha,
    Spectrum,
    check_alphas,
    gram_matrix,
    loo_squared_errors,
)

GRID = (1.0, 10.0, 100.0, 1000.0)


def problem(n_train=60, n_features=90, n_targets=8, n_test=25, seed=0):
    """Noisy targets, each with another share of signal, and features with far from zero means."""
    rng = np.random.default_rng(seed)
    n = n_train + n_test
    x = rng.normal(size=(n, n_features)) * rng.uniform(0.5, 2, n_features)
    signal = x @ rng.normal(size=(n_features, n_targets)) / np.sqrt(n_features)
    y = signal + rng.normal(size=signal.shape) * np.linspace(0.1, 4, n_targets) - 2
    x += rng.normal(size=n_features) * 5
    return x[:n_train], y[:n_train], x[n_train:], y[n_train:]


def explicit_loo(x, y, alpha):
    """Predictions of each row by ridge on all other rows."""
    rows = np.arange(len(x))
    return np.stack([Ridge(alpha).fit(x[rows != i], y[rows != i]).predict(x[[i]])[0] for i in rows])


def centred(*arrays):
    """Arrays minus the means of their columns, as tensors."""
    return [torch.from_numpy(array - array.mean(axis=0)) for array in arrays]


@pytest.mark.parametrize("n_features", [20, 90])
def test_alphas_chosen_per_target_are_those_of_scikit_learn(n_features):
    x, y, _, _ = problem(n_features=n_features)
    features, targets = centred(x, y)
    spectrum = Spectrum.of(gram_matrix([features]))
    expected = RidgeCV(GRID, alpha_per_target=True).fit(x, y).alpha_
    found = AlphaPerTarget(spectrum, GRID).solve(targets).alpha
    np.testing.assert_array_equal(found, expected)
    assert len(set(expected)) > 1


def test_one_alpha_needs_no_error_of_a_grid():
    features, targets = centred(*problem()[:2])
    assert len(OneAlpha(gram_matrix([features]), 1.0).solve(targets).loo_squared_errors) == 0


def test_leave_one_out_error_of_the_grid_is_the_same_for_one_alpha_and_per_target():
    x, y, _, _ = problem(n_train=20)
    features, targets = centred(x, y)
    spectrum = Spectrum.of(gram_matrix([features]))
    expected = [np.sum((y - explicit_loo(x, y, alpha)) ** 2) for alpha in GRID]
    for found in (
        loo_squared_errors(spectrum, GRID, gram_matrix([targets])),
        AlphaPerTarget(spectrum, GRID).solve(targets).loo_squared_errors,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(2, 12),
    n_features=st.integers(1, 15),
    log_alpha=st.floats(-2, 4),
    seed=st.integers(0, 2**16),
)
def test_leave_one_out_equals_leaving_images_out(n_samples, n_features, log_alpha, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_samples, n_features)) * 3 + 1
    y = rng.normal(size=(n_samples, 3)) + 5
    alpha = 10**log_alpha
    centred_x, centred_y = centred(x, y)
    gram = gram_matrix([centred_x])
    expected = y - explicit_loo(x, y, alpha)
    spectrum = Spectrum.of(gram)
    for solver in (OneAlpha(gram.clone(), alpha), AlphaPerTarget(spectrum, [alpha])):
        residuals = solver.solve(centred_y).loo_residuals.numpy()
        np.testing.assert_allclose(residuals, expected, atol=1e-5 * y.std())
    errors = loo_squared_errors(spectrum, [alpha], gram_matrix([centred_y]))
    np.testing.assert_allclose(errors, [np.sum(expected**2)], rtol=1e-5)


def test_gram_matrix_does_not_depend_on_its_blocks():
    x = torch.randn(600, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gram = gram_matrix(x.split(7, dim=1))
    np.testing.assert_allclose(gram, x @ x.T, rtol=0, atol=1e-12)


def test_float32_features_are_summed_in_float64():
    x = 10 + torch.randn(3, 100_000, generator=torch.Generator().manual_seed(0))
    blocks = x.split(100, dim=1)
    exact = x.double() @ x.double().T
    summed_in_float32 = sum(block @ block.T for block in blocks)
    error = (gram_matrix(blocks) / exact - 1).abs().max()
    assert error < 1e-7
    assert error < (summed_in_float32 / exact - 1).abs().max() / 10


def weights(x, y, alpha):
    """Ridge weights (n_features, n_targets) by way of the Gram matrix."""
    features, targets = centred(x, y)
    solver = OneAlpha(gram_matrix([features]), alpha)
    return (solver.operator(features.T) @ solver.solve(targets).coordinates).numpy()


def test_alpha_0_needs_a_gram_matrix_that_is_not_singular():
    x, y, _, _ = problem(n_train=20, n_features=5)
    with pytest.raises(InputError, match=r"alpha: found 0, .* singular") as caught:
        weights(x, y, 0.0)
    assert "float64" not in str(caught.value)
    x, y, _, _ = problem(n_train=20, n_features=30)
    # The weights of least norm among those that fit perfectly.
    expected = np.linalg.pinv(x - x.mean(axis=0)) @ (y - y.mean(axis=0))
    np.testing.assert_allclose(weights(x, y, 0.0), expected, atol=1e-8)


def test_a_penalty_that_is_too_small_is_named_with_its_limit():
    x, y, _, _ = problem(n_train=20, n_features=5)
    with pytest.raises(InputError, match=r"found 1e-14, .* singular in float64") as caught:
        weights(x, y, 1e-14)
    assert "without a penalty" not in str(caught.value)
    limit = float(caught.value.expected.removeprefix("above "))
    assert 1e-14 < limit < 1e-9
    assert np.isfinite(weights(x, y, 4 * limit)).all()
    expected = Ridge(1e-6).fit(x, y).coef_.T
    np.testing.assert_allclose(weights(x, y, 1e-6), expected, atol=1e-6)


def test_the_inverse_leaves_out_the_constant_vector():
    x, _, _, _ = problem(n_train=20)
    (features,) = centred(x)
    gram = gram_matrix([features])
    factor = Factor.of(gram.clone(), 3.0)
    centring = torch.eye(len(x)) - 1 / len(x)
    product = factor.inverse() @ (gram + 3 * torch.eye(len(x)))
    np.testing.assert_allclose(product, centring, atol=1e-7)
    for order in (features.T, features.T.contiguous(), features.T[::2]):
        expected = order @ factor.inverse()
        np.testing.assert_allclose(factor.apply(order), expected, atol=1e-12)


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), "best"])
def test_an_alpha_that_is_none_is_refused(alpha):
    with pytest.raises(InputError, match="alpha: found"):
        check_alphas(alpha, GRID)


@pytest.mark.parametrize("grid", [(), (0.0, 1.0), (1.0, float("inf"))])
def test_a_grid_of_alphas_that_is_none_is_refused(grid):
    with pytest.raises(InputError, match="alpha_grid: found"):
        check_alphas("loo", grid)
