"""Extraction of latents: the published numbers, whatever the batch, the shard and the order."""

import hashlib

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon import randomness
from nsdrecon.errors import InputError
from nsdrecon.vdvae import preprocessing
from nsdrecon.vdvae.latents import extract_latents
from vdvae_models import SMALL, TINY, golden, golden_model, random_images, random_model

IDS = np.array([71_999, 3, 20, 5, 6])


@pytest.fixture(scope="module")
def tiny():
    return random_model(TINY)


def test_means_are_the_originals():
    expected = golden()["latents_mean_all"].numpy()
    images = golden()["images_uint8"].numpy()
    found = extract_latents(golden_model(), images, IDS[:3], latent="mean", batch_size=2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.std())
    nine = extract_latents(golden_model(), images, IDS[:3], latent="mean", n_layers=9)
    assert nine.shape == (3, SMALL.n_latents(9))
    np.testing.assert_allclose(nine, expected[:, : nine.shape[1]], atol=1e-5 * expected.std())


def test_layers_beyond_those_kept_are_not_run(tiny):
    def fail(*_):
        raise AssertionError("a layer that is not kept was run")

    hooks = [layer.prior.register_forward_hook(fail) for layer in tiny.decoder.dec_blocks[2:]]
    extract_latents(tiny, random_images(1, 8), IDS[:1], n_layers=2)
    with pytest.raises(AssertionError):
        extract_latents(tiny, random_images(1, 8), IDS[:1], n_layers=3)
    for hook in hooks:
        hook.remove()


@given(
    order=st.permutations(range(5)),
    batch_size=st.integers(1, 6),
    cut=st.integers(1, 4),
    latent=st.sampled_from(["sample", "mean"]),
)
@settings(max_examples=10, deadline=None)
def test_latents_do_not_depend_on_batch_order_or_shard(tiny, order, batch_size, cut, latent):
    images = random_images(5, 12)
    whole = extract_latents(tiny, images, IDS, latent=latent, seed=4)
    order = np.array(order)
    parts = [
        extract_latents(tiny, images[rows], IDS[rows], latent=latent, seed=4, batch_size=batch_size)
        for rows in (order[:cut], order[cut:])
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole[order], rtol=0, atol=1e-5)


def test_the_batch_does_not_matter_in_bfloat16_either(tiny):
    images = random_images(5, 8)
    one, many = (
        extract_latents(tiny, images, IDS, batch_size=size, precision="bfloat16") for size in (1, 5)
    )
    np.testing.assert_allclose(one, many, rtol=0, atol=0.05)


def test_the_first_sample_is_posterior_mean_plus_keyed_noise(tiny):
    images = random_images(2, 8)
    sampled = extract_latents(tiny, images, IDS[:2], n_layers=1, seed=9)
    means = extract_latents(tiny, images, IDS[:2], n_layers=1, latent="mean")
    pixels = torch.from_numpy(preprocessing.normalise(images))
    layer = tiny.decoder.dec_blocks[0]
    start = tiny.decoder.bias_xs[0].expand(2, -1, -1, -1)
    posterior = layer.infer(start, tiny.encoder(pixels)[1])
    noise = [randomness.normal((3, 1, 1), 9, "vdvae-posterior", int(i), 0) for i in IDS[:2]]
    expected = (
        means + (posterior.log_std.exp() * torch.from_numpy(np.stack(noise))).flatten(1).numpy()
    )
    np.testing.assert_allclose(sampled, expected, rtol=1e-6, atol=1e-6)


def test_seed_and_id_change_the_sample_but_not_the_mean(tiny):
    image = random_images(1, 8).repeat(2, axis=0)
    sampled = extract_latents(tiny, image, np.array([1, 2]))
    assert np.abs(sampled[0] - sampled[1]).max() > 0.1
    other_seed = extract_latents(tiny, image[:1], np.array([1]), seed=1)
    assert np.abs(sampled[0] - other_seed[0]).max() > 0.1
    means = extract_latents(tiny, image, np.array([1, 2]), latent="mean")
    np.testing.assert_allclose(means[0], means[1], rtol=0, atol=1e-6)


def test_bfloat16_is_near_float32():
    images = golden()["images_uint8"].numpy()
    exact, rounded = (
        extract_latents(golden_model(), images, IDS[:3], latent="mean", precision=precision)
        for precision in ("float32", "bfloat16")
    )
    error = np.sqrt(np.mean((rounded - exact) ** 2)) / exact.std()
    assert 0 < error < 0.02


def test_images_may_be_an_hdf5_dataset_of_any_size(tiny, tmp_path):
    images = random_images(3, 25)
    with h5py.File(tmp_path / "stimuli.h5", "w") as file:
        file["images"] = images
        found = extract_latents(tiny, file["images"], IDS[:3], batch_size=2)
    np.testing.assert_array_equal(found, extract_latents(tiny, images, IDS[:3], batch_size=2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_activations_name_the_image(value):
    model = random_model(TINY)
    poisoned = IDS[2]

    def poison(_module, _inputs, output):
        # The third image of five is the first of the second batch of two.
        if poison.batch == 1:
            output[0] = value
        poison.batch += 1
        return output

    poison.batch = 0
    model.encoder.enc_blocks[1].register_forward_hook(poison)
    with pytest.raises(InputError, match=f"nsd_id {poisoned}:.*layer 1"):
        extract_latents(model, random_images(5, 8), IDS, batch_size=2)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"latent": "median"}, "sample or mean"),
        ({"precision": "float8"}, "float32 or bfloat16"),
        ({"n_layers": 6}, "1 to 5"),
    ],
)
def test_unknown_settings_are_refused(tiny, choices, message):
    with pytest.raises(InputError, match=message):
        extract_latents(tiny, random_images(1, 8), IDS[:1], **choices)


def test_ids_that_do_not_fit_are_refused(tiny):
    with pytest.raises(InputError, match="2 images"):
        extract_latents(tiny, random_images(2, 8), IDS[:3])
    with pytest.raises(InputError, match="double nsd_id 3"):
        extract_latents(tiny, random_images(2, 8), np.array([3, 3]))


def test_the_resize_is_antialiased_bilinear():
    image = random_images(1, 40)
    found = preprocessing.resize(image, 16)[0]
    # A triangle as wide as the shrinkage, centred on each output pixel, normalised at the borders.
    scale = 40 / 16
    centres = (np.arange(16) + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(40) + 0.5 - centres[:, None]) / scale)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = np.einsum("yi,xj,ijc->yxc", weights, weights, image[0].astype(float))
    assert np.abs(found - expected).max() <= 1.01


def test_the_resize_gives_the_same_bytes_with_every_version_of_the_library():
    y, x, c = np.mgrid[:425, :425, :3]
    pattern = ((x * 7 + y * 13 + c * 85 + (x * y) // 97) % 256).astype(np.uint8)
    digest = hashlib.sha256(preprocessing.resize(pattern[None], 64).tobytes()).hexdigest()
    assert digest == "36ea0f064c2fb130672c0c65aa6c66371d90376f4ed57b59b74d585eae50760a"


def test_the_input_is_shifted_and_scaled_by_the_checkpoints_constants():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    normalised = preprocessing.normalise(levels)
    assert normalised.dtype == np.float32
    expected = (levels.astype(np.float64) - 115.92961967) / 69.37404
    np.testing.assert_allclose(normalised, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 8, 8, 3), dtype=np.float32), np.zeros((1, 8, 8), dtype=np.uint8)]
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(ValueError, match="uint8"):
        preprocessing.resize(images, 4)
