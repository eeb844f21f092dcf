"""Ridge from files to files: the numbers of scikit-learn, one clear error for what does not fit."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV

from nsdrecon.data.latent_files import read_latents, write_latents
from nsdrecon.errors import InputError
from nsdrecon.ridge.decoding import decode, rescaled
from nsdrecon.ridge.responses import is_constant, prepare_gram
from nsdrecon.ridge.scores import scores_table
from nsdrecon.ridge.targets import TargetStatistics
from ridge_experiment import (
    ALPHA,
    CONSTANT_VOXELS,
    GRID,
    N_TEST,
    N_TRAIN,
    N_VOXELS,
    SHAPE,
    Experiment,
    write_betas,
)


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path)


def largest_error(found, expected):
    """Largest error of the targets that vary, in standard deviations of their predictions."""
    found, expected = found[:, 10:], expected[:, 10:]
    return np.max(np.abs(found - expected) / expected.std(axis=0))


@pytest.mark.parametrize("n_images", [N_TEST, 1])
def test_predictions_equal_those_of_scikit_learn(experiment, n_images):
    train, test = experiment.standardised()
    expected = Ridge(ALPHA).fit(train, experiment.train_latents.astype(float)).predict(test)
    weights = experiment.fit()
    assert largest_error(experiment.predicted(weights, rescale="none"), expected) < 1e-5
    decoded = decode(weights, experiment.test_betas[:n_images], rescale="none")
    assert np.max(np.abs(decoded - expected[:n_images])) < 1e-4


def test_alpha_per_target_equals_that_of_scikit_learn(experiment):
    train, test = experiment.standardised()
    varying = experiment.train_latents[:, 10:].astype(float)
    reference = RidgeCV(GRID, alpha_per_target=True).fit(train, varying)
    weights = experiment.fit(alpha="loo", alpha_grid=GRID, per_target=True)
    with h5py.File(weights) as file:
        alpha = file["alpha"][10:]
        loo_mse = file["alpha_loo_mse"][()]
    assert len(set(alpha)) > 1
    np.testing.assert_array_equal(alpha, reference.alpha_)
    found = experiment.predicted(weights, rescale="none")[:, 10:]
    expected = reference.predict(test)
    assert np.max(np.abs(found - expected) / expected.std(axis=0)) < 1e-4
    shared = experiment.fit("shared.h5", alpha="loo", alpha_grid=GRID)
    with h5py.File(shared) as file:
        np.testing.assert_allclose(file["alpha_loo_mse"], loo_mse, rtol=1e-4)


def test_one_alpha_for_all_targets_equals_that_of_scikit_learn(experiment):
    train, test = experiment.standardised()
    reference = RidgeCV(GRID).fit(train, experiment.train_latents.astype(float))
    weights = experiment.fit(alpha="loo", alpha_grid=GRID)
    with h5py.File(weights) as file:
        np.testing.assert_array_equal(file["alpha"], reference.alpha_)
        assert file.attrs["alpha_choice"] == "loo"
    predicted = experiment.predicted(weights, rescale="none")
    assert largest_error(predicted, reference.predict(test)) < 1e-5


def test_scores_are_those_of_leaving_images_out(experiment):
    train, _ = experiment.standardised()
    latents = experiment.train_latents.astype(float)
    rows = np.arange(N_TRAIN)
    left_out = np.stack(
        [
            Ridge(ALPHA).fit(train[rows != i], latents[rows != i]).predict(train[[i]])[0]
            for i in rows
        ]
    )
    with h5py.File(experiment.fit()) as file:
        stored = {name: file[name][10:] for name in file if name.startswith("loo_")}
    found, expected = latents[:, 10:], left_out[:, 10:]
    r2 = 1 - ((found - expected) ** 2).sum(axis=0) / ((found - found.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(stored["loo_r2"], r2, rtol=1e-5)
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, expected.T, strict=True)]
    np.testing.assert_allclose(stored["loo_correlation"], correlation, atol=1e-5)
    np.testing.assert_allclose(stored["loo_mean"], expected.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stored["loo_std"], expected.std(axis=0), rtol=1e-5)


def test_rescaling_restores_mean_and_spread(experiment):
    weights = experiment.fit()
    raw = experiment.predicted(weights, rescale="none").astype(float)[:, 10:]
    mean = experiment.train_latents.mean(axis=0, dtype=float)[10:]
    std = experiment.train_latents.std(axis=0, dtype=float)[10:]
    with h5py.File(weights) as file:
        loo_mean, loo_std = file["loo_mean"][10:], file["loo_std"][10:]
    published = (raw - raw.mean(axis=0)) / raw.std(axis=0) * std + mean
    leak_free = (raw - loo_mean) / loo_std * std + mean
    for rescale, expected in {"test": published, "loo": leak_free}.items():
        found = experiment.predicted(weights, rescale=rescale)[:, 10:]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_rescaling_of_an_image_does_not_depend_on_the_others(experiment):
    weights = experiment.fit()
    alone = decode(weights, experiment.test_betas[:1])
    np.testing.assert_allclose(alone, decode(weights, experiment.test_betas)[:1], atol=1e-4)


@pytest.mark.parametrize("rescale", ["loo", "test", "none"])
def test_constant_targets_copy_the_training_mean(experiment, rescale):
    weights = experiment.fit()
    predicted = experiment.predicted(weights, rescale=rescale)[:, :10]
    np.testing.assert_array_equal(predicted, experiment.latents[N_TRAIN:, :10])
    with h5py.File(weights) as file:
        assert np.isnan(file["loo_r2"][:10]).all()
        assert (file["target_std"][:10] == 0).all()


def test_a_constant_with_rounding_errors_is_constant(experiment):
    experiment.train_latents[::2, :10] *= 1 + 2e-7
    experiment.write_latents(
        experiment.path["latents"], experiment.train_id, experiment.train_latents
    )
    predicted = experiment.predicted(experiment.fit())[:, :10]
    np.testing.assert_allclose(predicted, experiment.latents[N_TRAIN:, :10], rtol=1e-6)


def test_constant_voxels_take_no_part_and_are_counted(experiment, caplog):
    with caplog.at_level("INFO"):
        prepare_gram(experiment.path["train"], experiment.path["gram"])
    assert "40 training images, 60 voxels; 2 left out that do not vary" in caplog.text
    weights = experiment.fit()
    with h5py.File(weights) as file:
        assert (file["weights"][CONSTANT_VOXELS] == 0).all()
        assert file["weights"][()].any(axis=1).sum() == N_VOXELS - 2
        assert (np.flatnonzero(file["voxel_std"][()] == 0) == CONSTANT_VOXELS).all()
    betas = experiment.test_betas.copy()
    betas[:, CONSTANT_VOXELS] = 1000
    np.testing.assert_array_equal(decode(weights, betas), decode(weights, experiment.test_betas))


@pytest.mark.parametrize("choice", [{"alpha": ALPHA}, {"alpha": "loo", "alpha_grid": GRID}])
@pytest.mark.parametrize("per_target", [False, True])
def test_results_do_not_depend_on_the_block(experiment, choice, per_target):
    results = [
        decode(
            experiment.fit(block=block, per_target=per_target, **choice),
            experiment.test_betas,
            block=other,
        )
        for block, other in ((1, 30), (7, 4), (1000, 1))
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-4)


def test_results_do_not_depend_on_the_order_of_rows(experiment):
    expected = decode(experiment.fit(), experiment.test_betas)
    rows = np.random.default_rng(1).permutation(N_TRAIN)
    other = experiment.folder / "other.h5"
    experiment.write_latents(other, experiment.train_id[rows], experiment.train_latents[rows])
    np.testing.assert_array_equal(
        decode(experiment.fit(latents=other), experiment.test_betas), expected
    )
    write_betas(other, experiment.train_id[rows], experiment.train_betas[rows])
    np.testing.assert_array_equal(
        decode(experiment.fit(train_betas=other), experiment.test_betas), expected
    )
    prepare_gram(other, experiment.path["gram"])
    permuted = decode(experiment.fit(), experiment.test_betas)
    np.testing.assert_allclose(permuted, expected, atol=1e-4)


def test_predictions_are_a_file_of_latents(experiment):
    experiment.predicted(experiment.fit())
    latents = read_latents(experiment.folder / "predictions.h5", "sd-text", experiment.test_id)
    assert latents.shape == (N_TEST, *SHAPE)
    with h5py.File(experiment.folder / "predictions.h5") as file:
        about = {"feature": "sd-text", "subject": "subj01", "rescale": "loo"}
        assert {name: file.attrs[name] for name in about} == about
        assert tuple(file.attrs["shape"]) == SHAPE


def test_scores_by_token_and_by_given_parts(experiment):
    weights = experiment.fit()
    table = scores_table(weights)
    assert table["part"].tolist() == ["all", "0", "1", "2"]
    assert table["n_constant"].tolist() == [10, 10, 0, 0]
    assert set(table["feature"]) == {"sd-text"}
    with h5py.File(weights) as file:
        correlation = file["loo_correlation"][()]
    assert np.isnan(table["loo_correlation_mean"][1])
    assert table["loo_correlation_mean"][2] == pytest.approx(correlation[10:20].mean())
    assert table["loo_correlation_median"][0] == pytest.approx(np.median(correlation[10:]))
    # Noise grows from token to token.
    assert table["loo_r2_mean"][2] > table["loo_r2_mean"][3]
    assert scores_table(weights, [25, 5])["n_targets"].tolist() == [30, 25, 5]
    with pytest.raises(InputError, match="found 30 targets; expected 29, the sum of 2 parts"):
        scores_table(weights, [25, 4])


def test_scores_of_a_feature_without_tokens_have_one_part(experiment):
    flat = experiment.folder / "flat.h5"
    write_latents(flat, experiment.train_id, experiment.train_latents, "flat")
    assert scores_table(experiment.fit(latents=flat))["part"].tolist() == ["all"]


def test_scores_and_constants_do_not_depend_on_the_unit(experiment, caplog):
    caplog.set_level("INFO")
    small = experiment.folder / "small.h5"
    experiment.write_latents(small, experiment.train_id, experiment.train_latents / 100)
    tables = []
    for latents in ("latents", small):
        caplog.clear()
        tables.append(scores_table(experiment.fit(latents=latents)))
        assert "30 targets, of which 10 constant" in caplog.text
    # Rounded in float32 anew when it is divided.
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)


def test_a_gram_matrix_without_eigenvectors_serves_fixed_alphas(experiment):
    prepare_gram(experiment.path["train"], experiment.path["gram"], eigenvectors=False)
    experiment.fit()
    with pytest.raises(InputError, match="found a Gram matrix without eigenvectors"):
        experiment.fit(alpha="loo", alpha_grid=GRID)


def test_a_grid_that_ends_too_early_is_warned_of(experiment, caplog):
    with h5py.File(experiment.fit(alpha="loo", alpha_grid=(1e-3, 1e-2, 1e-1))) as file:
        assert file["alpha_grid"][()].tolist() == [1e-3, 1e-2, 1e-1]
    text = "100 % of the targets take the first or the last alpha of the grid (0.001, 0.1)"
    assert text in caplog.text
    caplog.clear()
    experiment.fit(alpha="loo", alpha_grid=(1e-3,))
    assert "of the grid" not in caplog.text


def test_targets_or_predictions_without_spread_are_their_mean():
    """A target of small spread, one whose predictions have none, and a constant one."""
    std, loo_std = np.array([0.5, 2, 0]), np.array([0.25, 0, 0.5])
    mean, zero = np.array([1.0, 5, 7]), np.zeros(3)
    statistics = TargetStatistics(zero, mean, std, mean, loo_std, zero, zero)
    predictions = torch.tensor([[0.0, 3.0, 3.0], [1.0, 3.0, 3.0]])
    with np.errstate(all="raise"):
        found = {name: rescaled(predictions, statistics, name) for name in ("loo", "test", "none")}
    np.testing.assert_allclose(found["loo"], [[1, 5, 7], [3, 5, 7]])
    np.testing.assert_allclose(found["test"], [[0.5, 5, 7], [1.5, 5, 7]])
    np.testing.assert_allclose(found["none"], [[1, 8, 7], [2, 8, 7]])


def test_rounding_of_a_constant_grows_with_its_mean():
    std, mean = np.array([1e-4, 1e-4, 0]), np.array([1000, 1, 0])
    assert is_constant(std, mean).tolist() == [True, False, True]


def test_a_copied_weights_file_is_enough_to_decode(experiment, tmp_path_factory):
    expected = decode(experiment.fit(), experiment.test_betas)
    alone = tmp_path_factory.mktemp("alone") / "any-name.h5"
    shutil.copy(experiment.folder / "weights.h5", alone)
    shutil.rmtree(experiment.folder)
    np.testing.assert_array_equal(decode(alone, experiment.test_betas), expected)
