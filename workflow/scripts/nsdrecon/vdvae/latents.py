"""Latents of seen images: the regression targets of stage 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from nsdrecon import randomness
from nsdrecon.errors import InputError
from nsdrecon.store import unique_ids
from nsdrecon.vdvae import preprocessing
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.inference import (
    Precision,
    batches_ahead,
    check_finite,
    inference,
    noise_of,
)
from nsdrecon.vdvae.model import VDVAE, Gaussian


def extract_latents(
    model: VDVAE,
    images: np.ndarray,
    nsd_id: np.ndarray,
    *,
    n_layers: int | None = None,
    latent: Literal["sample", "mean"] = "sample",
    seed: int = 0,
    batch_size: int = 8,
    precision: Precision = "float32",
) -> np.ndarray:
    """Latents of images from the posteriors of the first layers, the others never being run.

    The posterior of a layer depends on the latents chosen before it. Each image's noise is keyed by
    (seed, nsd_id, layer), so its latents do not depend on the batch, the shard or the order.

    Parameters
    ----------
    images
        uint8, shape (n, H, W, 3), any size; rows of a file (:func:`nsdrecon.store.open_rows`) are
        read by batch.
    nsd_id
        Shape (n,), unique.
    n_layers
        Layers to keep (published: the first 31 of 75); default all.
    latent
        ``sample`` draws from each posterior (as published), ``mean`` takes its mean.
    precision
        Of the convolutions. In bfloat16 latents of the demo's network, of 0.12 to 0.8 spread under
        the posterior of their layer, are off by 0.2 to 3 % of that spread, as samples or means.

    Returns
    -------
    float32, shape (n, n_latents): layers in order, each flattened (C, H, W).

    Raises
    ------
    InputError
        If activations are not finite; the image is named.
    """
    if latent not in ("sample", "mean"):
        raise InputError("latent", found=latent, expected="sample or mean")
    nsd_id = unique_ids(nsd_id, "images")
    if len(images) != len(nsd_id):
        raise InputError("images", found=f"{len(images)} images", expected=f"{len(nsd_id)} ids")
    n_layers = model.config.n_latent_layers(n_layers)
    shapes = model.config.latent_shapes(n_layers)
    latents = np.empty((len(nsd_id), model.config.n_latents(n_layers)), dtype=np.float32)

    def prepare(rows: slice) -> tuple[np.ndarray, list[np.ndarray] | None]:
        """The pixels of a batch, and the noise of each layer; no noise where there is no draw."""
        resized = preprocessing.resize(images[rows], model.config.image_size)
        noise = None
        if latent == "sample":
            noise = [_noise(shape, nsd_id[rows], layer, seed) for layer, shape in enumerate(shapes)]
        return preprocessing.normalise(resized), noise

    with inference(model, precision):
        batches = batches_ahead(prepare, len(nsd_id), batch_size, "VDVAE latents")
        for rows, (pixels, noise) in batches:
            latents[rows] = _batch_latents(model, pixels, nsd_id[rows], n_layers, noise)
    return latents


def vdvae_features(
    nsd_id: np.ndarray,
    images: np.ndarray,
    folder: str | Path,
    *,
    architecture: Mapping[str, Any],
    vdvae_layers: int,
    vdvae_values: Literal["sample", "mean"],
    vdvae_precision: Precision,
    seed: int,
    batch_size: int,
    device: str | torch.device,
) -> np.ndarray:
    """Latents of images, by the checkpoint of a VDVAE: what encoders of other features are called.

    Parameters
    ----------
    nsd_id, images
        As in `extract_latents`.
    folder
        The checkpoint, a file.
    architecture
        Keywords of `VDVAEConfig`.
    vdvae_layers, vdvae_values, vdvae_precision, seed, batch_size
        ``n_layers``, ``latent`` and so on of `extract_latents`.

    Returns
    -------
    float32, shape (n, n_latents).
    """
    return extract_latents(
        load_vdvae(folder, VDVAEConfig(**architecture), device=device),
        images,
        nsd_id,
        n_layers=vdvae_layers,
        latent=vdvae_values,
        seed=seed,
        batch_size=batch_size,
        precision=vdvae_precision,
    )


def _noise(shape: tuple[int, ...], nsd_id: np.ndarray, layer: int, seed: int) -> np.ndarray:
    keys = [(seed, "vdvae-posterior", int(image), layer) for image in nsd_id]
    return noise_of(randomness.normal, shape, keys)


def _batch_latents(
    model: VDVAE,
    pixels: np.ndarray,
    nsd_id: np.ndarray,
    n_layers: int,
    noise: list[np.ndarray] | None,
) -> np.ndarray:
    """Latents of one batch, (n, n_latents); posterior means if there is no noise."""
    device = model.decoder.gain.device
    latents = []

    def choose(layer: int, _prior: Gaussian, posterior: Gaussian | None) -> torch.Tensor:
        posterior = posterior.float()
        if noise is None:
            z = posterior.mean
        else:
            z = posterior.at(torch.from_numpy(noise[layer]).to(device))
        latents.append(z.flatten(1))
        return z

    activations = model.encoder(torch.from_numpy(pixels).to(device))
    model.decoder(len(nsd_id), choose, activations=activations, n_layers=n_layers)
    # Checked after the walk, so that a GPU does not wait for the check of each layer.
    for layer, z in enumerate(latents):
        check_finite(z, nsd_id, f"the latent of VDVAE layer {layer + 1}")
    return torch.cat(latents, dim=1).cpu().numpy()
