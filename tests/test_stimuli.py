import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.data import stimuli
from nsdrecon.data.stimuli import extract_stimuli
from nsdrecon.errors import InputError
from nsdrecon.store import read_array, read_ids
from small_nsd import truncate

N_STIMULI = 30


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N_STIMULI, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def brick(tmp_path, images):
    return write_brick(tmp_path / "nsd_stimuli.hdf5", images)


def write_brick(path, images):
    with h5py.File(path, "w") as file:
        file["imgBrick"] = images
    return path


@given(
    st.lists(st.integers(0, N_STIMULI - 1), unique=True, max_size=N_STIMULI),
    st.sampled_from([1, 4, 64]),
)
@settings(max_examples=30, deadline=None)
def test_images_are_found_by_id(tmp_path_factory, images, nsd_id, block):
    folder = tmp_path_factory.mktemp("stimuli")
    brick = write_brick(folder / "nsd_stimuli.hdf5", images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stimuli, "_BLOCK_IMAGES", block)
        extract_stimuli(brick, np.array(nsd_id, dtype=np.int64), folder / "train.h5")
    assert read_ids(folder / "train.h5").tolist() == sorted(nsd_id)
    got = read_array(folder / "train.h5", "images")
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, images[sorted(nsd_id)])


def test_id_outside_the_stimuli(tmp_path, brick):
    message = r"nsd_stimuli\.hdf5: found 30 images; expected also nsd_id 30, 72999"
    with pytest.raises(InputError, match=message):
        extract_stimuli(brick, np.array([72999, 3, 30]), tmp_path / "train.h5")
    assert not (tmp_path / "train.h5").exists()


@pytest.mark.parametrize("nsd_id", [[3, 3], [-1]])
def test_bad_ids(tmp_path, brick, nsd_id):
    with pytest.raises(InputError, match=rf"nsd_id {nsd_id[0]}"):
        extract_stimuli(brick, np.array(nsd_id), tmp_path / "train.h5")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6, 5, 3), np.float32),
        np.zeros((4, 6, 5), np.uint8),
        np.zeros((4, 3, 6, 5), np.uint8),
    ],
)
def test_brick_of_another_kind(tmp_path, array):
    brick = write_brick(tmp_path / "nsd_stimuli.hdf5", array)
    with pytest.raises(InputError, match=r"'imgBrick' of shape .*; expected \(images, height"):
        extract_stimuli(brick, np.array([0]), tmp_path / "train.h5")


def test_file_without_a_brick(tmp_path):
    with h5py.File(tmp_path / "nsd_stimuli.hdf5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(InputError, match="expected a dataset 'imgBrick'"):
        extract_stimuli(tmp_path / "nsd_stimuli.hdf5", np.array([0]), tmp_path / "train.h5")


def test_truncated_file(tmp_path, brick):
    truncate(brick, 0.8)
    with pytest.raises(InputError, match=r"nsd_stimuli\.hdf5: found \d+ bytes that do not open"):
        extract_stimuli(brick, np.array([0]), tmp_path / "train.h5")
    assert not (tmp_path / "train.h5").exists()
