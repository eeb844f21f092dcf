"""Ridge from files to files: the numbers of scikit-learn, one clear error for what does not fit."""

import shutil
from dataclasses import fields

import h5py
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV

from nsdrecon.checked_files import describe
from nsdrecon.data.latent_files import read_latents, write_latents
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.ridge.decoding import decode, predict, rescaled
from nsdrecon.ridge.fitting import fit_weights
from nsdrecon.ridge.responses import Responses, is_constant, prepare_gram
from nsdrecon.ridge.scores import scores_table
from nsdrecon.ridge.targets import TargetStatistics
from nsdrecon.store import create_h5, read_array

N_TRAIN, N_TEST, N_VOXELS = 40, 12, 60
SHAPE = (3, 10)  # three tokens, the first of which is constant
CONSTANT_VOXELS = [4, 17]
GRID = (1.0, 10.0, 100.0, 1000.0, 10000.0)
ALPHA = 30.0


def write_betas(path, nsd_id, betas, subject="subj01", units="percent signal change", shift=0):
    index = np.argwhere(np.ones((4, 3, 5), dtype=bool)).astype(np.int32) + shift
    with create_h5(path) as file:
        file.create_dataset("nsd_id", data=nsd_id)
        file.create_dataset("betas", data=betas.astype(np.float32))
        Voxels(index[: betas.shape[1]], (9, 8, 10), np.eye(4), str(path)).write(file)
        file.attrs.update(subject=subject, units=units)


