"""Tiny untrained diffusion models with the folder layout of the published ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
    UNetFlatConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from nsdrecon.diffusion.backbone import BackboneSpec

WIDTH = 32
TOKENS = 12
IMAGE_SIZE = 32
LATENT = (4, 16, 16)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
IDS = np.array([50, 3, 7, 11, 2])


def write_stable_diffusion(folder: Path) -> Path:
    """A Stable Diffusion folder: 32-pixel images, 4 x 16 x 16 latents, 12 tokens of width 32."""
    torch.manual_seed(0)
    _write_common(folder)
    CLIPTextModel(_text_config()).save_pretrained(folder / "text_encoder")
    UNet2DConditionModel(**_unet_arguments()).save_pretrained(folder / "unet")
    return folder


def write_versatile_diffusion(folder: Path) -> Path:
    """A Versatile Diffusion folder: as above, with 17 vision tokens of images of 28 pixels."""
    torch.manual_seed(1)
    _write_common(folder)
    CLIPTextModelWithProjection(_text_config()).save_pretrained(folder / "text_encoder")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            image_size=28,
            patch_size=7,
            hidden_size=16,
            projection_dim=WIDTH,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    ).save_pretrained(folder / "image_encoder")
    UNet2DConditionModel(**_unet_arguments()).save_pretrained(folder / "image_unet")
    UNetFlatConditionModel(
        **_unet_arguments()
        | {
            "sample_size": None,
            "in_channels": (WIDTH, 1, 1),
            "out_channels": (WIDTH, 1, 1),
            "down_block_types": ("CrossAttnDownBlockFlat", "DownBlockFlat"),
            "up_block_types": ("UpBlockFlat", "CrossAttnUpBlockFlat"),
            "mid_block_type": "UNetMidBlockFlatCrossAttn",
        }
    ).save_pretrained(folder / "text_unet")
    return folder


def _write_common(folder: Path) -> None:
    write_tokenizer(folder / "tokenizer")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=IMAGE_SIZE,
        scaling_factor=0.5,
    ).save_pretrained(folder / "vae")
    # The scheduler that the published Stable Diffusion folders name.
    PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
        set_alpha_to_one=False,
    ).save_pretrained(folder / "scheduler")


def write_tokenizer(folder: Path) -> None:
    """A CLIP tokenizer that knows single letters and digits only."""
    symbols = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    vocabulary |= {"<|startoftext|>": len(symbols), "<|endoftext|>": len(symbols) + 1}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS).save_pretrained(folder)


def _text_config() -> CLIPTextConfig:
    size = 2 * len(LETTERS) + 2
    return CLIPTextConfig(
        vocab_size=size,
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
    )


def _unet_arguments() -> dict:
    return {
        "sample_size": LATENT[1],
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
    }


def inputs(spec: BackboneSpec) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Stage-1 images of another size than the model's, and conditioning, for ``IDS``."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(IDS), 20, 20, 3), dtype=np.uint8)
    conditioning = {
        name: rng.normal(size=(len(IDS), *shape)).astype(np.float32)
        for name, shape in spec.conditioning.items()
    }
    return images, conditioning
