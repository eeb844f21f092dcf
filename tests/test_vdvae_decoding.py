"""Images from latents: layers from the prior, the mixture, and the way to uint8."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.errors import InputError
from nsdrecon.vdvae import mixture
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.decoding import decode_latents, layers_of, to_uint8
from nsdrecon.vdvae.latents import extract_latents
from vdvae_models import TINY, golden, golden_model, random_images, random_model

IDS = np.array([17, 4, 72_000, 8])
KEY = (0, "subj01", 0)


@pytest.fixture(scope="module")
def tiny():
    return random_model(TINY)


@pytest.fixture(scope="module")
def latents(tiny):
    """Latents of the first two layers of four images."""
    return extract_latents(tiny, random_images(4, 8), IDS, n_layers=2)


@pytest.mark.parametrize("n_layers", [9, 13])
def test_prior_means_and_mixture_mean_are_the_originals(n_layers):
    expected = golden()
    name = "mixture_params_first9" if n_layers == 9 else "mixture_params_full"
    latents = expected["latents_mean_all"][:, : golden_model().config.n_latents(n_layers)]
    found = decode_latents(
        golden_model(), latents.numpy(), IDS[:3], key=KEY, temperature=0, output="mean"
    )
    levels = (mixture.mean(expected[name]).numpy() + 1) * 127.5
    assert np.abs(found - levels).max() < 0.501


@given(
    order=st.permutations(range(4)),
    batch_size=st.integers(1, 5),
    output=st.sampled_from(["sample", "mean"]),
    temperature=st.sampled_from([0, 0.7, 1]),
)
@settings(max_examples=10, deadline=None)
def test_images_do_not_depend_on_batch_or_order(
    tiny, latents, order, batch_size, output, temperature
):
    choices = {"key": KEY, "output": output, "temperature": temperature}
    whole = decode_latents(tiny, latents, IDS, **choices)
    order = list(order)
    again = decode_latents(tiny, latents[order], IDS[order], batch_size=batch_size, **choices)
    # A value on the edge between two levels may fall to either side.
    assert np.abs(again.astype(int) - whole[order]).max() <= 1


def test_the_key_and_the_id_choose_the_noise(tiny, latents):
    def decode(ids, key):
        return decode_latents(tiny, latents[:1].repeat(len(ids), axis=0), np.array(ids), key=key)

    first, second = decode([1, 2], KEY)
    assert (first != second).any()
    assert (decode([1], (0, "subj02", 0)) != first).any()
    assert (decode([1], (1, "subj01", 0)) != first).any()
    assert (decode([1], KEY) == first).all()


def test_without_noise_the_key_does_not_matter(tiny, latents):
    quiet = {"temperature": 0, "output": "mean"}
    one = decode_latents(tiny, latents, IDS, key=KEY, **quiet)
    np.testing.assert_array_equal(one, decode_latents(tiny, latents, IDS, key=(5,), **quiet))


def test_temperature_scales_what_the_prior_adds(tiny, latents):
    def spread(temperature):
        runs = [
            decode_latents(
                tiny, latents, IDS, key=(seed,), temperature=temperature, output="mean"
            ).astype(float)
            for seed in range(8)
        ]
        return np.std(runs, axis=0).mean()

    assert spread(0) == 0
    assert 0 < spread(0.3) < spread(1)


def test_given_latents_are_not_replaced_by_the_prior(tiny, latents):
    quiet = {"key": KEY, "temperature": 0, "output": "mean"}
    exact = decode_latents(tiny, latents, IDS, **quiet)
    shifted = decode_latents(tiny, latents + 3, IDS, **quiet)
    assert (exact != shifted).any(axis=(1, 2, 3)).all()


def test_bfloat16_is_nearer_to_float32_than_other_noise_is(latents, tiny):
    def levels(**choices):
        return decode_latents(tiny, latents, IDS, **{"key": KEY, **choices}).astype(float)

    exact = levels()
    error = np.abs(levels(precision="bfloat16") - exact).mean()
    assert 0 < error < 0.2 * np.abs(levels(key=(5,)) - exact).mean()


def test_rounding_is_unbiased_and_truncation_is_not():
    values = np.linspace(-1.1, 1.1, 100_001)
    exact = np.clip((values + 1) * 127.5, 0, 255)
    assert to_uint8(values).dtype == np.uint8
    assert abs((to_uint8(values) - exact).mean()) < 1e-3
    assert (to_uint8(values, "truncate") - exact).mean() < -0.4
    assert to_uint8(np.array([-1.0, 0.9999, 1.0])).tolist() == [0, 255, 255]
    assert to_uint8(np.array([-1.0, 0.9999, 1.0]), "truncate").tolist() == [0, 254, 255]
    with pytest.raises(InputError, match="round or truncate"):
        to_uint8(values, "floor")


def test_every_level_survives_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(levels / np.float32(127.5) - 1), levels)


@given(n_layers=st.integers(1, 75))
@settings(deadline=None, max_examples=20)
def test_the_number_of_layers_follows_from_the_number_of_latents(n_layers):
    config = VDVAEConfig()
    assert layers_of(config, config.n_latents(n_layers)) == n_layers


def test_part_of_a_layer_is_refused(tiny):
    with pytest.raises(InputError, match=r"50 numbers.*51 \(2 layers\)"):
        decode_latents(tiny, np.zeros((1, 50), dtype=np.float32), IDS[:1], key=KEY)


def test_non_finite_predictions_name_the_image(tiny, latents):
    latents = latents.copy()
    latents[3, 5] = np.nan
    with pytest.raises(InputError, match=r"nsd_id 8:.*its latents"):
        decode_latents(tiny, latents, IDS, key=KEY, batch_size=2)


def test_non_finite_output_names_the_image(latents):
    model = random_model(TINY)
    model.decoder.out_net.out_conv.bias[0] = torch.inf
    with pytest.raises(InputError, match=r"nsd_id 17, 4, 72000, 8:.*output"):
        decode_latents(model, latents, IDS, key=KEY)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"output": "mode"}, "sample or mean"), ({"precision": "float8"}, "float32 or bfloat16")],
)
def test_unknown_settings_are_refused(tiny, latents, choices, message):
    with pytest.raises(InputError, match=message):
        decode_latents(tiny, latents, IDS, key=KEY, **choices)


def test_other_ids_than_rows_are_refused(tiny, latents):
    with pytest.raises(InputError, match="4 rows"):
        decode_latents(tiny, latents, IDS[:3], key=KEY)
