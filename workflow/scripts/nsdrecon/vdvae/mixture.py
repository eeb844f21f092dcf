"""The discretised mixture of logistics at the VDVAE's output.

Each pixel has a few components. A component has one weight and, for every colour channel, a mean,
a log scale and a coefficient: green's mean shifts with red's value, and blue's with red's and
green's (Salimans et al. 2017, arXiv:1701.05517). Values run from -1 (level 0) to 1 (level 255).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_LOG_SCALE = -7.0
HALF_BIN = 1 / 255
NOISE_MARGIN = 1e-5


class Mixture(NamedTuple):
    """Parameters by component; tensors (n, H, W, n_mixtures) and (n, H, W, 3, n_mixtures)."""

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    coefficients: Tensor


def split_parameters(parameters: Tensor) -> Mixture:
    """Name the parts of the output network's result, (n, H, W, 10 * n_mixtures)."""
    n_mixtures = parameters.shape[-1] // 10
    logits, rest = parameters.float().tensor_split([n_mixtures], dim=-1)
    means, log_scales, coefficients = rest.unflatten(-1, (3, 3 * n_mixtures)).chunk(3, dim=-1)
    return Mixture(logits, means, log_scales.clamp(min=MIN_LOG_SCALE), torch.tanh(coefficients))


def log_likelihood(parameters: Tensor, images: Tensor) -> Tensor:
    """Log probability of uint8 images, nats, summed over pixels and channels; shape (n,).

    A value's probability is the mass of its bin, 2/255 wide; the outermost bins reach to infinity.
    """
    mixture = split_parameters(parameters)
    levels = images.unsqueeze(-1)
    x = levels / 127.5 - 1
    red, green, blue = mixture.means.unbind(dim=-2)
    by_red, blue_by_red, blue_by_green = mixture.coefficients.unbind(dim=-2)
    x_red, x_green, _ = x.unbind(dim=-2)
    green = green + by_red * x_red
    blue = blue + blue_by_red * x_red + blue_by_green * x_green
    centred = x - torch.stack([red, green, blue], dim=-2)
    precision = torch.exp(-mixture.log_scales)
    below_upper = F.logsigmoid(precision * (centred + HALF_BIN))
    above_lower = F.logsigmoid(-precision * (centred - HALF_BIN))
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which does not cancel.
    between = torch.log(-torch.expm1(-2 * HALF_BIN * precision))
    log_mass = torch.where(
        levels == 0,
        below_upper,
        torch.where(levels == 255, above_lower, below_upper + above_lower + between),
    )
    by_component = log_mass.sum(dim=-2) + torch.log_softmax(mixture.logits, dim=-1)
    return torch.logsumexp(by_component, dim=-1).sum(dim=(1, 2))


def sample(parameters: Tensor, component_noise: Tensor, value_noise: Tensor) -> Tensor:
    """Draw an image from the mixture, as the published decoding does.

    Parameters
    ----------
    parameters
        Shape (n, H, W, 10 * n_mixtures).
    component_noise
        Uniform in [0, 1), shape (n, H, W, n_mixtures): chooses each pixel's component.
    value_noise
        Uniform in [0, 1), shape (n, H, W, 3): where in the component's logistic the value lies.

    Returns
    -------
    Values in [-1, 1], float32, shape (n, H, W, 3).
    """
    mixture = split_parameters(parameters)
    gumbel = -torch.log(-torch.log(_open_interval(component_noise)))
    chosen = (mixture.logits + gumbel).argmax(dim=-1)[..., None, None].expand(-1, -1, -1, 3, 1)
    means, log_scales, coefficients = (
        part.gather(-1, chosen).squeeze(-1)
        for part in (mixture.means, mixture.log_scales, mixture.coefficients)
    )
    u = _open_interval(value_noise)
    values = means + torch.exp(log_scales) * (torch.log(u) - torch.log1p(-u))
    return torch.stack(_chain(values.unbind(-1), coefficients.unbind(-1)), dim=-1)


def mean(parameters: Tensor) -> Tensor:
    """Expected image: every component's mean, weighted by its probability.

    Values in [-1, 1], float32, shape (n, H, W, 3), of parameters (n, H, W, 10 * n_mixtures).
    """
    mixture = split_parameters(parameters)
    by_component = _chain(mixture.means.unbind(dim=-2), mixture.coefficients.unbind(dim=-2))
    weights = torch.softmax(mixture.logits, dim=-1)
    return torch.stack([(weights * channel).sum(dim=-1) for channel in by_component], dim=-1)


def _chain(values: tuple[Tensor, ...], coefficients: tuple[Tensor, ...]) -> list[Tensor]:
    """Shift green by red, and blue by red and green, each held to [-1, 1]."""
    red, green, blue = values
    by_red, blue_by_red, blue_by_green = coefficients
    red = red.clamp(-1, 1)
    green = (green + by_red * red).clamp(-1, 1)
    blue = (blue + blue_by_red * red + blue_by_green * green).clamp(-1, 1)
    return [red, green, blue]


def _open_interval(uniform: Tensor) -> Tensor:
    """Keep uniform noise off 0 and 1, where its logarithms are infinite (bounds as published)."""
    return NOISE_MARGIN + (1 - 2 * NOISE_MARGIN) * uniform
