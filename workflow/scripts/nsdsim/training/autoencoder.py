"""The autoencoder of both diffusion models: 64 x 64 pixels to 4 x 16 x 16 latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from .loop import Optimisation, fit

#: Weight of the mean Kullback-Leibler divergence of a latent number, against the mean absolute
#: error of a pixel value: large enough that neighbouring latents decode alike.
KL_WEIGHT = 3e-4
#: Phases of the training: name, side and number of the crops of a batch, learning rate, share of
#: the steps.
PHASES = (("crops", 32, 16, 1.5e-3, 0.85), ("whole", 64, 8, 2e-4, 0.15))


def build() -> AutoencoderKL:
    """An untrained autoencoder; few channels at full resolution, where computing is dear."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=64,
    )


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """uint8 images (n, h, w, 3) as float32 (n, 3, h, w) in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(tensor: torch.Tensor) -> np.ndarray:
    """Float (n, 3, h, w) in -1..1 as uint8 images (n, h, w, 3)."""
    pixels = ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def _gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def reconstruction_loss(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of the values and of their differences between neighbours (edges)."""
    loss = F.l1_loss(found, expected)
    for mine, theirs in zip(_gradients(found), _gradients(expected), strict=True):
        loss = loss + 0.5 * F.l1_loss(mine, theirs)
    return loss


def _crops(images: np.ndarray, rng: np.random.Generator, size: int, n: int) -> torch.Tensor:
    """Random square crops, half of them mirrored."""
    rows = rng.integers(len(images), size=n)
    corners = rng.integers(images.shape[1] - size + 1, size=(n, 2))
    pieces = [
        images[row, y : y + size, x : x + size] for row, (y, x) in zip(rows, corners, strict=True)
    ]
    mirrored = [piece[:, ::-1] if rng.random() < 0.5 else piece for piece in pieces]
    return to_tensor(np.stack(mirrored))


def train(images: np.ndarray, steps: int, work: Path) -> AutoencoderKL:
    """Train on uint8 images (n, 64, 64, 3).

    Most of the steps go into batches of crops, the rest into whole images. The
    scaling factor is set so that the latents' standard deviation is 1.
    """
    torch.manual_seed(0)
    model = build().to(memory_format=torch.channels_last)

    def batch_loss(rng: np.random.Generator, size: int, n: int) -> torch.Tensor:
        pixels = _crops(images, rng, size, n)
        posterior = model.encode(pixels).latent_dist
        loss = reconstruction_loss(model.decode(posterior.sample()).sample, pixels)
        return loss + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()

    for name, size, n, rate, share in PHASES:
        fit(
            model,
            lambda rng, size=size, n=n: batch_loss(rng, size, n),
            round(steps * share),
            Optimisation(learning_rate=rate, weight_decay=0.0),
            work / f"autoencoder-{name}.pt",
        )
    spread = encode(model, images[:2000], scaled=False).std()
    model.register_to_config(scaling_factor=round(float(1 / spread), 5))
    return model


@torch.inference_mode()
def encode(model: AutoencoderKL, images: np.ndarray, *, scaled: bool = True) -> torch.Tensor:
    """Means of the latents (n, 4, 16, 16) of uint8 images, times the scaling factor."""
    factor = model.config.scaling_factor if scaled else 1.0
    parts = [
        model.encode(to_tensor(images[i : i + 100])).latent_dist.mean * factor
        for i in range(0, len(images), 100)
    ]
    return torch.cat(parts)


@torch.inference_mode()
def decode(model: AutoencoderKL, latents: torch.Tensor) -> np.ndarray:
    """uint8 images of scaled latents (n, 4, 16, 16)."""
    parts = [
        model.decode(latents[i : i + 100] / model.config.scaling_factor).sample
        for i in range(0, len(latents), 100)
    ]
    return to_images(torch.cat(parts))


def validate(model: AutoencoderKL, images: np.ndarray) -> dict[str, float]:
    """Peak signal-to-noise ratio (dB) and mean absolute error (grey levels) of reconstructions."""
    found = decode(model, encode(model, images)).astype(np.float64)
    error = ((found - images) ** 2).mean(axis=(1, 2, 3))
    return {
        "psnr_db": float(np.mean(10 * np.log10(255**2 / error))),
        "mean_absolute_error": float(np.abs(found - images).mean()),
        "images": len(images),
    }
