"""Several samples of an image."""

from __future__ import annotations

import numpy as np
import pytest

from nsdrecon.diffusion.samples import agreement, choose_samples, mean_image, uncertainty_map
from nsdrecon.errors import InputError


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


def test_the_sample_nearest_in_direction_to_the_prediction_is_chosen():
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=(4, 5, 6)).astype(np.float32)
    features = rng.normal(size=(4, 3, 5, 6)).astype(np.float32)
    best = np.array([2, 0, 1, 2])
    for row, sample in enumerate(best):
        # Of another length, which must not matter.
        features[row, sample] = 0.1 * predicted[row]
    np.testing.assert_array_equal(choose_samples(predicted, features), best)
    np.testing.assert_allclose(agreement(predicted, features)[np.arange(4), best], 1, atol=1e-6)


def test_features_of_other_images_are_refused():
    with pytest.raises(InputError, match="features of samples"):
        choose_samples(np.zeros((4, 5, 6)), np.zeros((3, 2, 5, 6)))
