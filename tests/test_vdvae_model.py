"""The network against the original's numbers, at full size, and its checkpoints."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from nsdrecon.errors import InputError
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


def test_full_size_parameters():
    with torch.device("meta"):
        model = VDVAE(VDVAEConfig())
    assert sum(p.numel() for p in model.parameters()) == 125_005_860
    assert len(model.state_dict()) == 2482


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


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_checkpoint_loads_with_and_without_prefix(tmp_path, prefix, form):
    state = {prefix + name: value for name, value in load_file(WEIGHTS).items()}
    path = tmp_path / ("checkpoint.safetensors" if form == "safetensors" else "checkpoint.th")
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
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
