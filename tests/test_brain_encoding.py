"""Responses predicted from pictures: numbers of scikit-learn, correlations, and their floors."""

import h5py
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from nsdrecon.brain.correlation import (
    correlation_table,
    correlations,
    measured_responses,
    predicted_responses,
    sample_correlations,
    write_best,
)
from nsdrecon.brain.encoding import EncodingModel, accuracy_table, fit_encoding
from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.pages.figures.brain import correlation_figure
from nsdrecon.store import read_array, write_arrays
from small_brain import CONSTANT_TARGET, CONSTANT_VOXEL, SHAPE, SmallBrain, write_betas
from small_nsd import AFFINE

NEW = np.array([1003, 1001, 1007, 1002, 1010, 1020])


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    brain = SmallBrain(tmp_path_factory.mktemp("brain"))
    output = brain.folder / "encoding.h5"
    names = ("gram", "train", "latents")
    fit_encoding(*(brain.path[name] for name in names), output, block=5)
    return brain


@pytest.fixture(scope="module")
def model(brain):
    return EncodingModel.of(brain.folder / "encoding.h5", brain.path["latents"])


def new_features():
    return np.random.default_rng(1).normal(size=(len(NEW), 12)).astype(np.float32) * 3 + 1


def test_predicted_responses_are_those_of_scikit_learn(brain, model):
    features, targets = new_features(), brain.targets()
    found = model.responses(features, block=5)
    varying = np.delete(brain.latents.astype(float), CONSTANT_TARGET, axis=1)
    new = np.delete(features.astype(float), CONSTANT_TARGET, axis=1)
    new = (new - varying.mean(axis=0)) / varying.std(axis=0)
    with h5py.File(brain.folder / "encoding.h5") as file:
        alphas = file["alpha"][()] * targets.shape[1]  # products are means over features
    expected = Ridge(alphas).fit(targets, brain.standardised()).predict(new)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(set(alphas)) > 1
    assert not found[:, CONSTANT_VOXEL].any()


def test_features_of_another_length_or_space_are_refused(brain, model, tmp_path):
    with pytest.raises(InputError, match=r"found shape \(2, 7\); expected rows of 12"):
        model.responses(np.zeros((2, 7), dtype=np.float32))
    other = tmp_path / "other.h5"
    write_latents(other, brain.nsd_id, brain.latents, "vd-vision")
    with pytest.raises(InputError, match=r"other\.h5: found features 'vd-vision'; expected vdvae"):
        EncodingModel.of(brain.folder / "encoding.h5", other)


def test_correlations_are_over_voxels_and_floors_are_other_images():
    rng = np.random.default_rng(2)
    predicted, measured = rng.normal(size=(5, 2, 40)), rng.normal(size=(5, 40))
    predicted[:, 0] += measured
    voxels = np.arange(40) < 25
    own, others = correlations(predicted, measured, voxels)
    every = np.array(
        [
            [
                np.mean([np.corrcoef(s[voxels], row[voxels])[0, 1] for s in samples])
                for row in measured
            ]
            for samples in predicted
        ]
    )
    np.testing.assert_allclose(own, every.diagonal())
    off = (every.sum(axis=0) - every.diagonal()) / 4
    np.testing.assert_allclose(others, off)
    assert own.mean() > others.mean() + 0.2


def test_the_best_sample_is_that_whose_response_fits_whatever_the_order(tmp_path):
    rng = np.random.default_rng(3)
    predicted, measured = rng.normal(size=(6, 3, 40)), rng.normal(size=(6, 40))
    best = np.array([2, 0, 1, 1, 0, 2])
    predicted[np.arange(6), best] += 2 * measured
    voxels = np.arange(40) < 30
    agreement = sample_correlations(predicted, measured, voxels)
    one = np.corrcoef(predicted[3, 2, :30], measured[3, :30])[0, 1]
    assert agreement[3, 2] == pytest.approx(one)
    pictures = np.zeros((6, 3, 4, 4, 3), dtype=np.uint8)
    order = np.argsort(NEW)
    pictures[..., 0] = (10 * order[:, None] + np.arange(3))[..., None, None]
    about = {"system": "sd-ddpm", "subject": "subj01"}
    write_arrays(tmp_path / "sd-ddpm.h5", NEW[order], {"images": pictures}, about)
    write_best(tmp_path / "sd-ddpm.h5", NEW, agreement, tmp_path / "sd-ddpm-best.h5")
    found = read_array(tmp_path / "sd-ddpm-best.h5", "images", NEW)
    assert found.shape == (6, 1, 4, 4, 3)
    np.testing.assert_array_equal(found[:, 0, 0, 0, 0], 10 * np.arange(6) + best)
    with h5py.File(tmp_path / "sd-ddpm-best.h5") as file:
        assert file.attrs["system"] == "sd-ddpm-best"


