import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betas_experiment import (
    SESSIONS,
    SHAPE,
    Experiment,
    attributes,
    first_trial,
    set_values,
    voxels_of,
)
from nsdrecon.data import betas as betas_module
from nsdrecon.data import noise_ceiling
from nsdrecon.data.betas import average_repeats
from nsdrecon.store import read_array, read_ids


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path)


def test_fewer_sessions_keep_the_voxels_of_all(experiment):
    """One that does not vary in the last session alone is left out of the first one's too."""
    experiment.volumes[3][tuple(np.argwhere(experiment.inside)[4])] = 5
    paths = experiment.extract()
    whole = experiment.average()["train"]
    output, first = experiment.folder / "first.h5", experiment.trials["session"] == 1
    average_repeats(
        {1: paths[1]}, experiment.trials[first], "subj01", {"train": output}, voxels_of=whole
    )
    assert voxels_of(output).same_as(voxels_of(whole))
    assert attributes(output)["excluded_elsewhere"] == 1
    shown = experiment.trials[first & (experiment.trials["split"] == "train")]
    image = shown["nsd_id"].iloc[0]
    trials = experiment.responses()[shown.index[shown["nsd_id"] == image]]
    expected = np.delete(trials.mean(axis=0), 4)
    np.testing.assert_allclose(read_array(output, "betas", [image])[0], expected, rtol=1e-5)


@pytest.mark.parametrize("ending", ["nii.gz", "hdf5"])
def test_session_file_holds_the_voxels_as_stored(experiment, ending):
    paths = experiment.extract(ending)
    for session, path in paths.items():
        with h5py.File(path) as file:
            betas = file["betas"][()]
            rows = experiment.trials[experiment.trials["session"] == session]
            assert betas.dtype == np.int16
            expected = experiment.volumes[session][experiment.inside].T
            np.testing.assert_array_equal(betas, expected)
            np.testing.assert_array_equal(file["nsd_id"], rows["nsd_id"])
            np.testing.assert_array_equal(file["trial"], rows["trial"])
            np.testing.assert_array_equal(file["voxel"], np.argwhere(experiment.inside))
            assert file["affine"].shape == (4, 4)
            assert dict(file.attrs)["subject"] == "subj01"
            assert dict(file.attrs)["session"] == session
            assert dict(file.attrs)["units"] == "percent signal change x 300"


def test_both_formats_give_the_same_bytes(tmp_path):
    files = []
    for ending in ("nii.gz", "hdf5"):
        (tmp_path / ending).mkdir()
        experiment = Experiment(tmp_path / ending)
        files.append([path.read_bytes() for path in experiment.extract(ending).values()])
    assert files[0] == files[1]


@given(
    st.integers(1, 40), st.integers(0, 100), st.lists(st.integers(1, 3), min_size=1, unique=True)
)
@settings(max_examples=25, deadline=None)
def test_means_over_repeats_are_those_of_a_table(tmp_path_factory, block, seed, sessions):
    experiment = Experiment(tmp_path_factory.mktemp("betas"), sorted(sessions), seed)
    experiment.extract()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(betas_module, "_BLOCK_VOXELS", block)
        outputs = experiment.average()
    responses = pd.DataFrame(experiment.responses())
    for split, path in outputs.items():
        chosen = (experiment.trials["split"] == split).to_numpy()
        nsd_id = experiment.trials["nsd_id"][chosen].to_numpy()
        expected = responses[chosen].groupby(nsd_id).mean()
        np.testing.assert_array_equal(read_ids(path), expected.index)
        betas = read_array(path, "betas")
        assert betas.dtype == np.float32
        np.testing.assert_allclose(betas, expected, rtol=1e-6, atol=1e-6)
        counts = pd.Series(nsd_id).value_counts().sort_index()
        np.testing.assert_array_equal(read_array(path, "repeats"), counts)


