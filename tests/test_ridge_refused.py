"""What the regression from files to files refuses, in one clear error."""

from dataclasses import fields

import h5py
import numpy as np
import pytest

from nsdrecon.checked_files import describe
from nsdrecon.errors import InputError
from nsdrecon.ridge.decoding import decode
from nsdrecon.ridge.responses import Responses, prepare_gram
from nsdrecon.ridge.targets import TargetStatistics
from ridge_experiment import SHAPE, Experiment, write_betas


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path)


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


def test_statistics_of_another_number_of_targets_are_refused(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for field in fields(TargetStatistics):
            file[field.name] = np.zeros(3 if field.name == "target_std" else 4)
        with pytest.raises(InputError, match=r"weights.h5: found 'target_std' of shape \(3,\)"):
            TargetStatistics.read(file)
