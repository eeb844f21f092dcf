"""Dual ridge on arrays: the same numbers as scikit-learn and as leaving images out one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nsdrecon.errors import InputError
from nsdrecon.ridge.dual import (
    AlphaPerTarget,
    Factor,
    OneAlpha,
    Spectrum,
    gram_matrix,
    loo_squared_errors,
)
from nsdrecon.ridge.estimator import DualRidge

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


def largest_error(found, expected):
    """Largest error of predictions, in standard deviations of the expected predictions."""
    return np.max(np.abs(found - expected) / expected.std(axis=0))


def explicit_loo(x, y, alpha):
    """Predictions of each row by ridge on all other rows."""
    rows = np.arange(len(x))
    return np.stack([Ridge(alpha).fit(x[rows != i], y[rows != i]).predict(x[[i]])[0] for i in rows])


@parametrize_with_checks(
    [
        DualRidge(),
        DualRidge("loo", alpha_per_target=True, compute_coef=False, dtype="float64"),
    ]
)
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("compute_coef", [True, False])
@pytest.mark.parametrize("n_features", [20, 90])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
def test_predictions_equal_those_of_scikit_learn(compute_coef, n_features, dtype, tolerance):
    x, y, x_test, _ = problem(n_features=n_features)
    ours = DualRidge(10.0, compute_coef=compute_coef, dtype=dtype).fit(x, y)
    expected = Ridge(10.0).fit(x, y).predict(x_test)
    assert largest_error(ours.predict(x_test), expected) < tolerance


def test_weights_and_intercept_equal_those_of_scikit_learn():
    x, y, _, _ = problem()
    ours = DualRidge(10.0, dtype="float64").fit(x, y)
    expected = Ridge(10.0).fit(x, y)
    np.testing.assert_allclose(ours.coef_, expected.coef_, atol=1e-10)
    np.testing.assert_allclose(ours.intercept_, expected.intercept_, atol=1e-10)


@pytest.mark.parametrize("compute_coef", [True, False])
@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize("n_features", [20, 90])
def test_chosen_alphas_and_predictions_equal_those_of_scikit_learn(
    compute_coef, per_target, n_features
):
    x, y, x_test, _ = problem(n_features=n_features)
    ours = DualRidge(
        "loo",
        alpha_grid=GRID,
        alpha_per_target=per_target,
        compute_coef=compute_coef,
        dtype="float64",
    ).fit(x, y)
    expected = RidgeCV(GRID, alpha_per_target=per_target).fit(x, y)
    np.testing.assert_array_equal(ours.alpha_, expected.alpha_)
    if per_target:
        assert len(set(ours.alpha_)) > 1
    assert largest_error(ours.predict(x_test), expected.predict(x_test)) < 1e-9


def test_leave_one_out_error_of_the_grid_is_the_same_for_one_alpha_and_per_target():
    x, y, _, _ = problem(n_train=20)
    models = [
        DualRidge("loo", alpha_grid=GRID, alpha_per_target=each, dtype="float64").fit(x, y)
        for each in (False, True)
    ]
    expected = [np.mean((y - explicit_loo(x, y, alpha)) ** 2) for alpha in GRID]
    for model in models:
        np.testing.assert_allclose(model.loo_mse_, expected, rtol=1e-8)


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
    centred_x = torch.from_numpy(x - x.mean(axis=0))
    centred_y = torch.from_numpy(y - y.mean(axis=0))
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


@pytest.mark.parametrize("n_features", [5, 30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alpha_0_needs_a_gram_matrix_that_is_not_singular(n_features, dtype):
    x, y, x_test, _ = problem(n_train=20, n_features=n_features)
    model = DualRidge(0.0, dtype=dtype)
    if n_features < 19:
        with pytest.raises(InputError, match=r"alpha: found 0, .* singular"):
            model.fit(x, y)
    else:
        # The weights of least norm among those that fit perfectly.
        centred = x - x.mean(axis=0)
        weights = np.linalg.pinv(centred) @ (y - y.mean(axis=0))
        expected = (x_test - x.mean(axis=0)) @ weights + y.mean(axis=0)
        assert largest_error(model.fit(x, y).predict(x_test), expected) < 1e-4


def test_a_penalty_too_small_for_float32_is_named_with_its_limit_and_float64():
    x, y, x_test, _ = problem(n_train=20, n_features=5)
    with pytest.raises(InputError, match=r"found 1e-06, .* float32, ") as caught:
        DualRidge(1e-6).fit(x, y)
    assert "without a penalty" not in str(caught.value)
    assert 'dtype="float64"' in caught.value.remedy
    limit = float(caught.value.expected.removeprefix("above "))
    assert 1e-6 < limit < 1e-3
    DualRidge(1.1 * limit).fit(x, y)
    found = DualRidge(1e-6, dtype="float64").fit(x, y).predict(x_test)
    assert largest_error(found, Ridge(1e-6).fit(x, y).predict(x_test)) < 1e-6


def test_the_inverse_leaves_out_the_constant_vector():
    x, _, _, _ = problem(n_train=20)
    centred = torch.from_numpy(x - x.mean(axis=0))
    gram = gram_matrix([centred])
    factor = Factor.of(gram.clone(), 3.0)
    centring = torch.eye(len(x)) - 1 / len(x)
    product = factor.inverse() @ (gram + 3 * torch.eye(len(x)))
    np.testing.assert_allclose(product, centring, atol=1e-7)
    for order in (centred.T, centred.T.contiguous(), centred.T[::2]):
        expected = order @ factor.inverse()
        np.testing.assert_allclose(factor.apply(order), expected, atol=1e-12)


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), "best"])
def test_an_alpha_that_is_none_is_refused(alpha):
    x, y, _, _ = problem()
    with pytest.raises(InputError, match="alpha: found"):
        DualRidge(alpha).fit(x, y)


@pytest.mark.parametrize("grid", [(), (0.0, 1.0), (1.0, float("inf"))])
def test_a_grid_of_alphas_that_is_none_is_refused(grid):
    x, y, _, _ = problem()
    with pytest.raises(InputError, match="alpha_grid: found"):
        DualRidge("loo", alpha_grid=grid).fit(x, y)


def test_an_unknown_type_is_refused():
    x, y, _, _ = problem()
    with pytest.raises(InputError, match="found float16; expected float32 or float64"):
        DualRidge(dtype="float16").fit(x, y)


def test_it_works_in_a_pipeline_and_a_grid_search():
    x, y, x_test, _ = problem()
    pipeline = make_pipeline(StandardScaler(), DualRidge(dtype="float64"))
    search = GridSearchCV(pipeline, {"dualridge__alpha": [0.1, 20.0]}, cv=3).fit(x, y)
    best = search.best_estimator_
    expected = make_pipeline(StandardScaler(), Ridge(best[-1].alpha)).fit(x, y).predict(x_test)
    assert largest_error(clone(best).fit(x, y).predict(x_test), expected) < 1e-9
