"""The small Versatile Diffusion: guided by text and vision features together."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
    UNetFlatConditionModel,
)
from torch import nn

from nsdrecon.diffusion.versatile_diffusion import DualTransformer, join_transformers

from .denoising import BATCH, DROPOUT, Captions, NoiseLoss, corrupt
from .loop import Optimisation, fit

#: Weight of the text when both guide, as published (Ozcelik & VanRullen 2023).
TEXT_WEIGHT = 0.4
#: Shares of the steps in which vision alone and text alone guide.
VISION_ONLY, TEXT_ONLY = 0.15, 0.15


class DualUNet(nn.Module):
    """A U-Net with an image and a text transformer in each place, as the workflow joins them.

    Both start from those of a trained Stable Diffusion U-Net, whose other layers are kept.
    """

    def __init__(self, start: UNet2DConditionModel, text_tokens: int) -> None:
        super().__init__()
        self.unet = copy.deepcopy(start).requires_grad_(True)
        join_transformers(
            self.unet, copy.deepcopy(start), text_tokens=text_tokens, text_weight=TEXT_WEIGHT
        )
        self.requires_grad_(True)

    def duals(self) -> dict[str, DualTransformer]:
        """The joined transformers by their place in the U-Net."""
        return {n: m for n, m in self.unet.named_modules() if isinstance(m, DualTransformer)}

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor,
        text_weight: float = TEXT_WEIGHT,
    ) -> torch.Tensor:
        """Predicted noise for a context of text tokens and then vision tokens."""
        for dual in self.duals().values():
            dual.text_weight = text_weight
        return self.unet(noisy, timesteps, context).sample

    def split(self) -> tuple[UNet2DConditionModel, UNetFlatConditionModel]:
        """The two U-Nets of a Versatile Diffusion folder.

        The layers of the text U-Net outside its transformers denoise texts, which nothing here
        does. They are untrained: zeros, in 8 bits to keep the file small.
        """
        unet = copy.deepcopy(self.unet)
        text_unet = UNetFlatConditionModel(**_flat_config(unet))
        for parameter in text_unet.parameters():
            parameter.data = torch.zeros_like(parameter.data).to(torch.float8_e4m3fn)
        for place in self.duals():
            dual = unet.get_submodule(place)
            parent, _, index = place.rpartition(".")
            unet.get_submodule(parent)[int(index)] = dual.vision
            text = text_unet.get_submodule(place)
            text.load_state_dict(
                {name: value.half() for name, value in dual.text.state_dict().items()}, assign=True
            )
        return unet, text_unet


def _flat_config(unet: UNet2DConditionModel) -> dict[str, object]:
    config = unet.config
    return {
        "sample_size": config.sample_size,
        "block_out_channels": config.block_out_channels,
        "down_block_types": tuple(name.replace("2D", "Flat") for name in config.down_block_types),
        "up_block_types": tuple(name.replace("2D", "Flat") for name in config.up_block_types),
        "layers_per_block": config.layers_per_block,
        "cross_attention_dim": config.cross_attention_dim,
        "attention_head_dim": config.attention_head_dim,
        "norm_num_groups": config.norm_num_groups,
        # Of no use to the transformers; small for the sake of the file.
        "time_embedding_dim": 16,
    }


def train(
    start: UNet2DConditionModel,
    latents: torch.Tensor,
    captions: Captions,
    vision: torch.Tensor,
    nothing: torch.Tensor,
    steps: int,
    work: Path,
) -> DualUNet:
    """Train both flows of the U-Net, alone and together.

    Parameters
    ----------
    start
        Trained Stable Diffusion U-Net of the same latents.
    latents
        Scaled latents (n, 4, 16, 16).
    captions
        Projected and normalised features of the images' captions.
    vision
        Projected and normalised features of the images, float16 (n, tokens, width).
    nothing
        Features of the empty text and then of a mid-grey image (1, all tokens, width).
    """
    torch.manual_seed(0)
    text_tokens = captions.unique.shape[1]
    model = DualUNet(start, text_tokens).to(memory_format=torch.channels_last)
    sample = torch.arange(min(2000, len(latents)))
    text_deviation = captions.mean(sample).std(0)
    vision_deviation = vision[sample].float().std(0)
    noise_loss = NoiseLoss()

    def batch_loss(rng: np.random.Generator) -> torch.Tensor:
        rows = torch.from_numpy(rng.integers(len(latents), size=BATCH))
        text = corrupt(captions.draw(rows, rng), text_deviation, rng)
        seen = corrupt(vision[rows].float(), vision_deviation, rng)
        dropped = torch.from_numpy(rng.random((BATCH, 1, 1)) < DROPOUT)
        context = torch.where(dropped, nothing, torch.cat([text, seen], dim=1))
        choice = rng.random()
        weight = TEXT_WEIGHT
        if choice < VISION_ONLY + TEXT_ONLY:
            weight = 0.0 if choice < VISION_ONLY else 1.0

        def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                return model(noisy, timesteps, context, weight)

        return noise_loss(predict, latents[rows], rng)

    optimisation = Optimisation(learning_rate=6e-4, average=0.995, warmup=100)
    return fit(model, batch_loss, steps, optimisation, work / "vd-unet.pt")
