"""Small very deep VAEs for the tests: the golden one, and random ones of any configuration."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.model import VDVAE

GOLDEN = Path(__file__).parents[1] / "golden"
WEIGHTS = GOLDEN / "vdvae_small.weights.safetensors"
SMALL = VDVAEConfig(
    image_size=32,
    width=32,
    encoder_blocks="32x2,32d2,16x2,16d2,8x2,8d2,4x2,4d4,1x2",
    decoder_blocks="1x2,4m1,4x1,8m4,8x2,16m8,16x2,32m16,32x2",
)
TINY = VDVAEConfig(
    image_size=8,
    width=8,
    bottleneck=0.5,
    zdim=3,
    n_mixtures=2,
    encoder_blocks="8x1,8d2,4d4,1x1",
    decoder_blocks="1x1,4m1,4x1,8m4,8x1",
)


@cache
def golden_model() -> VDVAE:
    """The network whose results the golden file holds."""
    return load_vdvae(WEIGHTS, SMALL)


@cache
def golden() -> dict[str, torch.Tensor]:
    """What the original implementation computes with it."""
    return load_file(GOLDEN / "vdvae_small.expected.safetensors")


def random_model(config: VDVAEConfig) -> VDVAE:
    """A network whose priors, too, are random: their published start is a standard normal."""
    torch.manual_seed(0)
    model = VDVAE(config).eval().requires_grad_(False)
    for layer in model.decoder.dec_blocks:
        torch.nn.init.normal_(layer.prior.c4.weight, std=0.1)
    return model


def random_images(n: int, size: int) -> np.ndarray:
    """uint8 images (n, size, size, 3)."""
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
