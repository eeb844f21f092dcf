"""What sessions and their means are refused for, and what the message says."""

import h5py
import numpy as np
import pytest

from betas_experiment import Experiment, attributes, first_trial, set_values
from nsdrecon.data.session_files import extract_session
from nsdrecon.errors import InputError
from small_nsd import truncate, write_betas_nifti, write_volume


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path)


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


@pytest.mark.parametrize(("n_training", "enough"), [(0, False), (1, False), (2, True)])
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
