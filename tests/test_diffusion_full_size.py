"""The published architecture at full size, with random weights: shapes, precision and memory."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from nsdrecon.diffusion.backbone import SD_LATENT_SCALE, BackboneSpec
from nsdrecon.diffusion.loop import reconstruct
from nsdrecon.diffusion.sampling import Sampling
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.logs import peak_memory_mb


def full_size_model() -> StableDiffusion:
    """Stable Diffusion 1.5 (860 M parameters in the U-Net) in bfloat16, never in float32."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    torch.set_default_dtype(torch.float32)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964
    spec = BackboneSpec(
        folder=Path("full-size"),
        image_size=512,
        latent_shape=(4, 64, 64),
        latent_scale=SD_LATENT_SCALE,
        conditioning={"text": (77, 768)},
        scheduler={
            "num_train_timesteps": 1000,
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
        },
    )
    return StableDiffusion(spec, unet.eval(), vae.eval(), {"text": torch.zeros(1, 77, 768)})


def one_image() -> tuple[np.ndarray, float]:
    """A reconstruction of 3 steps, and the peak memory of the process in MB."""
    rng = np.random.default_rng(0)
    image = reconstruct(
        full_size_model(),
        np.array([5]),
        rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8),
        {"text": rng.normal(size=(1, 77, 768)).astype(np.float32)},
        subject="subj01",
        seed=0,
        sampling=Sampling("ddpm", steps=4),
    )
    return image, peak_memory_mb()


@pytest.mark.slow
def test_one_full_size_image_takes_less_than_5_gb():
    # In a process of its own: the peak is that of this model alone.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        image, peak = pool.submit(one_image).result()
    assert image.shape == (1, 1, 512, 512, 3)
    assert peak < 5000
