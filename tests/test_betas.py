import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.data import betas as betas_module
from nsdrecon.data import noise_ceiling
from nsdrecon.data.betas import average_repeats
from nsdrecon.data.nsd import trial_table
from nsdrecon.data.session_files import extract_session
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.store import read_array, read_ids
from small_nsd import (
    small_design,
    truncate,
    write_betas_hdf5,
    write_betas_nifti,
    write_volume,
)

SHAPE = (6, 5, 4)
N_TRIALS = 10
SESSIONS = [1, 2, 3]


class Experiment:
    """One subject's raw files in a folder, and the numbers in them."""

    def __init__(self, folder, sessions=SESSIONS, seed=0):
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.sessions = sessions
        self.trials = trial_table(small_design(max(sessions), N_TRIALS), "subj01", sessions)
        self.inside = rng.random(SHAPE) < 0.5
        self.volumes = {
            session: rng.integers(-3000, 3000, (*SHAPE, N_TRIALS)).astype(np.int16)
            for session in sessions
        }
        self.mask = write_volume(folder / "nsdgeneral.nii.gz", self.inside.astype(np.int16))

    def session_path(self, session):
        return self.folder / "sessions" / f"{session:02d}.h5"

    def extract(self, ending="nii.gz"):
        write = {"nii.gz": write_betas_nifti, "hdf5": write_betas_hdf5}[ending]
        for session in self.sessions:
            raw = write(self.folder / f"betas_session{session:02d}.{ending}", self.volumes[session])
            output = self.session_path(session)
            extract_session(raw, self.mask, self.trials, "subj01", session, output)
        return {session: self.session_path(session) for session in self.sessions}

    def average(self, **settings):
        outputs = {split: self.folder / f"{split}.h5" for split in ("train", "test")}
        paths = {session: self.session_path(session) for session in self.sessions}
        average_repeats(paths, self.trials, "subj01", outputs, **settings)
        return outputs

    def is_training(self):
        """Which trials show training images, bool (n_trials,)."""
        return (self.trials["split"] == "train").to_numpy()

    def zscores(self):
        """All trials' voxels standardised over each session's training trials, the plain way."""
        parts = []
        for session in self.sessions:
            betas = self.volumes[session][self.inside].T
            training = betas[self.is_training()[self.trials["session"] == session]]
            parts.append(scipy.stats.zmap(betas, training, axis=0))
        return np.concatenate(parts)

    def responses(self):
        """All trials' voxels in percent signal change, (n_trials, n_voxels), the plain way."""
        return np.concatenate([self.volumes[s][self.inside].T / 300 for s in self.sessions])


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path)


def attributes(path):
    with h5py.File(path) as file:
        return dict(file.attrs)


def voxels_of(path):
    with h5py.File(path) as file:
        return Voxels.of(file)


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


def set_values(experiment, values):
    """Write responses with a fraction into the session files: session, trial, voxel to value."""
    for session in experiment.sessions:
        with h5py.File(experiment.session_path(session), "r+") as file:
            betas = file["betas"][()].astype(np.float32)
            for (number, trial, voxel), value in values.items():
                if number == session:
                    betas[trial, voxel] = value
            del file["betas"]
            file["betas"] = betas


def first_trial(experiment, session, split):
    """Position of a session's first trial of a split."""
    rows = experiment.trials[experiment.trials["session"] == session]
    return int((rows["split"] == split).argmax())


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


# What is wrong, and what the message says.


def assert_no_output(experiment):
    assert not (experiment.folder / "train.h5").exists()
    assert not (experiment.folder / "test.h5").exists()
    assert not list(experiment.folder.glob(".partial*"))


def test_session_with_another_number_of_trials(experiment):
    experiment.volumes[2] = experiment.volumes[2][..., :-1]
    with pytest.raises(InputError, match=r"session02\S+ found 9 trials; expected 10 trials"):
        experiment.extract()
    assert not experiment.session_path(2).exists()


def test_session_that_is_not_in_the_table(experiment):
    raw = write_betas_nifti(experiment.folder / "b.nii.gz", experiment.volumes[1])
    with pytest.raises(InputError, match="no trial of session 9"):
        extract_session(
            raw, experiment.mask, experiment.trials, "subj01", 9, experiment.session_path(9)
        )


def test_truncated_raw_session_leaves_nothing(experiment):
    raw = truncate(write_betas_nifti(experiment.folder / "b.nii.gz", experiment.volumes[1]), 0.5)
    with pytest.raises(InputError, match=r"b\.nii\.gz"):
        extract_session(
            raw, experiment.mask, experiment.trials, "subj01", 1, experiment.session_path(1)
        )
    assert not experiment.session_path(1).exists()


