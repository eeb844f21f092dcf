"""Several samples of an image."""

from __future__ import annotations

import numpy as np
import pytest

from nsdrecon.data.latent_files import write_latents
from nsdrecon.diffusion.samples import (
    agreement,
    mean_image,
    summarise_samples,
    uncertainty_map,
)
from nsdrecon.errors import InputError
from nsdrecon.store import read_array, read_ids, write_arrays


def test_mean_and_uncertainty_are_per_image_and_pixel():
    images = np.zeros((2, 2, 4, 4, 3), dtype=np.uint8)
    images[0, 1] = 100
    images[1, 1, 2, 3] = (30, 40, 0)
    mean, spread = mean_image(images), uncertainty_map(images)
    assert mean.dtype == np.uint8
    assert (mean[0] == 50).all()
    np.testing.assert_array_equal(mean[1, 2, 3], (15, 20, 0))
    np.testing.assert_allclose(spread[0], 50)
    # Deviations of 15, 20 and 0 grey levels in the three colours.
    assert spread[1, 2, 3] == pytest.approx(np.sqrt((15**2 + 20**2) / 3))
    assert spread[1].sum() == pytest.approx(spread[1, 2, 3])


def test_one_sample_has_no_uncertainty():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(mean_image(images), images[:, 0])
    assert not uncertainty_map(images).any()


def test_the_sample_nearest_in_direction_to_the_prediction_agrees_best():
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(4, 5, 6)).astype(np.float32)
    features = rng.normal(size=(4, 3, 5, 6)).astype(np.float32)
    best = np.array([2, 0, 1, 2])
    for row, sample in enumerate(best):
        # Of another length, which must not matter.
        features[row, sample] = 0.1 * predicted[row]
    found = agreement(predicted, features)
    np.testing.assert_array_equal(found.argmax(axis=1), best)
    np.testing.assert_allclose(found[np.arange(4), best], 1, atol=1e-6)


def test_features_of_other_images_are_refused():
    with pytest.raises(InputError, match="features of samples"):
        agreement(np.zeros((4, 5, 6)), np.zeros((3, 2, 5, 6)))


@pytest.fixture
def files(tmp_path):
    """Three samples of four images, and predictions of more images in another order."""
    nsd_id = np.array([30, 4, 17, 9])
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 6, 3), dtype=np.uint8)
    about = {"system": "sd-ddpm", "subject": "subj01"}
    write_arrays(tmp_path / "made.h5", nsd_id, {"images": images}, about)
    best = dict(zip(nsd_id.tolist(), [2, 0, 1, 2], strict=True))
    wanted = {image: encode(images[row, [best[image]]]) for row, image in enumerate(nsd_id)}
    others = np.array([9, 99, 30, 17, 4])
    predicted = np.stack([wanted.get(image, encode(images[0, [0]]))[0] for image in others])
    write_latents(tmp_path / "predicted.h5", others, predicted, "vd-vision")
    return tmp_path, nsd_id, images, best


def encode(images):
    """A stand-in for an encoder: (n, 2, 54)."""
    return images.reshape(len(images), 2, -1).astype(np.float32) - 128


@pytest.mark.parametrize("batch_size", [1, 6, 100])
def test_the_summary_holds_mean_uncertainty_and_choice_by_id(files, batch_size):
    folder, nsd_id, images, best = files
    output = folder / "samples.h5"
    summarise_samples(
        folder / "made.h5",
        folder / "predicted.h5",
        output,
        feature="vd-vision",
        encode=encode,
        batch_size=batch_size,
    )
    assert read_ids(output).tolist() == sorted(nsd_id)
    np.testing.assert_array_equal(read_array(output, "chosen", nsd_id), list(best.values()))
    np.testing.assert_array_equal(read_array(output, "mean", nsd_id), mean_image(images))
    np.testing.assert_array_equal(
        read_array(output, "uncertainty", nsd_id), uncertainty_map(images)
    )
    assert read_array(output, "agreement").shape == (4, 3)


def test_an_image_without_a_prediction_is_named(files):
    folder, *_ = files
    write_latents(folder / "few.h5", np.array([4, 9]), np.ones((2, 2, 54)), "vd-vision")
    with pytest.raises(InputError, match="no row for nsd_id 17"):
        summarise_samples(
            folder / "made.h5",
            folder / "few.h5",
            folder / "samples.h5",
            feature="vd-vision",
            encode=encode,
            batch_size=2,
        )
    assert not (folder / "samples.h5").exists()