def test_accuracy_is_averaged_over_the_voxels_that_have_a_ceiling():
    accuracy, ceiling = np.array([0.2, 0.4, 0.6, np.nan]), np.array([0.5, 0.5, np.nan, 0.5])
    members = {"all": np.ones(4, dtype=bool), "one": np.arange(4) == 1, "none": np.arange(4) > 1}
    table = accuracy_table(accuracy, ceiling, members).set_index("region")
    assert table["n_voxels"].tolist() == [2, 1, 0]
    assert table.loc["all", ["accuracy", "ceiling", "share"]].tolist() == pytest.approx(
        [0.3, 0.5, 0.6]
    )
    assert table.loc["none"].isna().sum() == 3


def test_pictures_are_compared_by_id_and_true_features_beat_the_floor(model, tmp_path):
    """Pictures whose features are known: their corner says which row of the features is theirs."""
    features = new_features()
    truth = np.argsort(NEW)  # the file of pictures runs by id, the responses do not
    pictures = np.zeros((len(NEW), 4, 4, 3), dtype=np.uint8)
    pictures[:, 0, 0, 0] = truth
    write_arrays(tmp_path / "seen.h5", NEW[truth], {"images": pictures})
    write_arrays(tmp_path / "samples.h5", NEW[truth], {"images": pictures[:, None].repeat(2, 1)})

    def encode(nsd_id, images):
        np.testing.assert_array_equal(nsd_id, NEW)
        return features[images[:, 0, 0, 0]].reshape(-1, 3, 4)

    predicted = {
        name: predicted_responses(model, tmp_path / f"{name}.h5", NEW, encode)
        for name in ("seen", "samples")
    }
    assert predicted["seen"].shape == (len(NEW), 1, 60)
    assert predicted["samples"].shape == (len(NEW), 2, 60)
    np.testing.assert_allclose(predicted["seen"][:, 0], model.responses(features), atol=1e-6)

    std = model.standardise.std
    betas = model.standardise.mean + std * (predicted["seen"][:, 0] + 0.2)
    index = np.argwhere(np.ones(SHAPE, dtype=bool)).astype(np.int32)
    write_betas(tmp_path / "test.h5", NEW, betas, Voxels(index, SHAPE, AFFINE, "test"))
    nsd_id, measured = measured_responses(model, tmp_path / "test.h5")
    np.testing.assert_array_equal(nsd_id, NEW)
    members = {"all": std > 0, "left": (np.arange(60) < 30) & (std > 0)}
    table = correlation_table(
        predicted,
        measured,
        members,
        floors_of={"samples": "shuffled-samples"},
        resamples=100,
        seed=0,
    )
    rows = table.set_index(["system", "region"])
    assert rows.loc[("seen", "all"), "correlation"] == pytest.approx(1, abs=1e-5)
    assert rows.loc[("samples", "left"), "correlation"] == pytest.approx(1, abs=1e-5)
    assert rows.loc[("shuffled-samples", "all"), "correlation"] < 0.9
    assert rows["n_voxels"].unique().tolist() == [59, 29]
    table.insert(0, "subject", "subj01")
    options = {"titles": {"samples": "two samples"}, "features": "SwAV"}
    caption = correlation_figure(table, tmp_path / "figure.png", **options)
    assert "features of each picture (SwAV)" in caption
    assert "mean of 6 test images" in caption
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_responses_of_another_subject_are_refused(model, tmp_path):
    path = tmp_path / "test.h5"
    index = np.argwhere(np.ones(SHAPE, dtype=bool)).astype(np.int32)
    voxels = Voxels(index, SHAPE, AFFINE, "test")
    write_betas(path, NEW, np.ones((6, 60)), voxels, subject="subj02")
    with pytest.raises(InputError, match=r"test\.h5: found subject 'subj02'; expected 'subj01'"):
        measured_responses(model, path)