def test_missing_session_file(experiment):
    experiment.extract()
    experiment.session_path(2).unlink()
    with pytest.raises(InputError, match=r"02\.h5: found no file"):
        experiment.average()
    assert_no_output(experiment)


def test_truncated_session_file(experiment):
    experiment.extract()
    truncate(experiment.session_path(2), 0.6)
    with pytest.raises(InputError, match=r"02\.h5"):
        experiment.average()
    assert_no_output(experiment)


def test_sessions_other_than_those_of_the_table(experiment):
    experiment.extract()
    experiment.sessions = [1, 3]
    message = r"trial table of subj01: found sessions \[1, 2, 3\]; expected sessions \[1, 3\]"
    with pytest.raises(InputError, match=message):
        experiment.average()


def test_swapped_session_files(experiment):
    experiment.extract()
    one, two = experiment.session_path(1), experiment.session_path(2)
    one.rename(two.with_name("x")), two.rename(one), two.with_name("x").rename(two)
    with pytest.raises(InputError, match="session 2; expected subj01, session 1"):
        experiment.average()


@pytest.mark.parametrize("column", ["nsd_id", "trial"])
def test_session_files_of_an_older_trial_table(experiment, column):
    experiment.extract()
    experiment.trials.loc[3, column] += 1
    with pytest.raises(InputError, match=rf"01\.h5: found other {column} than in the trial table"):
        experiment.average()
    assert_no_output(experiment)


def test_session_files_made_with_different_masks(experiment):
    experiment.extract()
    experiment.inside[0, 0, 0] ^= True
    write_volume(experiment.mask, experiment.inside.astype(np.int16))
    raw = experiment.folder / "betas_session03.nii.gz"
    extract_session(
        raw, experiment.mask, experiment.trials, "subj01", 3, experiment.session_path(3)
    )
    with pytest.raises(InputError, match=r"03\.h5: found other voxels; expected those of .*01\.h5"):
        experiment.average()


def test_split_without_images(experiment):
    experiment.extract()
    experiment.trials["split"] = "train"
    with pytest.raises(InputError, match="no test image"):
        experiment.average()


def test_image_in_both_splits(experiment):
    experiment.extract()
    image = experiment.trials.loc[experiment.trials["split"] == "test", "nsd_id"].iloc[0]
    experiment.trials.loc[(experiment.trials["nsd_id"] == image).idxmax(), "split"] = "train"
    with pytest.raises(InputError, match=rf"found nsd_id {image} in two splits"):
        experiment.average()
    assert_no_output(experiment)


def test_a_voxel_that_is_not_finite_in_test_trials_alone_is_refused(experiment):
    experiment.extract()
    set_values(experiment, {(2, first_trial(experiment, 2, "test"), 3): np.nan})
    with pytest.raises(InputError, match=r"02\.h5: found 1 voxels that are not finite in test"):
        experiment.average()
    assert_no_output(experiment)


def test_session_file_of_another_shape(experiment):
    experiment.extract()
    with h5py.File(experiment.session_path(2), "r+") as file:
        betas = file["betas"][()]
        del file["betas"]
        file["betas"] = betas[:, :-1]
    with pytest.raises(InputError, match=r"02\.h5: found betas of shape \(10, "):
        experiment.average()


@pytest.mark.parametrize(("n_training", "enough"), [(1, False), (2, True)])
def test_a_session_needs_two_training_trials(experiment, n_training, enough):
    rows = experiment.trials[experiment.trials["session"] == 2]
    left_out = rows.index[rows["split"] == "train"][n_training:]
    experiment.volumes[2] = np.delete(experiment.volumes[2], left_out - rows.index[0], axis=-1)
    experiment.trials = experiment.trials.drop(left_out)
    experiment.extract()
    if enough:
        assert attributes(experiment.average()["train"])["excluded_constant_in_a_session"] == 0
        return
    with pytest.raises(InputError, match=r"less than two training trials in session 2"):
        experiment.average()


def test_session_without_training_trials(experiment):
    experiment.extract()
    others = (experiment.trials["session"] == 2) & (experiment.trials["split"] == "train")
    experiment.trials = experiment.trials[~others]
    with pytest.raises(InputError, match=r"less than two training trials in session 2"):
        experiment.average()


def test_ncsnr_without_repeats(tmp_path):
    experiment = Experiment(tmp_path, sessions=[1])
    experiment.extract()
    with pytest.raises(InputError, match="no training image with two trials"):
        experiment.average(min_ncsnr=0.1)
    assert_no_output(experiment)


def test_no_voxel_left(experiment):
    experiment.extract()
    with pytest.raises(InputError, match=r"no usable voxel .*'excluded_low_ncsnr'"):
        experiment.average(min_ncsnr=1e9)
    assert_no_output(experiment)
