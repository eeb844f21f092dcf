"""Synthetic responses of single regions: scaled each on its own, decoded like any response."""

import h5py
import numpy as np
import pytest

from nsdrecon.brain.patterns import write_patterns
from nsdrecon.errors import InputError
from nsdrecon.pages.figures.brain import pictures_figure
from nsdrecon.regions import Region
from nsdrecon.ridge.decoding import predict
from nsdrecon.store import read_array, read_ids, write_arrays
from small_brain import CONSTANT_VOXEL, LEFT, N_IMAGES, RIGHT, SmallBrain

REGIONS = (
    Region("left", "parts", (1,)),
    Region("none", "parts", (9,)),
    Region("few", "parts", (2,)),
)
FEW = slice(30, 34)


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    return SmallBrain(tmp_path_factory.mktemp("brain"))


def patterns(brain, pattern, regions=REGIONS):
    """Path of the responses, and the patterns in standard deviations, (n_regions, n_voxels).

    Responses are float32: what is 0 but for rounding is 0.
    """
    labels = np.zeros(60, dtype=np.int16)
    labels[LEFT], labels[FEW] = 1, 2
    path = brain.folder / f"{pattern}.h5"
    write_patterns(
        *(brain.path["gram"], brain.path["train"], regions),
        *({"parts": brain.write_volume("parts", labels)}, path),
        pattern=pattern,
    )
    with h5py.File(brain.path["gram"]) as file:
        mean, std = file["voxel_mean"][()], file["voxel_std"][()]
    found = read_array(path, "betas") - mean
    found = np.divide(found, std, out=np.zeros_like(found), where=std > 0)
    return path, np.where(abs(found) < 1e-6, 0, found)


@pytest.mark.parametrize("pattern", ["binary", "mean-response"])
def test_one_region_is_active_and_as_long_as_a_typical_response(brain, pattern):
    path, found = patterns(brain, pattern)
    with h5py.File(path) as file:
        assert list(file.attrs["regions"]) == ["left", "few"]  # an empty region is left out
        assert (np.diff(file["nsd_id"][()]) == 1).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.sqrt(59), rtol=1e-5)
    typical = np.linalg.norm(brain.standardised(), axis=1)
    assert np.sqrt(59) == pytest.approx(typical.mean(), rel=0.05)
    assert not found[0, RIGHT].any()
    assert not found[0, CONSTANT_VOXEL]
    assert np.flatnonzero(found[1]).tolist() == list(range(60)[FEW])


def test_binary_patterns_raise_all_voxels_alike(brain):
    _, found = patterns(brain, "binary")
    np.testing.assert_allclose(found[1, FEW], np.sqrt(59 / 4), rtol=1e-5)


def test_mean_responses_are_those_to_the_images_that_drive_the_region(brain):
    _, found = patterns(brain, "mean-response")
    voxels = brain.standardised()[:, FEW]
    driving = np.argsort(-voxels.sum(axis=1))[: N_IMAGES // 10]
    expected = voxels[driving].mean(axis=0)
    expected *= np.sqrt(59) / np.linalg.norm(expected)
    np.testing.assert_allclose(found[1, FEW], expected, rtol=1e-4)


def test_patterns_are_decoded_like_responses_and_drawn_by_name(brain, tmp_path):
    path, _ = patterns(brain, "binary")
    predict(brain.path["weights"], path, tmp_path / "latents.h5")
    latents = read_array(tmp_path / "latents.h5", "latents")
    assert np.abs(latents[0] - latents[1]).max() > 0.1
    images = np.random.default_rng(0).integers(0, 255, (2, 1, 8, 8, 3)).astype(np.uint8)
    write_arrays(tmp_path / "pictures.h5", read_ids(path), {"images": images})
    figure = tmp_path / "figure.png"
    caption = pictures_figure(path, {"VDVAE": tmp_path / "pictures.h5"}, figure)
    assert "one region alone is active (pattern binary" in caption
    assert figure.stat().st_size > 5000


def test_regions_without_a_voxel_and_unknown_patterns_are_refused(brain):
    with pytest.raises(InputError, match=r"parts\.nii\.gz: found no region with a decoded voxel"):
        patterns(brain, "binary", regions=REGIONS[1:2])
    with pytest.raises(InputError, match="pattern: found round; expected binary, mean-response"):
        patterns(brain, "round")
