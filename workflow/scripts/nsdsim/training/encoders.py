"""Features of captions and scenes by the towers of the small CLIP, in the spaces of the models.

The definitions are those of ``nsdrecon.clip_features``; here they run on models in memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from .clip import pixels, token_ids
from .export import image_encoder, text_encoder, text_encoder_with_projection

TextFeatures = Callable[[list[str]], torch.Tensor]

MID_GREY = 127


def hidden_states(model: CLIPModel, tokenizer: CLIPTokenizer) -> TextFeatures:
    """Last hidden states after the final layer norm (Stable Diffusion)."""
    encoder = text_encoder(model)

    @torch.inference_mode()
    def encode(texts: list[str]) -> torch.Tensor:
        return encoder(token_ids(tokenizer, np.array(texts))).last_hidden_state

    return encode


def projected_text(model: CLIPModel, tokenizer: CLIPTokenizer) -> TextFeatures:
    """Projected tokens over the norm of the projected pooled token (Versatile Diffusion)."""
    encoder = text_encoder_with_projection(model)

    @torch.inference_mode()
    def encode(texts: list[str]) -> torch.Tensor:
        output = encoder(token_ids(tokenizer, np.array(texts)))
        norm = output.text_embeds.norm(dim=-1)[:, None, None]
        return encoder.text_projection(output.last_hidden_state) / norm

    return encode


@torch.inference_mode()
def projected_vision(model: CLIPModel, images: np.ndarray) -> torch.Tensor:
    """Normalised, projected tokens over the norm of the class token, float16."""
    encoder = image_encoder(model)
    parts = []
    for first in range(0, len(images), 100):
        hidden = encoder.vision_model(pixels(images[first : first + 100])).last_hidden_state
        tokens = encoder.visual_projection(encoder.vision_model.post_layernorm(hidden))
        parts.append((tokens / tokens[:, :1].norm(dim=-1, keepdim=True)).half())
    return torch.cat(parts)


def versatile_nothing(model: CLIPModel, tokenizer: CLIPTokenizer) -> torch.Tensor:
    """Unconditional features: the empty text, then a mid-grey image (1, all tokens, width)."""
    grey = np.full((1, *pixels_shape(model)), MID_GREY, dtype=np.uint8)
    text = projected_text(model, tokenizer)([""])
    return torch.cat([text, projected_vision(model, grey).float()], dim=1)


def pixels_shape(model: CLIPModel) -> tuple[int, int, int]:
    """Shape (height, width, 3) of the images that a CLIP takes."""
    size = model.config.vision_config.image_size
    return size, size, 3
