"""Maps on a made-up surface: vertices whose voxels are known."""

import nibabel as nib
import numpy as np
import pytest

from nsdrecon.brain.surfaces import project, read_coordinates
from nsdrecon.errors import InputError
from small_nsd import AFFINE, write_volume

SHAPE = (4, 3, 5)
# In voxels counted from 0: one in the middle, one nearer to a neighbour, one in a voxel without a
# value, one outside, one far away, as transforms say that there is no place.
VERTICES = np.array([[1, 2, 3], [1.4, 1.6, 0.2], [0, 0, 0], [3.6, 0, 0], [9998, 9998, 9998]])


def write_transform(path, vertices):
    """Coordinates counted from 1, as MGZ files have them."""
    values = (vertices + 1).astype(np.float32).reshape(-1, 1, 1, 3)
    nib.save(nib.MGHImage(values, np.eye(4)), path)
    return path


@pytest.fixture
def volume(tmp_path):
    values = np.arange(60, dtype=np.float32).reshape(SHAPE)
    values[0, 0, 0] = np.nan
    return write_volume(tmp_path / "map.nii.gz", values)


def test_a_vertex_has_the_value_of_its_voxel(tmp_path, volume):
    coordinates = read_coordinates(write_transform(tmp_path / "lh.mgz", VERTICES))
    np.testing.assert_allclose(coordinates, VERTICES, rtol=1e-6)
    project(volume, coordinates, tmp_path / "lh.map.func.gii")
    found = nib.load(tmp_path / "lh.map.func.gii").agg_data()
    values = np.asarray(nib.load(volume).dataobj)
    np.testing.assert_array_equal(found[:2], [values[1, 2, 3], values[1, 2, 0]])
    assert np.isnan(found[2:]).all()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(nib.load(volume).affine, AFFINE.astype(np.float32))


def test_a_map_without_any_value_has_none_on_the_surface(tmp_path):
    volume = write_volume(tmp_path / "map.nii.gz", np.full(SHAPE, np.nan, dtype=np.float32))
    project(volume, VERTICES, tmp_path / "lh.map.func.gii")
    assert np.isnan(nib.load(tmp_path / "lh.map.func.gii").agg_data()).all()


@pytest.mark.parametrize("shape", [(5, 1, 1, 2), (5, 2, 1, 3), (15,)])
def test_coordinates_of_another_layout_are_refused(tmp_path, shape):
    path = tmp_path / "lh.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype=np.float32), np.eye(4)), path)
    with pytest.raises(InputError, match=r"lh\.nii\.gz: found shape .*expected three coordinates"):
        read_coordinates(path)


def test_a_missing_file_and_another_space_are_refused(tmp_path, volume):
    with pytest.raises(InputError, match=r"none\.mgz: found what does not read"):
        read_coordinates(tmp_path / "none.mgz")
    output = tmp_path / "lh.map.func.gii"
    with pytest.raises(InputError, match="found no vertex of 5 in a voxel with a value"):
        project(volume, VERTICES + 100, output)
    assert not output.exists()