class Experiment:
    """Simulated responses and latents, in files and as arrays."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        n = N_TRAIN + N_TEST
        betas = rng.normal(size=(n, N_VOXELS)) * rng.uniform(0.5, 3, N_VOXELS) + 2
        betas[:, CONSTANT_VOXELS] = [0.0, 1.7]
        weights = rng.normal(size=(N_VOXELS, np.prod(SHAPE))) / 10
        noise = rng.normal(size=(n, np.prod(SHAPE))) * np.linspace(0.2, 3, np.prod(SHAPE))
        latents = betas @ weights + noise + 7
        latents[:, :10] = np.linspace(-1, 1, 10)
        self.nsd_id = rng.permutation(1000)[:n]
        self.betas = betas.astype(np.float32)
        self.latents = latents.astype(np.float32)
        train, test = np.s_[:N_TRAIN], np.s_[N_TRAIN:]
        self.train_id, self.test_id = self.nsd_id[train], self.nsd_id[test]
        self.train_betas, self.test_betas = self.betas[train], self.betas[test]
        self.train_latents = self.latents[train]
        self.path = {name: folder / f"{name}.h5" for name in ("train", "test", "latents", "gram")}
        write_betas(self.path["train"], self.train_id, self.train_betas)
        write_betas(self.path["test"], self.test_id, self.test_betas)
        self.write_latents(self.path["latents"], self.train_id, self.train_latents)
        prepare_gram(self.path["train"], self.path["gram"])

    def write_latents(self, path, nsd_id, latents):
        write_latents(path, nsd_id, latents.reshape(len(latents), *SHAPE), "sd-text")

    def standardised(self):
        """Train and test responses standardised as published, without constants."""
        varies = np.setdiff1d(np.arange(N_VOXELS), CONSTANT_VOXELS)
        train, test = (b[:, varies].astype(float) for b in (self.train_betas, self.test_betas))
        mean, std = train.mean(axis=0), train.std(axis=0, ddof=1)
        return (train - mean) / std, (test - mean) / std

    def fit(self, output="weights.h5", alpha=ALPHA, **settings):
        settings = {"gram": "gram", "train_betas": "train", "latents": "latents"} | settings
        for name in ("gram", "train_betas", "latents"):
            settings[name] = self.path.get(settings[name], settings[name])
        fit_weights(output=self.folder / output, alpha=alpha, **settings)
        return self.folder / output

    def predicted(self, weights, output="predictions.h5", **settings):
        predict(weights, self.path["test"], self.folder / output, **settings)
        return read_array(self.folder / output, "latents", self.test_id)


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


def test_scores_and_constants_do_not_depend_on_the_unit(experiment):
    small = experiment.folder / "small.h5"
    experiment.write_latents(small, experiment.train_id, experiment.train_latents / 100)
    tables = [scores_table(experiment.fit(latents=path)) for path in ("latents", small)]
    assert tables[0]["n_constant"].tolist() == tables[1]["n_constant"].tolist()


def test_a_gram_matrix_without_eigenvectors_serves_fixed_alphas(experiment):
    prepare_gram(experiment.path["train"], experiment.path["gram"], eigenvectors=False)
    experiment.fit()
    with pytest.raises(InputError, match="found a Gram matrix without eigenvectors"):
        experiment.fit(alpha="loo", alpha_grid=GRID)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_responses_that_are_not_finite_are_refused(experiment, value):
    bad = experiment.train_betas.copy()
    bad[3, 50] = value
    write_betas(experiment.path["train"], experiment.train_id, bad)
    message = f"responses that are not finite, of images nsd_id {experiment.train_id[3]};"
    with pytest.raises(InputError, match=message):
        prepare_gram(experiment.path["train"], experiment.folder / "new.h5")
    with pytest.raises(InputError, match=message):
        experiment.fit()
    assert not (experiment.folder / "new.h5").exists()
    assert not (experiment.folder / "weights.h5").exists()


def test_test_responses_that_are_not_finite_are_refused(experiment):
    weights = experiment.fit()
    bad = experiment.test_betas.copy()
    bad[[1, 5], 7] = np.nan
    write_betas(experiment.path["test"], experiment.test_id, bad)
    ids = f"{experiment.test_id[1]}, {experiment.test_id[5]}"
    with pytest.raises(InputError, match=f"images nsd_id {ids};"):
        experiment.predicted(weights)
    assert not (experiment.folder / "predictions.h5").exists()
    with pytest.raises(InputError, match="rows 1, 5;"):
        decode(weights, bad)


def test_latents_that_are_not_finite_are_refused(experiment):
    bad = experiment.train_latents.copy()
    bad[8, 29] = np.inf
    experiment.write_latents(experiment.path["latents"], experiment.train_id, bad)
    with pytest.raises(InputError, match=f"latents .* nsd_id {experiment.train_id[8]};"):
        experiment.fit()
    assert not (experiment.folder / "weights.h5").exists()


def test_predictions_of_images_of_the_training_are_refused(experiment):
    weights = experiment.fit()
    ids = experiment.test_id.copy()
    ids[2] = experiment.train_id[7]
    write_betas(experiment.path["test"], ids, experiment.test_betas)
    with pytest.raises(InputError, match=rf"test\.h5: found nsd_id {ids[2]}, on which"):
        experiment.predicted(weights)


@pytest.mark.parametrize("name", ["weights", "intercept", "voxel_mean", "loo_std"])
def test_weights_that_are_not_finite_are_refused(experiment, name):
    weights = experiment.fit()
    with h5py.File(weights, "r+") as file:
        file[name][(3,) * file[name].ndim] = np.nan
    for decoded in (experiment.predicted, lambda path: decode(path, experiment.test_betas)):
        with pytest.raises(InputError, match=r"weights\.h5: found weights that are not finite"):
            decoded(weights)


@pytest.mark.parametrize("which", ["train", "latents"])
def test_images_that_do_not_match_are_refused(experiment, which):
    write = {"train": write_betas, "latents": experiment.write_latents}[which]
    values = experiment.train_betas if which == "train" else experiment.train_latents
    other = experiment.train_id.copy()
    other[5] = 2000
    write(experiment.path[which], other, values)
    with pytest.raises(
        InputError, match=f"{which}.h5: found no row for nsd_id {experiment.train_id[5]}"
    ):
        experiment.fit()
    more = np.append(experiment.train_id, 2000)
    write(experiment.path[which], more, np.append(values, values[:1], axis=0))
    with pytest.raises(InputError, match=f"{which}.h5: found nsd_id 2000, without a counterpart"):
        experiment.fit()


def test_responses_that_changed_after_the_gram_matrix_are_refused(experiment):
    changed = experiment.train_betas.copy()
    changed[0, 0] += 0.01
    write_betas(experiment.path["train"], experiment.train_id, changed)
    with pytest.raises(InputError, match="found other responses than the Gram matrix was made of"):
        experiment.fit()


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"shift": 1}, "found 60 voxels that differ in number or place"),
        ({"subject": "subj02"}, "found subject 'subj02'; expected 'subj01'"),
        ({"units": "z-score over each session"}, "expected 'percent signal change'"),
    ],
)
def test_responses_of_another_kind_are_refused(experiment, difference, message):
    weights = experiment.fit()
    write_betas(experiment.path["test"], experiment.test_id, experiment.test_betas, **difference)
    with pytest.raises(InputError, match=message):
        experiment.predicted(weights)


def test_new_responses_of_other_voxels_are_refused(experiment):
    weights = experiment.fit()
    with h5py.File(weights) as file:
        voxel = file["voxel"][()]
    decode(weights, experiment.test_betas, voxel=voxel)
    with pytest.raises(InputError, match="voxels that differ in number or place"):
        decode(weights, experiment.test_betas, voxel=voxel[::-1])
    with pytest.raises(InputError, match=r"found shape \(12, 59\); expected \(n, 60\)"):
        decode(weights, experiment.test_betas[:, 1:])


def test_more_targets_than_the_weights_say_are_refused(experiment):
    weights = experiment.fit()
    with h5py.File(weights, "r+") as file:
        file.attrs["shape"] = (3, 9)
        describe(file, weights)
    with pytest.raises(
        InputError, match=r"found weights of shape \(60, 30\) .* expected \(60, 27\)"
    ):
        decode(weights, experiment.test_betas)


def test_latents_that_are_not_of_their_shape_are_refused(experiment):
    with h5py.File(experiment.path["latents"], "r+") as file:
        file.attrs["shape"] = (3, 9)
        describe(file, experiment.path["latents"])
    with pytest.raises(InputError, match=r"found latents of shape \(40, 30\); expected \(40, 27\)"):
        experiment.fit()


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_weights_file_is_refused(experiment, kept):
    weights = experiment.fit()
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"weights\.h5: found .* bytes that do not open"):
        decode(weights, experiment.test_betas)


def test_a_file_of_another_kind_is_refused(experiment):
    with pytest.raises(InputError, match="expected a dataset 'weights'"):
        decode(experiment.path["gram"], experiment.test_betas)
    with pytest.raises(InputError, match="expected a dataset 'gram'"):
        experiment.fit(gram=experiment.path["train"])


def test_alpha_0_with_a_singular_gram_matrix_is_refused(experiment):
    few = np.s_[:, :20]
    write_betas(experiment.path["train"], experiment.train_id, experiment.train_betas[few])
    prepare_gram(experiment.path["train"], experiment.path["gram"])
    with pytest.raises(InputError, match="alpha: found 0, with a Gram matrix of 40 images"):
        experiment.fit(alpha=0)
    assert not (experiment.folder / "weights.h5").exists()


def test_a_single_training_image_is_refused(experiment):
    write_betas(experiment.path["train"], experiment.train_id[:1], experiment.train_betas[:1])
    with pytest.raises(InputError, match="found 1 training images; expected at least two"):
        prepare_gram(experiment.path["train"], experiment.path["gram"])
    write_betas(experiment.path["train"], experiment.train_id[:2], experiment.train_betas[:2])
    prepare_gram(experiment.path["train"], experiment.path["gram"])


def test_responses_without_variation_are_refused(experiment):
    write_betas(experiment.path["train"], experiment.train_id, 0 * experiment.train_betas)
    with pytest.raises(InputError, match="found no voxel that varies"):
        prepare_gram(experiment.path["train"], experiment.path["gram"])


def test_a_single_test_image_cannot_be_rescaled_by_itself(experiment):
    weights = experiment.fit()
    write_betas(experiment.path["test"], experiment.test_id[:1], experiment.test_betas[:1])
    with pytest.raises(InputError, match="found 1 test images; expected at least two"):
        experiment.predicted(weights, rescale="test")
    with pytest.raises(InputError, match="found 1 test images; expected at least two"):
        decode(weights, experiment.test_betas[:1], rescale="test")
    assert decode(weights, experiment.test_betas[:2], rescale="test").shape == (2, np.prod(SHAPE))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1}, "alpha: found -1"),
        ({"alpha": "loo"}, "alpha_grid: found"),
        ({"block": 0}, "block: found 0"),
    ],
)
def test_settings_out_of_range_are_refused(experiment, settings, message):
    with pytest.raises(InputError, match=message):
        experiment.fit(**settings)


def test_a_rescaling_that_does_not_exist_is_refused(experiment):
    weights = experiment.fit()
    with pytest.raises(InputError, match="rescale: found all; expected loo, test, none"):
        experiment.predicted(weights, rescale="all")


def test_a_grid_that_ends_too_early_is_warned_of(experiment, caplog):
    with h5py.File(experiment.fit(alpha="loo", alpha_grid=(1e-3, 1e-2, 1e-1))) as file:
        assert file["alpha_grid"][()].tolist() == [1e-3, 1e-2, 1e-1]
    text = "100 % of the targets take the first or the last alpha of the grid (0.001, 0.1)"
    assert text in caplog.text
    caplog.clear()
    experiment.fit(alpha="loo", alpha_grid=(1e-3,))
    assert "of the grid" not in caplog.text


def test_constant_targets_are_counted_whatever_the_unit(experiment, caplog):
    caplog.set_level("INFO")
    small = experiment.folder / "small.h5"
    experiment.write_latents(small, experiment.train_id, experiment.train_latents / 100)
    experiment.fit(latents=small)
    assert "30 targets, of which 10 constant" in caplog.text


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


def test_files_whose_parts_do_not_fit_each_other_are_refused(experiment):
    write_betas(experiment.path["test"], experiment.test_id[1:], experiment.test_betas)
    with pytest.raises(InputError, match=r"betas of shape \(12, 60\); expected \(11, 60\)"):
        Responses.of(experiment.path["test"])
    gram = experiment.path["gram"]
    with h5py.File(gram, "r+") as file:
        smaller = file["gram"][1:, 1:]
        del file["gram"]
        file["gram"] = smaller
        describe(file, gram)
    with pytest.raises(InputError, match=r"gram of shape \(39, 39\); expected \(40, 40\)"):
        experiment.fit()


def test_training_responses_of_other_voxels_than_the_gram_matrix_are_refused(experiment):
    write_betas(experiment.path["train"], experiment.train_id, experiment.train_betas, shift=1)
    with pytest.raises(InputError, match="voxels that differ in number or place"):
        experiment.fit()


def test_a_copied_weights_file_is_enough_to_decode(experiment, tmp_path_factory):
    expected = decode(experiment.fit(), experiment.test_betas)
    alone = tmp_path_factory.mktemp("alone") / "any-name.h5"
    shutil.copy(experiment.folder / "weights.h5", alone)
    shutil.rmtree(experiment.folder)
    np.testing.assert_array_equal(decode(alone, experiment.test_betas), expected)


def test_statistics_of_another_number_of_targets_are_refused(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for field in fields(TargetStatistics):
            file[field.name] = np.zeros(3 if field.name == "target_std" else 4)
        with pytest.raises(InputError, match=r"weights.h5: found 'target_std' of shape \(3,\)"):
            TargetStatistics.read(file)
