"""The small Stable Diffusion: noise prediction conditioned on its text encoder's hidden states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from .denoising import BATCH, DROPOUT, Captions, NoiseLoss, build_unet, corrupt
from .loop import Optimisation, fit


def train(
    latents: torch.Tensor,
    captions: Captions,
    nothing: torch.Tensor,
    steps: int,
    work: Path,
) -> UNet2DConditionModel:
    """Train the U-Net.

    Parameters
    ----------
    latents
        Scaled latents (n, 4, 16, 16).
    captions
        Last hidden states of the images' captions.
    nothing
        Last hidden state of the empty text (1, tokens, width).
    """
    torch.manual_seed(0)
    model = build_unet(nothing.shape[-1]).to(memory_format=torch.channels_last)
    deviation = captions.mean(torch.arange(min(2000, len(latents)))).std(0)
    noise_loss = NoiseLoss()

    def batch_loss(rng: np.random.Generator) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(len(latents), size=BATCH))
        condition = corrupt(captions.draw(rows, rng), deviation, rng)
        dropped = torch.from_numpy(rng.random((BATCH, 1, 1)) < DROPOUT)
        condition = torch.where(dropped, nothing, condition)

        def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                return model(noisy, timesteps, condition).sample

        return noise_loss(predict, latents[rows], rng)

    optimisation = Optimisation(learning_rate=8e-4, average=0.998, warmup=100)
    return fit(model, batch_loss, steps, optimisation, work / "sd-unet.pt")


@torch.inference_mode()
def validation_loss(
    model: UNet2DConditionModel, latents: torch.Tensor, condition: torch.Tensor
) -> float:
    """Weighted noise error on held-out latents with their conditions, noise drawn with seed 0."""
    rng = np.random.default_rng(0)
    noise_loss = NoiseLoss()
    losses = []
    for first in range(0, len(latents), BATCH):
        part = condition[first : first + BATCH]
        losses.append(
            noise_loss(
                lambda x, t, part=part: model(x, t, part).sample,
                latents[first : first + BATCH],
                rng,
            )
        )
    return float(torch.stack(losses).mean())