def test_single_trials_of_test_images_are_kept(experiment):
    experiment.extract()
    outputs = experiment.average()
    with h5py.File(outputs["test"]) as file:
        test = experiment.trials[experiment.trials["split"] == "test"]
        np.testing.assert_array_equal(file["trial_nsd_id"], test["nsd_id"])
        np.testing.assert_array_equal(file["trial"], test["trial"])
        expected = experiment.responses()[test.index]
        np.testing.assert_allclose(file["trial_betas"], expected, rtol=1e-6)
        for row, nsd_id in enumerate(file["nsd_id"][()]):
            trials = file["trial_betas"][()][file["trial_nsd_id"][()] == nsd_id]
            np.testing.assert_allclose(trials.mean(axis=0), file["betas"][row], atol=1e-5)
    with h5py.File(outputs["train"]) as file:
        assert "trial_betas" not in file


def test_zscores_are_over_the_training_trials_of_each_session(experiment):
    # A session of another scale: percent signal change shows it, z-scores do not.
    experiment.volumes[2] = (experiment.volumes[2] * 5 + 700).astype(np.int16)
    experiment.extract()
    outputs = experiment.average(session_zscore=True)
    zscores = experiment.zscores()
    for split, path in outputs.items():
        chosen = (experiment.trials["split"] == split).to_numpy()
        nsd_id = experiment.trials["nsd_id"][chosen].to_numpy()
        expected = pd.DataFrame(zscores[chosen]).groupby(nsd_id).mean()
        np.testing.assert_allclose(read_array(path, "betas"), expected, rtol=1e-5, atol=1e-6)
        assert attributes(path)["units"] == "z-score over the training trials of each session"


def damage(experiment):
    """Four voxels that cannot be used; returns their coordinates."""
    first, second, third, fourth = np.argwhere(experiment.inside)[[0, 7, 11, 20]]
    for volume in experiment.volumes.values():
        volume[tuple(first)] = 0
        volume[tuple(second)] = 123
    experiment.volumes[2][tuple(third)] = 0
    experiment.volumes[3][tuple(fourth)] = -5
    return np.array([first, second, third, fourth])


@pytest.mark.parametrize("session_zscore", [False, True])
def test_voxels_without_variation_are_left_out_and_counted(experiment, session_zscore, caplog):
    unusable = damage(experiment)
    experiment.extract()
    with caplog.at_level("INFO"):
        outputs = experiment.average(session_zscore=session_zscore)
    expected = experiment.inside.copy()
    expected[tuple(unusable.T)] = False
    for path in outputs.values():
        np.testing.assert_array_equal(voxels_of(path).index, np.argwhere(expected))
        assert np.isfinite(read_array(path, "betas")).all()
        found = attributes(path)
        assert found["voxels_in_mask"] == experiment.inside.sum()
        assert found["excluded_constant"] == 2
        assert found["excluded_zero_in_a_session"] == 1
        assert found["excluded_constant_in_a_session"] == 1
    assert f"{expected.sum()} of {experiment.inside.sum()} voxels used" in caplog.text
    if not session_zscore:
        kept = expected[experiment.inside]
        test = experiment.trials[experiment.trials["split"] == "test"]
        with h5py.File(outputs["test"]) as file:
            responses = experiment.responses()[test.index][:, kept]
            np.testing.assert_allclose(file["trial_betas"], responses, rtol=1e-6)


def test_a_voxel_is_used_whatever_the_test_trials_are(experiment):
    """One is silent in the test trials of a session alone, another in the training trials alone."""
    in_test, in_training = np.argwhere(experiment.inside)[[4, 15]]
    training = experiment.is_training()[experiment.trials["session"] == 2]
    experiment.volumes[2][tuple(in_test)][~training] = 0
    experiment.volumes[2][tuple(in_training)][training] = 0
    experiment.extract()
    for zscore in (False, True):
        outputs = experiment.average(session_zscore=zscore)
        expected = experiment.inside.copy()
        expected[tuple(in_training)] = False
        for path in outputs.values():
            np.testing.assert_array_equal(voxels_of(path).index, np.argwhere(expected))
            assert attributes(path)["excluded_zero_in_a_session"] == 1
        with h5py.File(outputs["test"]) as file:
            assert np.isfinite(file["trial_betas"]).all()


