import gzip
import json

import h5py
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon import provenance
from nsdrecon.data.volumes import Voxels, read_labels, read_map, read_mask, read_session, write_map
from nsdrecon.errors import InputError
from small_nsd import AFFINE, truncate, write_betas_hdf5, write_betas_nifti, write_volume

SHAPE = (5, 4, 3)
WRITERS = {"nii.gz": write_betas_nifti, "hdf5": write_betas_hdf5}


def random_betas(shape=SHAPE, n_trials=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-32768, 32768, (*shape, n_trials)).astype(np.int16)


def random_mask(shape=SHAPE, seed=0):
    """-1, 0 and 1, as NSD's ROI volumes have them."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.int16)


@pytest.fixture
def voxels(tmp_path):
    return read_mask(write_volume(tmp_path / "nsdgeneral.nii.gz", random_mask()))


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["<i2", ">i2"]),
)
@settings(max_examples=40, deadline=None)
def test_both_formats_give_c_ordered_boolean_indexing(
    tmp_path_factory, shape, n_trials, seed, dtype
):
    folder = tmp_path_factory.mktemp("volumes")
    betas = random_betas(shape, n_trials, seed)
    mask = random_mask(shape, seed)
    mask[0, 0, 0] = 1
    voxels = read_mask(write_volume(folder / "mask.nii.gz", mask))
    for ending, write in WRITERS.items():
        path = write(folder / f"betas_session01.{ending}", betas, dtype)
        got = read_session(path, voxels, n_trials)
        np.testing.assert_array_equal(got, betas[mask > 0].T)
        assert got.dtype == np.int16
        assert got.dtype.isnative


def test_nibabel_reads_the_same(tmp_path, voxels):
    path = write_betas_nifti(tmp_path / "b.nii.gz", random_betas())
    inside = np.zeros(SHAPE, bool)
    inside[tuple(voxels.index.T)] = True
    expected = nib.load(path).get_fdata()[inside].T
    np.testing.assert_array_equal(read_session(path, voxels, 7), expected)


def test_data_may_start_after_header_extensions(tmp_path, voxels):
    betas = random_betas()
    image = nib.Nifti1Image(betas, AFFINE)
    image.header.set_slope_inter(1, 0)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 3000))
    nib.save(image, tmp_path / "b.nii.gz")
    assert nib.load(tmp_path / "b.nii.gz").dataobj.offset > 3000
    got = read_session(tmp_path / "b.nii.gz", voxels, 7)
    np.testing.assert_array_equal(got, betas[tuple(voxels.index.T)].T)


def test_voxels_round_trip(tmp_path, voxels):
    some = voxels.subset(np.arange(len(voxels)) % 2 == 0)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        some.write(file)
        back = Voxels.of(file)
    assert back.same_as(some)
    assert not back.same_as(voxels)
    assert isinstance(back.shape[0], int)


# What is wrong, and what the message says.


def test_empty_mask(tmp_path):
    path = write_volume(tmp_path / "mask.nii.gz", np.full(SHAPE, -1, np.int16))
    with pytest.raises(InputError, match=r"mask\.nii\.gz: found no voxel above 0"):
        read_mask(path)


def test_four_dimensional_mask(tmp_path):
    path = write_volume(tmp_path / "mask.nii.gz", np.ones((2, 2, 2, 2), np.int16))
    with pytest.raises(InputError, match="three dimensions"):
        read_mask(path)


def test_labels_must_be_integers(tmp_path, voxels):
    path = write_volume(tmp_path / "roi.nii.gz", np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(InputError, match="not integers"):
        read_labels(path, voxels)


@pytest.mark.parametrize("ending", WRITERS)
def test_betas_of_another_shape_than_the_mask(tmp_path, voxels, ending):
    betas = random_betas((5, 3, 4))
    path = WRITERS[ending](tmp_path / f"betas_session01.{ending}", betas)
    with pytest.raises(InputError) as caught:
        read_session(path, voxels, 7)
    message = str(caught.value)
    assert "betas_session01" in message
    assert "(5, 3, 4)" in message
    assert "(5, 4, 3) as in" in message
    assert "nsdgeneral.nii.gz" in message


def test_map_of_another_shape_than_the_mask(tmp_path, voxels):
    path = write_volume(tmp_path / "ncsnr.nii.gz", np.zeros((3, 4, 5), np.float32))
    with pytest.raises(InputError, match=r"\(3, 4, 5\); expected \(5, 4, 3\)"):
        read_map(path, voxels)


def test_a_map_that_lies_elsewhere_than_the_mask_is_refused(tmp_path, voxels):
    """A noise ceiling or labels of regions; those whose header leaves it open are taken."""
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    path = write_volume(tmp_path / "ncsnr.nii.gz", np.zeros(SHAPE, np.float32), mirrored)
    for read in (read_map, read_labels):
        with pytest.raises(InputError, match=r"ncsnr\.nii\.gz: found affine .*mirrored"):
            read(path, voxels)
    image = nib.load(path)
    values = np.asarray(image.dataobj)
    open_one = nib.Nifti1Image(values, None, image.header)
    open_one.header["sform_code"] = open_one.header["qform_code"] = 0
    nib.save(open_one, tmp_path / "open.nii.gz")
    np.testing.assert_array_equal(read_map(tmp_path / "open.nii.gz", voxels), np.zeros(len(voxels)))


@pytest.mark.parametrize("ending", WRITERS)
def test_another_number_of_trials(tmp_path, voxels, ending):
    path = WRITERS[ending](tmp_path / f"betas_session01.{ending}", random_betas())
    with pytest.raises(InputError, match="found 7 trials; expected 10 trials by the design"):
        read_session(path, voxels, 10)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("dtype", ["<u2", "<i4", "<f4"])
def test_another_type(tmp_path, voxels, ending, dtype):
    path = WRITERS[ending](tmp_path / f"betas_session01.{ending}", random_betas(), dtype)
    with pytest.raises(InputError, match="expected int16"):
        read_session(path, voxels, 7)


def test_a_mask_that_lies_elsewhere_than_the_betas_is_refused(tmp_path, voxels):
    """Mirrored, as another program may write it; rounding of a header is no other place."""
    betas = write_betas_nifti(tmp_path / "b.nii.gz", random_betas())
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    mask = read_mask(write_volume(tmp_path / "mirrored.nii.gz", random_mask(), mirrored))
    with pytest.raises(InputError, match=r"b\.nii\.gz: found affine \[\[1\.8.*mirrored\.nii\.gz"):
        read_session(betas, mask, 7)
    close = read_mask(write_volume(tmp_path / "close.nii.gz", random_mask(), AFFINE + 1e-4))
    np.testing.assert_array_equal(read_session(betas, close, 7), read_session(betas, voxels, 7))


def test_scaled_nifti_is_refused(tmp_path, voxels):
    image = nib.Nifti1Image(random_betas(), AFFINE)
    image.header.set_slope_inter(1 / 300, 0)
    nib.save(image, tmp_path / "b.nii.gz")
    with pytest.raises(InputError, match=r"scl_slope 0\.0033.*expected slope 1"):
        read_session(tmp_path / "b.nii.gz", voxels, 7)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.7, 0.99])
def test_truncated_session(tmp_path, voxels, ending, share):
    betas = random_betas(n_trials=50)
    path = truncate(WRITERS[ending](tmp_path / f"betas_session01.{ending}", betas), share)
    with pytest.raises(InputError, match=r"betas_session01\.\S+ found"):
        read_session(path, voxels, 50)


def test_a_map_says_what_it_is(tmp_path, voxels):
    path, about = tmp_path / "results/demo/subj01/maps/a.nii.gz", {"source": "simulated"}
    contents = set()
    for _ in range(2):
        with provenance.written_in("demo", about):
            write_map(path, np.arange(len(voxels)), voxels)
        (comment,) = nib.load(path).header.extensions
        assert json.loads(comment.text) == {**about, "file": "subj01/maps/a.nii.gz"}
        contents.add(path.read_bytes())
    assert len(contents) == 1
    np.testing.assert_array_equal(read_map(path, voxels), np.arange(len(voxels)))


def test_a_flipped_bit_anywhere_in_a_mask_is_noticed(tmp_path):
    """But for the date of the compression."""
    path = write_volume(tmp_path / "mask.nii.gz", random_mask())
    whole = path.read_bytes()
    for position in range(11, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"mask\.nii\.gz: found data that do not read"):
            read_mask(path)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_truncated_mask(tmp_path, share):
    path = truncate(write_volume(tmp_path / "mask.nii.gz", random_mask((9, 9, 9))), share)
    with pytest.raises(InputError, match=r"mask\.nii\.gz: found data that do not read"):
        read_mask(path)


def test_fewer_volumes_than_the_header_says(tmp_path, voxels):
    path = write_betas_nifti(tmp_path / "b.nii.gz", random_betas())
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:-100]))
    with pytest.raises(InputError, match="found 6 whole volumes; expected 7 as in its header"):
        read_session(path, voxels, 7)
    path.write_bytes(gzip.compress(raw + b"more"))
    with pytest.raises(InputError, match="data after the last volume"):
        read_session(path, voxels, 7)


def test_a_flipped_bit_anywhere_in_a_nifti_is_noticed(tmp_path, voxels):
    """gzip carries a checksum: damage is an error or changes nothing that is read."""
    betas = random_betas(n_trials=3)
    path = write_betas_nifti(tmp_path / "b.nii.gz", betas)
    whole = path.read_bytes()
    expected = read_session(path, voxels, 3)
    noticed = 0
    for position in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[position] ^= 16
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_session(path, voxels, 3), expected)
        except InputError:
            noticed += 1
    assert noticed > 0.9 * len(whole) / 5


def test_missing_or_unknown_file(tmp_path, voxels):
    with pytest.raises(InputError, match="no file"):
        read_session(tmp_path / "b.nii.gz", voxels, 7)
    with pytest.raises(InputError, match="no file"):
        read_mask(tmp_path / "mask.nii.gz")
    (tmp_path / "b.mgh").write_bytes(b"")
    with pytest.raises(InputError, match=r"'\.mgh'; expected \.nii\.gz or \.hdf5"):
        read_session(tmp_path / "b.mgh", voxels, 7)
    (tmp_path / "text.nii.gz").write_text("<html>403 Forbidden</html>")
    with pytest.raises(InputError, match="do not read"):
        read_mask(tmp_path / "text.nii.gz")


def test_hdf5_without_betas(tmp_path, voxels):
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["beta"] = np.zeros(3)
    with pytest.raises(InputError, match="datasets beta; expected a dataset 'betas'"):
        read_session(tmp_path / "b.hdf5", voxels, 7)
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["betas"] = np.zeros((3, 4, 5), np.int16)
    with pytest.raises(InputError, match="expected X, Y, Z and trials"):
        read_session(tmp_path / "b.hdf5", voxels, 7)
