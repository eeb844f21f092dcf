"""Stable Diffusion 1.x, conditioned on predicted last hidden states of its own text encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from nsdrecon.clip_features import TextEncoder, sd_text_shape
from nsdrecon.diffusion.backbone import Backbone, BackboneSpec, describe_folder
from nsdrecon.pretrained import load_model


class StableDiffusion(Backbone):
    """Stable Diffusion 1.x (Rombach et al. 2022) from a diffusers folder.

    Conditioned on ``text``: the last hidden state of its text encoder after the final layer norm,
    (77, 768) for the published models. Unconditional is its own encoding of the empty text.
    """

    @classmethod
    def describe(cls, folder: str | Path) -> BackboneSpec:
        """Shapes and configuration of a folder, without loading a weight.

        Raises
        ------
        InputError
            If a configuration file is missing or the parts do not fit each other.
        """
        return describe_folder(folder, "unet", {"text": sd_text_shape(folder)})

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        compile_unet: bool = False,
    ) -> StableDiffusion:
        """Load the model; the text encoder is needed once, for the empty text, and let go.

        Parameters
        ----------
        folder
            Diffusers folder: ``unet``, ``vae``, ``text_encoder``, ``tokenizer``, ``scheduler``.
        device, dtype
            Where and in which precision the networks run.
        compile_unet
            Whether the U-Net goes through ``torch.compile``.

        Raises
        ------
        InputError
            If a part is missing, does not load or does not fit the others.
        """
        spec = cls.describe(folder)
        empty = TextEncoder(folder, projected=False, device=device).encode([""])
        unet = load_model(UNet2DConditionModel, spec.folder / "unet", dtype=dtype, device=device)
        vae = load_model(AutoencoderKL, spec.folder / "vae", dtype=dtype, device=device)
        return cls(spec, unet, vae, {"text": empty}, compile_unet=compile_unet)
