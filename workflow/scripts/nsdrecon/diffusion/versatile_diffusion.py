"""Versatile Diffusion, guided by predicted text and vision features together.

Components come from a diffusers folder and the sampling from :mod:`nsdrecon.diffusion.loop`: the
library's own pipeline takes neither features nor a first image. The authors publish their weights
in this layout (shi-labs/versatile-diffusion). Their older single-file checkpoint is not converted:
it lacks the autoencoder, the tokenizer and all configurations, and its names could not be checked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, Transformer2DModel, UNet2DConditionModel
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
    UNetFlatConditionModel,
)

from nsdrecon.clip_features import TextEncoder, VisionEncoder, vd_text_shape, vd_vision_shape
from nsdrecon.diffusion.backbone import Backbone, BackboneSpec, describe_folder
from nsdrecon.errors import InputError
from nsdrecon.pretrained import config_value, load_model, read_config

# What both U-Nets must have in common so that their transformers fit the same places.
SHARED_SETTINGS = (
    "block_out_channels",
    "down_block_types",
    "up_block_types",
    "layers_per_block",
    "cross_attention_dim",
)
TEXT_UNETS = {
    "UNetFlatConditionModel": UNetFlatConditionModel,
    "UNet2DConditionModel": UNet2DConditionModel,
}
# Unconditional image: 0 in the range -1..1, in whole grey levels (Ozcelik & VanRullen 2023).
MID_GREY = 127


class VersatileDiffusion(Backbone):
    """Dual-guided Versatile Diffusion (Xu et al. 2023) from a diffusers folder.

    Conditioned on ``text`` and ``vision``, for the published model (77, 768) and (257, 768).
    Unconditional are its encodings of the empty text and of a mid-grey image.
    """

    @classmethod
    def describe(cls, folder: str | Path) -> BackboneSpec:
        """Shapes and configuration of a folder, without loading a weight.

        Raises
        ------
        InputError
            If a configuration file is missing or the parts do not fit each other.
        """
        image, text = Path(folder) / "image_unet", Path(folder) / "text_unet"
        image_config, text_config = read_config(image), read_config(text)
        for key in SHARED_SETTINGS:
            expected = config_value(image_config, key, image / "config.json")
            found = config_value(text_config, key, text / "config.json")
            if _layout(found) != _layout(expected):
                raise InputError(
                    text / "config.json",
                    found=f"{key} {found}",
                    expected=f"{expected}, that of the image U-Net",
                )
        if text_config.get("_class_name") not in TEXT_UNETS:
            raise InputError(
                text / "config.json",
                found=f"_class_name {text_config.get('_class_name')}",
                expected=" or ".join(TEXT_UNETS),
            )
        # Text first: the order in which the tokens lie side by side in the context.
        conditioning = {"text": vd_text_shape(folder), "vision": vd_vision_shape(folder)}
        return describe_folder(folder, "image_unet", conditioning)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        text_weight: float = 0.4,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        compile_unet: bool = False,
    ) -> VersatileDiffusion:
        """Load the model; both encoders are needed once, for the unconditional features.

        Parameters
        ----------
        folder
            Diffusers folder: ``image_unet``, ``text_unet``, ``vae``, ``text_encoder``,
            ``tokenizer``, ``image_encoder``, ``scheduler``.
        text_weight
            Weight of the text in each attention block; the vision features have the rest.
        device, dtype
            Where and in which precision the networks run.
        compile_unet
            Whether the U-Net goes through ``torch.compile``.

        Raises
        ------
        InputError
            If a part is missing, does not load or does not fit the others, or the weight is not
            in 0..1.
        """
        if not 0 <= text_weight <= 1:
            raise InputError("text_weight", found=text_weight, expected="0 to 1")
        spec = cls.describe(folder)
        grey = np.full((1, spec.image_size, spec.image_size, 3), MID_GREY, dtype=np.uint8)
        unconditional = {
            "text": TextEncoder(folder, projected=True, device=device).encode([""]),
            "vision": VisionEncoder(folder, device=device).encode(grey),
        }
        unet = load_model(UNet2DConditionModel, spec.folder / "image_unet", dtype=dtype)
        kind = TEXT_UNETS[read_config(spec.folder / "text_unet")["_class_name"]]
        text_unet = load_model(kind, spec.folder / "text_unet", dtype=dtype)
        text_tokens = spec.conditioning["text"][0]
        join_transformers(unet, text_unet, text_tokens=text_tokens, text_weight=text_weight)
        vae = load_model(AutoencoderKL, spec.folder / "vae", dtype=dtype, device=device)
        return cls(spec, unet.to(device), vae, unconditional, compile_unet=compile_unet)


class DualTransformer(torch.nn.Module):
    """The image and the text transformer of one place in the U-Net, their outputs mixed.

    For hidden states h and a context of text tokens c_t followed by vision tokens c_v, the output
    is h + w (T_text(h, c_t) - h) + (1 - w) (T_vision(h, c_v) - h), in which h cancels. The same as
    diffusers' DualTransformer2DModel, whose ``forward`` lacks an argument that U-Nets pass to it.
    """

    def __init__(
        self,
        vision: Transformer2DModel,
        text: Transformer2DModel,
        *,
        text_tokens: int,
        text_weight: float,
    ) -> None:
        super().__init__()
        self.vision = vision
        self.text = text
        self.text_tokens = text_tokens
        self.text_weight = text_weight

    def forward(
        self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **arguments: object
    ) -> tuple[torch.Tensor]:
        """Mixed hidden states (n, channels, height, width); both get the other ``arguments``."""
        text_context = encoder_hidden_states[:, : self.text_tokens]
        vision_context = encoder_hidden_states[:, self.text_tokens :]
        text = self.text(hidden_states, encoder_hidden_states=text_context, **arguments)[0]
        vision = self.vision(hidden_states, encoder_hidden_states=vision_context, **arguments)[0]
        return (torch.lerp(vision, text, self.text_weight),)


def _layout(value: object) -> object:
    """A setting in which CrossAttnDownBlockFlat and CrossAttnDownBlock2D are the same."""
    if not isinstance(value, list):
        return value
    return [str(item).removesuffix("Flat").removesuffix("2D") for item in value]


def join_transformers(
    unet: UNet2DConditionModel,
    text_unet: torch.nn.Module,
    *,
    text_tokens: int,
    text_weight: float,
) -> None:
    """Put a :class:`DualTransformer` into every place of the image U-Net that has a transformer.

    Only the transformers of the text U-Net are used; its other layers serve the denoising of texts.
    """
    places = [
        name for name, module in unet.named_modules() if isinstance(module, Transformer2DModel)
    ]
    for name in places:
        parent, _, index = name.rpartition(".")
        dual = DualTransformer(
            unet.get_submodule(name),
            text_unet.get_submodule(name),
            text_tokens=text_tokens,
            text_weight=text_weight,
        )
        unet.get_submodule(parent)[int(index)] = dual
