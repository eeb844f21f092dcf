"""Images from latents: stage 1 of the reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from nsdrecon import randomness
from nsdrecon.errors import InputError
from nsdrecon.store import unique_ids
from nsdrecon.vdvae import mixture
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.inference import Precision, batches_ahead, check_finite, inference, noise_of
from nsdrecon.vdvae.model import VDVAE, Gaussian

Output = Literal["sample", "mean"]
Rounding = Literal["round", "truncate"]


def decode_latents(
    model: VDVAE,
    latents: np.ndarray,
    nsd_id: np.ndarray,
    *,
    key: tuple[randomness.Key, ...],
    temperature: float = 1.0,
    output: Output = "sample",
    rounding: Rounding = "round",
    batch_size: int = 8,
    precision: Precision = "float32",
) -> np.ndarray:
    """Decode images from the latents of the first layers; the other layers come from their priors.

    Each image's noise is keyed by (*key, nsd_id, layer).

    Parameters
    ----------
    latents
        Shape (n, n_latents), as from :func:`nsdrecon.vdvae.latents.extract_latents` or predicted.
        How many layers they are follows from n_latents.
    nsd_id
        Shape (n,), unique.
    key
        What the noise belongs to beside the image, for instance (seed, subject, sample).
    temperature
        Scales the standard deviation of the priors: 1 as published, 0 for their means.
    output
        ``sample`` draws from the mixture of logistics (as published), ``mean`` takes its mean.
    rounding
        To uint8; ``truncate`` is what the published pipeline does, and darkens by half a level.
    precision
        Of the convolutions. In bfloat16 grey levels of the demo's network are off by 0.14 (means of
        the mixture) or 0.19 (samples) on average; other noise moves them by 2 or 12.

    Returns
    -------
    uint8, shape (n, image_size, image_size, 3).

    Raises
    ------
    InputError
        If n_latents fits no number of layers, or an image's latents or activations are not finite.
    """
    if output not in ("sample", "mean"):
        raise InputError("output", found=output, expected="sample or mean")
    nsd_id = unique_ids(nsd_id, "latents")
    if len(latents) != len(nsd_id):
        raise InputError("latents", found=f"{len(latents)} rows", expected=f"{len(nsd_id)} ids")
    n_layers = layers_of(model.config, latents.shape[1])
    size = model.config.image_size
    images = np.empty((len(nsd_id), size, size, 3), dtype=np.uint8)
    shapes = dict(enumerate(model.config.latent_shapes()))

    def prepare(rows: slice) -> tuple[dict[int, np.ndarray], list[np.ndarray]]:
        """The noise of the layers that come from their priors, and that of the mixture."""
        keys = [(*key, "vdvae", int(image)) for image in nsd_id[rows]]
        priors = {} if temperature == 0 else dict(list(shapes.items())[n_layers:])
        noise = {
            layer: noise_of(randomness.normal, shape, [(*one, layer) for one in keys])
            for layer, shape in priors.items()
        }
        stages = {"component": model.config.n_mixtures, "value": 3} if output == "sample" else {}
        uniform = [
            noise_of(randomness.uniform, (size, size, depth), [(*one, stage) for one in keys])
            for stage, depth in stages.items()
        ]
        return noise, uniform

    with inference(model, precision) as device:
        batches = batches_ahead(prepare, len(nsd_id), batch_size, "VDVAE images")
        for rows, (noise, uniform) in batches:
            batch = torch.from_numpy(np.asarray(latents[rows], dtype=np.float32)).to(device)
            check_finite(batch, nsd_id[rows], "its latents")
            parameters = _mixture_parameters(model, batch, n_layers, noise, temperature)
            check_finite(parameters, nsd_id[rows], "the VDVAE's output")
            values = _values(parameters, [torch.from_numpy(one).to(device) for one in uniform])
            images[rows] = to_uint8(values.cpu().numpy(), rounding)
    return images


def layers_of(config: VDVAEConfig, n_latents: int) -> int:
    """How many layers a vector of latents is made of.

    Raises
    ------
    InputError
        If no number of layers has as many latents.
    """
    sizes = [config.n_latents(n) for n in range(1, len(config.decoder) + 1)]
    if n_latents not in sizes:
        near = min(range(len(sizes)), key=lambda i: abs(sizes[i] - n_latents))
        raise InputError(
            "latents",
            found=f"{n_latents} numbers an image",
            expected=f"the latents of whole layers, such as {sizes[near]} ({near + 1} layers)",
        )
    return sizes.index(n_latents) + 1


def to_uint8(values: np.ndarray, rounding: Rounding = "round") -> np.ndarray:
    """Levels 0 to 255 of values in [-1, 1]."""
    levels = np.clip((values + 1) * 127.5, 0, 255)
    if rounding == "round":
        levels = np.rint(levels)
    elif rounding != "truncate":
        raise InputError("rounding", found=rounding, expected="round or truncate")
    return levels.astype(np.uint8)


def _mixture_parameters(
    model: VDVAE,
    latents: torch.Tensor,
    n_layers: int,
    noise: Mapping[int, np.ndarray],
    temperature: float,
) -> torch.Tensor:
    """Parameters (n, H, W, 10 * n_mixtures) from the latents of the first layers (n, n_latents).

    The other layers take their noise, or the means of their priors where there is none.
    """
    shapes = model.config.latent_shapes(n_layers)
    parts = latents.split([c * h * w for c, h, w in shapes], dim=1)

    def choose(layer: int, prior: Gaussian, _posterior: Gaussian | None) -> torch.Tensor:
        if layer < n_layers:
            return parts[layer].unflatten(1, shapes[layer])
        prior = prior.float()
        if layer not in noise:
            return prior.mean
        return prior.at(torch.from_numpy(noise[layer]).to(latents.device), temperature)

    return model.decoder(len(latents), choose)


def _values(parameters: torch.Tensor, uniform: Sequence[torch.Tensor]) -> torch.Tensor:
    """Values in [-1, 1], (n, H, W, 3), sampled from the mixture, or its mean without noise."""
    return mixture.sample(parameters, *uniform) if uniform else mixture.mean(parameters)
