"""Maps of voxels: numbers of leaving each image out, in volumes with the mask's affine."""

import h5py
import nibabel as nib
import numpy as np
import pytest
from nilearn.masking import apply_mask
from PIL import Image
from sklearn.linear_model import Ridge

from nsdrecon.brain.maps import FeatureFiles, SubjectFiles, write_maps
from nsdrecon.data.volumes import read_mask
from nsdrecon.errors import InputError
from nsdrecon.pages.figures.brain import maps_figure
from small_brain import ALPHA, CONSTANT_VOXEL, LEFT, N_IMAGES, RIGHT, SmallBrain
from small_nsd import AFFINE, write_volume

GRID = (1.0, 10.0, 100.0, 1000.0)


@pytest.fixture
def brain(tmp_path):
    return SmallBrain(tmp_path)


def maps_of(brain, ncsnr=None):
    """Maps by name, (n_voxels,) each."""
    if ncsnr is None:
        ncsnr = np.full(60, 0.5, dtype=np.float32)
    names = ("importance-vdvae", "encoding-vdvae", "noise-ceiling")
    outputs = {name: brain.folder / f"{name}.nii.gz" for name in names}
    subject = SubjectFiles(
        brain.path["gram"], brain.path["train"], brain.write_volume("ncsnr", ncsnr)
    )
    files = FeatureFiles(brain.path["latents"], brain.path["weights"])
    write_maps(subject, {"vdvae": files}, outputs, block=5)
    return {name: np.asarray(nib.load(path).dataobj).ravel() for name, path in outputs.items()}


def left_out_importance(brain, alphas):
    """What each voxel adds to the covariance with predictions of images that were left out."""
    voxels, targets = brain.standardised(), brain.targets()
    total = np.zeros(voxels.shape[1])
    for image in range(N_IMAGES):
        others = np.arange(N_IMAGES) != image
        model = Ridge(alphas).fit(voxels[others], targets[others])
        total += voxels[image] * (targets[image] @ model.coef_)
    return total / N_IMAGES / targets.shape[1]


@pytest.mark.parametrize("per_target", [False, True], ids=["one penalty", "one a target"])
def test_importance_is_that_of_leaving_each_image_out(brain, per_target):
    if per_target:
        brain.fit(alpha="loo", alpha_grid=GRID, per_target=True)
    with h5py.File(brain.path["weights"]) as file:
        alphas = np.delete(file["alpha"][()], 2)
    assert (len(set(alphas)) > 1) == per_target
    found = maps_of(brain)["importance-vdvae"]
    expected = left_out_importance(brain, alphas if per_target else ALPHA)
    varies = np.arange(60) != CONSTANT_VOXEL
    np.testing.assert_allclose(found[varies], expected[varies], atol=1e-6 * expected.max())
    assert np.isnan(found[CONSTANT_VOXEL])


def test_voxels_that_know_nothing_have_no_importance_and_no_accuracy(brain):
    maps = maps_of(brain)
    for name in ("importance-vdvae", "encoding-vdvae"):
        knows, nothing = maps[name][LEFT], maps[name][RIGHT]
        assert np.nanmean(knows) > 5 * abs(np.nanmean(nothing)), name
        error = np.nanstd(nothing) / np.sqrt(len(nothing))
        assert abs(np.nanmean(nothing)) < 3 * error, name


def test_encoding_accuracy_is_that_of_leaving_each_image_out(brain):
    found = maps_of(brain)["encoding-vdvae"]
    voxels, targets = brain.standardised(), brain.targets()
    products = targets @ targets.T / targets.shape[1]
    # In the scale of the targets' mean product, 1, penalties are multiples of its mean eigenvalue.
    penalties = 10.0 ** np.arange(-2, 4) * np.trace(products) / N_IMAGES * targets.shape[1]
    predicted, slopes = np.zeros((2, len(penalties), *voxels.shape))
    for image in range(N_IMAGES):
        others = np.arange(N_IMAGES) != image
        for row, penalty in enumerate(penalties):
            model = Ridge(penalty).fit(targets[others], voxels[others])
            predicted[row, image] = model.predict(targets[[image]])[0]
            slopes[row, image] = model.coef_ @ targets[image]
    errors = ((predicted - voxels) ** 2).sum(axis=1)
    for voxel in np.delete(np.arange(60), CONSTANT_VOXEL):
        best = slopes[errors[:, voxel].argmin(), :, voxel]
        expected = np.corrcoef(best, voxels[:, voxel])[0, 1]
        assert found[voxel] == pytest.approx(expected, abs=1e-4)


def test_noise_ceiling_is_a_correlation_and_unknown_where_the_map_is(brain):
    ncsnr = np.linspace(0, 2, 60).astype(np.float32)
    ncsnr[7] = np.nan
    found = maps_of(brain, ncsnr)["noise-ceiling"]
    known = np.arange(60) != 7
    squares = ncsnr[known].astype(float) ** 2
    np.testing.assert_allclose(found[known], np.sqrt(squares / (squares + 1 / 3)), rtol=1e-6)
    assert np.isnan(found[7])


def test_maps_open_with_the_affine_of_the_mask(brain):
    mask = brain.write_volume("mask", np.ones(60, dtype=np.int16))
    maps_of(brain)
    for name in ("importance-vdvae", "encoding-vdvae", "noise-ceiling"):
        image = nib.load(brain.folder / f"{name}.nii.gz")
        np.testing.assert_array_equal(image.affine, read_mask(mask).affine)
        np.testing.assert_array_equal(image.affine, AFFINE.astype(np.float32))
        assert image.shape == read_mask(mask).shape
        assert image.get_data_dtype() == np.float32
        # nilearn takes a mask for a map only if both have the same shape and affine.
        found = apply_mask(image, mask, ensure_finite=False)
        np.testing.assert_array_equal(found, np.asarray(image.dataobj).ravel())


def test_the_figure_shows_the_voxels_of_every_map(brain):
    outputs = {name: brain.folder / f"{name}.nii.gz" for name in maps_of(brain)}
    caption = maps_figure(outputs, brain.folder / "maps.png", subject="subj01")
    assert caption.startswith("subj01: maps of the voxels")
    picture = np.asarray(Image.open(brain.folder / "maps.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_the_figure_of_a_mask_of_two_slices(tmp_path):
    values = np.random.default_rng(0).random((6, 5, 2)).astype(np.float32)
    path = write_volume(tmp_path / "map.nii.gz", values)
    maps_figure({"importance": path}, tmp_path / "maps.png", subject="subj01")
    picture = np.asarray(Image.open(tmp_path / "maps.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_a_map_of_another_shape_is_refused_by_name(brain):
    files = FeatureFiles(brain.path["latents"], brain.path["weights"])
    path = write_volume(brain.folder / "other.nii.gz", np.ones((4, 3, 6), dtype=np.float32))
    subject = SubjectFiles(brain.path["gram"], brain.path["train"], path)
    names = ("importance-vdvae", "encoding-vdvae", "noise-ceiling")
    outputs = {name: brain.folder / f"{name}.nii.gz" for name in names}
    with pytest.raises(InputError, match=r"other\.nii\.gz: found a volume of \(4, 3, 6\)"):
        write_maps(subject, {"vdvae": files}, outputs)
    assert not outputs["noise-ceiling"].exists()