def plain_ncsnr(experiment):
    """Noise-ceiling SNR of all voxels from training trials, image by image."""
    training = experiment.is_training()
    zscores = pd.DataFrame(experiment.zscores()[training])
    by_image = zscores.groupby(experiment.trials["nsd_id"].to_numpy()[training])
    noise = by_image.var(ddof=1)[by_image.size() >= 2].mean().to_numpy()
    return np.sqrt(np.maximum(0, 1 - noise)) / np.sqrt(noise)


@pytest.fixture
def reliable(experiment):
    """An experiment whose responses follow the images, less and less from voxel to voxel."""
    experiment.trials.loc[experiment.is_training().argmax(), "nsd_id"] = 99  # shown just once
    n_voxels = experiment.inside.sum()
    signal = np.random.default_rng(1).normal(size=(100, n_voxels))
    shown = signal[experiment.trials["nsd_id"]] * np.linspace(1000, 0, n_voxels)
    for session, rows in experiment.trials.groupby("session").groups.items():
        experiment.volumes[session][experiment.inside] //= 4
        experiment.volumes[session][experiment.inside] += shown[rows].T.astype(np.int16)
    return experiment


@pytest.mark.parametrize("session_zscore", [False, True])
def test_voxels_with_a_low_ncsnr_are_left_out(reliable, session_zscore, monkeypatch):
    for module in (betas_module, noise_ceiling):
        monkeypatch.setattr(module, "_BLOCK_VOXELS", 7)
    expected = plain_ncsnr(reliable)
    threshold = np.sort(expected)[len(expected) // 2]
    assert 0.1 < threshold < expected.max()
    reliable.extract()
    # Just at the threshold a voxel stays: a little less, so that rounding has no say.
    outputs = reliable.average(session_zscore=session_zscore, min_ncsnr=threshold - 1e-6)
    kept = expected >= threshold
    for output in outputs.values():
        np.testing.assert_array_equal(voxels_of(output).index, np.argwhere(reliable.inside)[kept])
        found = attributes(output)
        assert found["min_ncsnr"] == threshold - 1e-6
        assert found["excluded_low_ncsnr"] == (~kept).sum()


def test_a_voxel_at_the_threshold_stays(reliable):
    assert (plain_ncsnr(reliable) == 0).any()
    reliable.extract()
    for output in reliable.average(min_ncsnr=0).values():
        assert attributes(output)["excluded_low_ncsnr"] == 0


def test_voxels_that_are_not_finite_are_left_out_and_counted(experiment):
    experiment.extract()
    for output in experiment.average().values():
        assert "excluded_not_finite" not in attributes(output)  # of whole numbers all are
    training = {session: first_trial(experiment, session, "train") for session in (2, 3)}
    set_values(
        experiment,
        {
            (2, training[2], 3): np.nan,
            (2, first_trial(experiment, 2, "test"), 3): np.nan,
            (3, training[3], 9): np.inf,
        },
    )
    expected = np.delete(np.argwhere(experiment.inside), [3, 9], axis=0)
    for output in experiment.average().values():
        np.testing.assert_array_equal(voxels_of(output).index, expected)
        assert attributes(output)["excluded_not_finite"] == 2
        assert np.isfinite(read_array(output, "betas")).all()


@pytest.mark.parametrize("session_zscore", [False, True])
def test_training_responses_are_the_same_whatever_the_test_trials_are(reliable, session_zscore):
    settings = {"session_zscore": session_zscore, "min_ncsnr": 0.3}
    damage(reliable)
    reliable.extract()
    before = {split: path.read_bytes() for split, path in reliable.average(**settings).items()}
    rng = np.random.default_rng(9)
    for session, rows in reliable.trials.groupby("session").groups.items():
        test = ~reliable.is_training()[rows]
        shape = (*SHAPE, test.sum())
        reliable.volumes[session][..., test] = rng.integers(-30000, 30000, shape)
    reliable.extract()
    after = {split: path.read_bytes() for split, path in reliable.average(**settings).items()}
    assert after["train"] == before["train"]
    assert after["test"] != before["test"]


def test_attributes_say_what_the_file_is(experiment):
    experiment.extract()
    for split, path in experiment.average().items():
        found = attributes(path)
        assert found["subject"] == "subj01"
        assert found["split"] == split
        assert found["units"] == "percent signal change"
        assert list(found["sessions"]) == SESSIONS
        assert "min_ncsnr" not in found
