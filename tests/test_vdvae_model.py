"""The network against the original's numbers, at full size, and its checkpoints."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nsdrecon.errors import InputError
from nsdrecon.state_dicts import read_state_dict
from nsdrecon.vdvae import preprocessing
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.model import VDVAE, Gaussian
from vdvae_models import SMALL, TINY, WEIGHTS, golden, golden_model, random_images, random_model

PARITY = 1e-5


def walk(model, images, n_given=None):
    """Decode from posterior means (of the first layers; then prior means) and note what happens."""
    latents, divergences = [], []

    def posterior_means(_layer, prior, posterior):
        latents.append(posterior.mean)
        divergences.append(posterior.divergence_from(prior).sum(dim=(1, 2, 3)))
        return posterior.mean

    def given_then_prior_means(layer, prior, _posterior):
        return latents[layer] if layer < n_given else prior.mean

    pixels = torch.from_numpy(preprocessing.normalise(images))
    parameters = model.decoder(len(images), posterior_means, activations=model.encoder(pixels))
    if n_given is not None:
        parameters = model.decoder(len(images), given_then_prior_means)
    return (
        torch.cat([z.flatten(1) for z in latents], dim=1),
        torch.stack(divergences, dim=1),
        parameters,
    )


def assert_parity(values, expected):
    torch.testing.assert_close(values, expected, rtol=0, atol=PARITY * float(expected.std()))


def test_latents_divergences_and_output_are_the_originals():
    expected = golden()
    latents, divergences, parameters = walk(golden_model(), expected["images_uint8"].numpy())
    assert_parity(latents, expected["latents_mean_all"])
    assert_parity(divergences, expected["kl_per_layer"])
    assert_parity(parameters, expected["mixture_params_full"])


def test_the_output_from_nine_layers_is_the_originals():
    expected = golden()
    _, _, parameters = walk(golden_model(), expected["images_uint8"].numpy(), n_given=9)
    assert_parity(parameters, expected["mixture_params_first9"])


def test_divergence_is_that_of_torch():
    torch.manual_seed(0)
    p, q = (Gaussian(torch.randn(5, 3, 2, 2), torch.randn(5, 3, 2, 2)) for _ in range(2))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(p.mean, p.log_std.exp()), normal(q.mean, q.log_std.exp())
    )
    torch.testing.assert_close(p.divergence_from(q), expected)


def test_a_fresh_network_starts_with_standard_normal_priors():
    torch.manual_seed(0)
    model = VDVAE(TINY)
    priors = []

    def choose(_layer, prior, _posterior):
        priors.append(prior)
        return torch.randn_like(prior.mean)

    model.decoder(2, choose)
    assert all(torch.equal(p.mean, torch.zeros_like(p.mean)) for p in priors)
    assert all(torch.equal(p.log_std, torch.zeros_like(p.log_std)) for p in priors)


def test_resolutions_above_the_limit_have_no_bias_and_start_from_zeros():
    limited = replace(TINY, bias_max_resolution=4)
    model, full = random_model(limited), random_model(TINY)
    assert [tuple(b.shape[2:]) for b in model.decoder.bias_xs] == [(1, 1), (4, 4)]
    state = full.state_dict()
    last = state.pop("decoder.bias_xs.2")
    model.load_state_dict(state)
    images = random_images(2, 8)
    torch.testing.assert_close(walk(model, images)[2], walk(full, images)[2])
    full.decoder.bias_xs[2].data = torch.ones_like(last)
    assert not torch.allclose(walk(model, images)[2], walk(full, images)[2])


RESOLUTIONS = ([6, 3], [8, 4, 1], [16, 8, 2], [12, 6, 3, 1])


@st.composite
def configurations(draw):
    """A configuration, and the resolutions of its blocks, written down beside the block strings."""
    resolutions = draw(st.sampled_from(RESOLUTIONS))
    count = st.integers(1, 2)
    encoder, decoder, encoder_at, decoder_at = [], [], [], []
    for r, smaller in zip(resolutions, [*resolutions[1:], None], strict=True):
        n = draw(count)
        encoder.append(f"{r}x{n}")
        encoder_at += [r] * n
        if smaller:
            encoder.append(f"{r}d{r // smaller}")
            encoder_at.append(r)
    for smaller, r in zip([None, *resolutions[:0:-1]], resolutions[::-1], strict=True):
        n = draw(count)
        # A plain number is one block, as in the original's notation.
        decoder += [f"{r}m{smaller}"] * (smaller is not None) + [str(r) if n == 1 else f"{r}x{n}"]
        decoder_at += [r] * (n + (smaller is not None))
    config = VDVAEConfig(
        image_size=resolutions[0],
        width=draw(st.sampled_from([4, 10, 16])),
        bottleneck=draw(st.sampled_from([0.25, 0.5, 1.0])),
        zdim=draw(st.integers(1, 5)),
        n_mixtures=draw(st.integers(1, 3)),
        encoder_blocks=",".join(encoder),
        decoder_blocks=",".join(decoder),
        bias_max_resolution=draw(st.sampled_from([1, 4, 64])),
    )
    return config, encoder_at, decoder_at


def original_shapes(config, encoder_at, decoder_at):
    """Names and shapes of a checkpoint of the original, by the published code."""
    width, middle, zdim = config.width, int(config.width * config.bottleneck), config.zdim
    shapes = {}

    def conv(name, out, into, size=1):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, into, size, size), (out,)

    def block(name, into, out, resolution):
        size = 3 if resolution > 2 else 1
        conv(f"{name}.c1", middle, into)
        conv(f"{name}.c2", middle, middle, size)
        conv(f"{name}.c3", middle, middle, size)
        conv(f"{name}.c4", out, middle)

    conv("encoder.in_conv", width, 3, 3)
    for number, resolution in enumerate(encoder_at):
        block(f"encoder.enc_blocks.{number}", width, width, resolution)
    for number, resolution in enumerate(decoder_at):
        name = f"decoder.dec_blocks.{number}"
        block(f"{name}.enc", 2 * width, 2 * zdim, resolution)
        block(f"{name}.prior", width, 2 * zdim + width, resolution)
        conv(f"{name}.z_proj", width, zdim)
        block(f"{name}.resnet", width, width, resolution)
    biased = sorted({r for r in decoder_at if r <= config.bias_max_resolution})
    for number, r in enumerate(biased):
        shapes[f"decoder.bias_xs.{number}"] = (1, width, r, r)
    conv("decoder.out_net.out_conv", 10 * config.n_mixtures, width)
    shapes["decoder.gain"] = shapes["decoder.bias"] = (1, width, 1, 1)
    return shapes


@given(configurations())
@settings(deadline=None, max_examples=30)
def test_every_configuration_has_the_originals_names_and_runs(drawn):
    config, encoder_at, decoder_at = drawn
    model = random_model(config)
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert found == original_shapes(config, encoder_at, decoder_at)
    size = config.image_size
    latents, divergences, parameters = walk(model, random_images(2, size), n_given=1)
    assert latents.shape == (2, sum(config.zdim * r * r for r in decoder_at))
    assert divergences.shape == (2, len(decoder_at))
    assert parameters.shape == (2, size, size, 10 * config.n_mixtures)
    assert torch.isfinite(parameters).all()


def test_full_size_forward_pass():
    torch.manual_seed(0)
    config = VDVAEConfig()
    model = VDVAE(config).eval().requires_grad_(False)
    model.to(memory_format=torch.channels_last)
    latents, divergences, parameters = walk(model, random_images(1, 64))
    assert latents.shape == (1, 1_451_040)
    assert divergences.shape == (1, 75)
    assert parameters.shape == (1, 64, 64, 100)
    assert torch.isfinite(parameters).all()


@pytest.mark.parametrize(("suffix", "save"), [(".th", torch.save), (".safetensors", save_file)])
def test_a_checkpoint_loads_from_either_format(tmp_path, suffix, save):
    path = tmp_path / f"checkpoint{suffix}"
    save(load_file(WEIGHTS), path)
    loaded = load_vdvae(path, SMALL).state_dict()
    for name, value in golden_model().state_dict().items():
        assert torch.equal(loaded[name], value), name


def test_another_width_lists_the_first_shapes():
    with pytest.raises(InputError) as error:
        load_vdvae(WEIGHTS, replace(SMALL, width=64))
    assert "encoder.in_conv.weight (32, 3, 3, 3) instead of (64, 3, 3, 3)" in error.value.found
    assert "more" in error.value.found
    assert error.value.source == str(WEIGHTS)


def test_other_blocks_list_the_first_names():
    shorter = replace(SMALL, encoder_blocks=SMALL.encoder_blocks.replace("1x2", "1x1"))
    with pytest.raises(InputError, match=r"not in the configuration: encoder\.enc_blocks\.13\.c1"):
        load_vdvae(WEIGHTS, shorter)
    longer = replace(SMALL, encoder_blocks=SMALL.encoder_blocks.replace("1x2", "1x3"))
    with pytest.raises(InputError, match=r"missing: encoder\.enc_blocks\.14\.c1\.weight"):
        load_vdvae(WEIGHTS, longer)


@pytest.mark.parametrize("suffix", [".th", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 1000, 100_000])
def test_a_truncated_checkpoint_is_named(tmp_path, suffix, kept):
    whole = tmp_path / "whole.th"
    torch.save(load_file(WEIGHTS), whole)
    source = whole if suffix == ".th" else WEIGHTS
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(source.read_bytes()[:kept])
    with pytest.raises(InputError, match="complete state dict") as error:
        load_vdvae(path, SMALL)
    assert error.value.source == str(path)
    assert f"{kept} bytes" in error.value.found


@pytest.mark.filterwarnings("ignore")  # of torch, about numbers that make no sense
@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_checkpoint_is_named_or_read(tmp_path, zipped):
    """Wherever a byte is another or the file ends: a damaged pickle can end in any error."""
    path = tmp_path / "weights.th"
    torch.save({"aa": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
    whole, refused = path.read_bytes(), []
    for position in range(0, len(whole), 3 if zipped else 1):
        start, end = whole[:position], whole[position + 1 :]
        for damaged in (start, start + bytes([whole[position] ^ 4]) + end):
            path.write_bytes(damaged)
            try:
                assert all(map(torch.is_tensor, read_state_dict(path).values()))
            except InputError as error:
                refused.append(error.source)
    assert len(refused) > len(whole) / 3
    assert set(refused) == {str(path)}


class Payload:
    """What a malicious checkpoint would hold: unpickling it would call something."""

    def __reduce__(self):
        return print, ("executed",)


def test_executable_data_in_a_checkpoint_is_refused(tmp_path, capsys):
    path = tmp_path / "bad.th"
    torch.save({"weights": Payload()}, path)
    with pytest.raises(InputError, match=r"bad\.th"):
        load_vdvae(path, SMALL)
    assert "executed" not in capsys.readouterr().out


def test_a_file_without_tensors_or_no_file_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "other.th")
    with pytest.raises(InputError, match="state dict"):
        load_vdvae(tmp_path / "other.th", SMALL)
    with pytest.raises(InputError, match="no file"):
        load_vdvae(tmp_path / "absent.th", SMALL)
