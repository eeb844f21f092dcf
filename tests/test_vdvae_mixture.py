"""The discretised mixture of logistics against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import logistic

from nsdrecon.vdvae import mixture


def parameters(seed: int, n_mixtures: int, n: int = 1, size: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, size, size, 10 * n_mixtures, generator=generator)
    channels = values[..., n_mixtures:].view(n, size, size, 3, 3 * n_mixtures)
    channels[..., n_mixtures : 2 * n_mixtures] -= 2
    return values


def reference_log_likelihood(values: np.ndarray, image: np.ndarray) -> float:
    """Differences of cumulative distributions, in float64, pixel by pixel."""
    n = values.shape[-1] // 10
    total = 0.0
    for y, x in np.ndindex(image.shape[:2]):
        logits, rest = values[y, x, :n], values[y, x, n:].reshape(3, 3, n)
        level = image[y, x] / 127.5 - 1
        shift = np.tanh(rest[:, 2])
        means = [
            rest[0, 0],
            rest[1, 0] + shift[0] * level[0],
            rest[2, 0] + shift[1] * level[0] + shift[2] * level[1],
        ]
        log_mass = logits - logsumexp(logits)
        for channel, mean in enumerate(means):
            component = logistic(mean, np.exp(np.maximum(rest[channel, 1], -7)))
            below = level[channel] - 1 / 255 if image[y, x, channel] > 0 else -np.inf
            above = level[channel] + 1 / 255 if image[y, x, channel] < 255 else np.inf
            mass = np.where(  # by the smaller tail, which does not cancel
                level[channel] > mean,
                component.sf(below) - component.sf(above),
                component.cdf(above) - component.cdf(below),
            )
            log_mass = log_mass + np.log(mass)
        total += logsumexp(log_mass)
    return total


@given(seed=st.integers(0, 2**31), n_mixtures=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_log_likelihood_is_the_mass_of_the_bins(seed, n_mixtures):
    values = parameters(seed, n_mixtures)
    image = np.random.default_rng(seed).choice([0, 1, 100, 128, 254, 255], (1, 2, 2, 3))
    image = image.astype(np.uint8)
    found = mixture.log_likelihood(values, torch.from_numpy(image))
    expected = reference_log_likelihood(values[0].double().numpy(), image[0])
    np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-4)


def test_log_likelihood_and_gradient_stay_finite_far_from_the_mean():
    values = torch.zeros(1, 1, 1, 10)
    values[..., 1::3] = -1.0
    values[..., 2::3] = -9.0
    values.requires_grad_()
    found = mixture.log_likelihood(values, torch.full((1, 1, 1, 3), 254, dtype=torch.uint8))
    found.sum().backward()
    assert found.item() < -1000
    assert torch.isfinite(values.grad).all()


@given(seed=st.integers(0, 2**31), n_mixtures=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_a_sample_in_the_middle_of_one_component_is_its_mean(seed, n_mixtures):
    values = parameters(seed, n_mixtures)
    certain = seed % n_mixtures
    values[..., :n_mixtures] = -100.0
    values[..., certain] = 100.0
    half = torch.full((1, 2, 2, 1), 0.5)
    sampled = mixture.sample(
        values, half.expand(-1, -1, -1, n_mixtures), half.expand(-1, -1, -1, 3)
    )
    torch.testing.assert_close(sampled, mixture.mean(values), rtol=1e-5, atol=1e-5)


def test_samples_have_the_distribution_of_the_likelihood():
    one_pixel = parameters(3, 2, size=1)
    size = 300
    values = one_pixel.expand(1, size, size, -1)
    generator = torch.Generator().manual_seed(0)
    sampled = mixture.sample(
        values,
        torch.rand(1, size, size, 2, generator=generator),
        torch.rand(1, size, size, 3, generator=generator),
    )
    red = torch.round((sampled[..., 0] + 1) * 127.5)
    split = mixture.split_parameters(one_pixel.double())
    weights = torch.softmax(split.logits, -1).flatten().numpy()
    for level in (64, 127, 190):
        edge = (level + 0.5) / 127.5 - 1
        expected = sum(
            weight * logistic(mean, np.exp(log_scale)).cdf(edge)
            for weight, mean, log_scale in zip(
                weights,
                split.means[..., 0, :].flatten().tolist(),
                split.log_scales[..., 0, :].flatten().tolist(),
                strict=True,
            )
        )
        share = float((red <= level).double().mean())
        assert abs(share - expected) < 4 * 0.5 / size


@pytest.mark.parametrize("noise", [0.0, 1.0 - 2**-24])
def test_the_ends_of_the_noise_give_values_in_range(noise):
    edge = torch.full((1, 2, 2, 1), noise)
    sampled = mixture.sample(
        parameters(0, 3), edge.expand(-1, -1, -1, 3), edge.expand(-1, -1, -1, 3)
    )
    assert torch.isfinite(sampled).all()
    assert sampled.abs().max() <= 1
