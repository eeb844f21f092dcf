"""CLIP features of captions and images, in the spaces diffusion models are conditioned on.

* ``sd-text`` (Stable Diffusion 1.x): last hidden state of the text encoder after its final layer
  norm; mean over an image's captions.
* ``vd-text`` (Versatile Diffusion): last hidden state, projected and divided by the norm of the
  projected pooled token of the same caption; mean over an image's captions.
* ``vd-vision`` (Versatile Diffusion): all tokens of the vision encoder through its final layer norm
  and projection, divided by the norm of the projected class token.

The spaces are not interchangeable. Means over captions are taken per token, without normalising
again (Ozcelik & VanRullen 2023). A feature depends on its own caption or image alone: neither on
the batch nor on the order, apart from the last bits of the float32 arithmetic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.pretrained import config_value, load_model, read_config
from nsdrecon.store import unique_ids

logger = logging.getLogger(__name__)

# Mean and standard deviation of the pixels CLIP was trained on (Radford et al. 2021), RGB in 0..1.
CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)

# Side of the images that the published pipeline hands to CLIP's own preprocessing, pixels.
PUBLISHED_SIZE = 512

Shape = tuple[int, int]
Resize = Literal["direct", "brain-diffuser"]


def sd_text_shape(folder: str | Path) -> Shape:
    """(tokens, width) of ``sd-text`` for a diffusers folder, from its configuration alone."""
    config, source = _config(folder, "text_encoder")
    return (
        config_value(config, "max_position_embeddings", source),
        config_value(config, "hidden_size", source),
    )


def vd_text_shape(folder: str | Path) -> Shape:
    """(tokens, width) of ``vd-text`` for a diffusers folder, from its configuration alone."""
    config, source = _config(folder, "text_encoder")
    return (
        config_value(config, "max_position_embeddings", source),
        config_value(config, "projection_dim", source),
    )


def vd_vision_shape(folder: str | Path) -> Shape:
    """(tokens, width) of ``vd-vision`` for a diffusers folder, from its configuration alone."""
    config, source = _config(folder, "image_encoder")
    side = config_value(config, "image_size", source) // config_value(config, "patch_size", source)
    return side * side + 1, config_value(config, "projection_dim", source)


class TextEncoder:
    """CLIP text encoder and tokenizer of a diffusers folder.

    Parameters
    ----------
    folder
        Folder with ``text_encoder`` and ``tokenizer``.
    projected
        Whether features are projected and normalised (``vd-text``) or not (``sd-text``).
    """

    def __init__(
        self, folder: str | Path, *, projected: bool, device: str | torch.device = "cpu"
    ) -> None:
        folder = Path(folder)
        self.tokenizer = _load_tokenizer(folder / "tokenizer")
        kind = CLIPTextModelWithProjection if projected else CLIPTextModel
        self.model = load_model(kind, folder / "text_encoder", device=device)
        if len(self.tokenizer) > self.model.config.vocab_size:
            raise InputError(
                folder / "tokenizer",
                found=f"{len(self.tokenizer)} tokens",
                expected=f"at most {self.model.config.vocab_size}, those of the text encoder",
            )
        self.projected = projected
        self.device = torch.device(device)
        self.tokens = self.model.config.max_position_embeddings

    def token_ids(self, texts: Sequence[str]) -> torch.Tensor:
        """Token ids (n, tokens), padded and truncated; cut captions are counted in the log."""
        lengths = [len(ids) for ids in self.tokenizer(list(texts), verbose=False).input_ids]
        too_long = sum(length > self.tokens for length in lengths)
        if too_long:
            logger.warning(
                "%d of %d captions are longer than %d tokens and were cut",
                too_long,
                len(texts),
                self.tokens,
            )
        return self.tokenizer(
            list(texts),
            padding="max_length",
            max_length=self.tokens,
            truncation=True,
            return_tensors="pt",
        ).input_ids

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Features (n, tokens, width) of texts, float32."""
        output = self.model(self.token_ids(texts).to(self.device))
        if not self.projected:
            return output.last_hidden_state
        # The pooled token is that of the end of the caption; its norm scales all the tokens.
        norm = output.text_embeds.norm(dim=-1)[:, None, None]
        return self.model.text_projection(output.last_hidden_state) / norm


class VisionEncoder:
    """CLIP vision encoder of a Versatile Diffusion folder (its ``image_encoder``).

    Parameters
    ----------
    folder
        Folder with ``image_encoder``.
    resize
        ``direct`` or ``brain-diffuser``: how images become its input (:func:`encoder_pixels`).
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        resize: Resize = "direct",
        device: str | torch.device = "cpu",
    ) -> None:
        if resize not in get_args(Resize):
            raise InputError("resize", found=resize, expected=" or ".join(get_args(Resize)))
        self.resize = resize
        self.model = load_model(
            CLIPVisionModelWithProjection, Path(folder) / "image_encoder", device=device
        )
        self.device = torch.device(device)
        self.image_size = self.model.config.image_size

    @torch.inference_mode()
    def encode(self, images: np.ndarray) -> torch.Tensor:
        """Features (n, tokens, width) of uint8 RGB images (n, height, width, 3), float32."""
        pixels = torch.from_numpy(encoder_pixels(images, self.image_size, self.resize))
        hidden = self.model.vision_model(pixels.to(self.device)).last_hidden_state
        # Only the class token passes the final layer norm within the model; here all tokens do.
        embedding = self.model.visual_projection(self.model.vision_model.post_layernorm(hidden))
        return embedding / embedding[:, :1].norm(dim=-1, keepdim=True)


def encoder_pixels(images: Sequence[np.ndarray], size: int, resize: Resize) -> np.ndarray:
    """Input (n, 3, size, size) of a vision encoder, float32, from uint8 RGB images.

    Parameters
    ----------
    images
        Each of shape (height, width, 3), any size.
    size
        Side of the encoder's input in pixels.
    resize
        ``direct``: by :func:`clip_pixels` alone. ``brain-diffuser``: by
        :func:`published_grey_levels` before that.
    """
    if resize == "brain-diffuser":
        images = [published_grey_levels(image) for image in images]
    return np.stack([clip_pixels(image, size) for image in images])


def published_grey_levels(image: np.ndarray) -> np.ndarray:
    """What the published pipeline hands to CLIP's preprocessing, of one uint8 RGB image.

    The image is resized to 512 x 512 (bilinear, antialiased, rounded to uint8). Its values go to
    -1..1 and back to grey levels in float32. The last step truncates: levels 1 to 63 lose one.

    Returns
    -------
    Shape (512, 512, 3), uint8.

    Raises
    ------
    InputError
        If the image is not uint8 RGB.
    """
    _check_rgb(image)
    size = (PUBLISHED_SIZE, PUBLISHED_SIZE)
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(resized, dtype=np.float32) / 255 * 2 - 1
    return ((values + 1) / 2 * 255).astype(np.uint8)


def clip_pixels(image: np.ndarray, size: int) -> np.ndarray:
    """Input of a CLIP vision encoder, from one uint8 RGB image.

    The shorter side is resized to ``size`` (bicubic, antialiased, rounded to uint8), the centre is
    cropped, the values are scaled to 0..1 once and standardised with CLIP's mean and deviation.

    Parameters
    ----------
    image
        Shape (height, width, 3), uint8.
    size
        Side of the encoder's input in pixels.

    Returns
    -------
    Shape (3, size, size), float32.

    Raises
    ------
    InputError
        If the image is not uint8 RGB: floats are refused because their scale would be a guess.
    """
    _check_rgb(image)
    height, width = image.shape[:2]
    scale = size / min(height, width)
    resized = Image.fromarray(image).resize(
        (max(size, int(width * scale)), max(size, int(height * scale))), Image.Resampling.BICUBIC
    )
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    cropped = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32)
    return ((cropped / 255 - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1)


def _check_rgb(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            "image", found=f"{image.dtype} of shape {image.shape}", expected="uint8 RGB (h, w, 3)"
        )


def sd_text_features(
    nsd_id: np.ndarray,
    captions: Sequence[Sequence[str]],
    folder: str | Path,
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """``sd-text`` features: mean over an image's captions of the last hidden states.

    Parameters
    ----------
    nsd_id
        Shape (n,), unique.
    captions
        For each image its captions; empty strings are missing captions.
    folder
        Diffusers folder of a Stable Diffusion 1.x model (``text_encoder``, ``tokenizer``).
    batch_size
        Captions encoded at once.

    Returns
    -------
    Shape (n, tokens, width), float32, rows as in ``nsd_id``.

    Raises
    ------
    InputError
        If an image has no caption (the message names it), or the model does not load.
    """
    texts = _checked_captions(nsd_id, captions)
    encoder = TextEncoder(folder, projected=False, device=device)
    return _mean_over_captions(texts, encoder.encode, sd_text_shape(folder), batch_size)


def vd_text_features(
    nsd_id: np.ndarray,
    captions: Sequence[Sequence[str]],
    folder: str | Path,
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """``vd-text`` features: mean over an image's captions of projected, normalised states.

    Parameters, result and errors as in :func:`sd_text_features`, for a Versatile Diffusion folder.
    """
    texts = _checked_captions(nsd_id, captions)
    encoder = TextEncoder(folder, projected=True, device=device)
    return _mean_over_captions(texts, encoder.encode, vd_text_shape(folder), batch_size)


def vd_vision_features(
    nsd_id: np.ndarray,
    images: np.ndarray,
    folder: str | Path,
    *,
    vision_resize: Resize = "direct",
    batch_size: int = 16,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """``vd-vision`` features of images.

    Parameters
    ----------
    nsd_id
        Shape (n,), unique.
    images
        Shape (n, height, width, 3), uint8; rows of a file (:func:`nsdrecon.store.open_rows`) are
        read by batch.
    folder
        Diffusers folder of a Versatile Diffusion model (``image_encoder``).
    vision_resize
        ``resize`` of :class:`VisionEncoder`.
    batch_size
        Images encoded at once.

    Returns
    -------
    Shape (n, tokens, width), float32, rows as in ``nsd_id``.

    Raises
    ------
    InputError
        If there are more or fewer images than ids, an image is not uint8 RGB, or the model does
        not load.
    """
    ids = unique_ids(nsd_id, "images")
    if len(images) != len(ids):
        raise InputError("images", found=f"{len(images)} images", expected=f"{len(ids)}, one an id")
    encoder = VisionEncoder(folder, resize=vision_resize, device=device)
    features = np.empty((len(ids), *vd_vision_shape(folder)), dtype=np.float32)
    for start in progress(range(0, len(ids), batch_size), description="vision features"):
        stop = start + batch_size
        features[start:stop] = encoder.encode(images[start:stop]).cpu().numpy()
    return features


def _load_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer; without its vocabulary transformers would load one that knows no words."""
    read_config(folder, "tokenizer_config.json")
    if not any(
        all((folder / name).is_file() for name in names)
        for names in (("tokenizer.json",), ("vocab.json", "merges.txt"))
    ):
        raise InputError(
            folder, found="no vocabulary", expected="tokenizer.json, or vocab.json and merges.txt"
        )
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)


def _config(folder: str | Path, name: str) -> tuple[dict, Path]:
    path = Path(folder) / name
    return read_config(path), path / "config.json"


def _checked_captions(nsd_id: np.ndarray, captions: Sequence[Sequence[str]]) -> list[list[str]]:
    """The captions of each image that are not empty."""
    ids = unique_ids(nsd_id, "captions")
    if len(captions) != len(ids):
        raise InputError(
            "captions", found=f"{len(captions)} rows of captions", expected=f"{len(ids)}, one an id"
        )
    texts = [[str(text) for text in row if str(text).strip()] for row in captions]
    without = [nsd_id for nsd_id, row in zip(ids, texts, strict=True) if not row]
    if without:
        raise InputError(
            "captions",
            found=f"no caption for nsd_id {listing(without)}",
            expected="at least one caption an image",
        )
    return texts


def _mean_over_captions(
    texts: list[list[str]],
    encode: Callable[[Sequence[str]], torch.Tensor],
    shape: Shape,
    batch_size: int,
) -> np.ndarray:
    """Mean over each image's captions of their features; equal texts are encoded once."""
    users: dict[str, list[int]] = {}
    for row, captions in enumerate(texts):
        for caption in captions:
            users.setdefault(caption, []).append(row)
    # In sorted order an image's captions are summed in the same order whatever the shard.
    unique = sorted(users)
    features = np.zeros((len(texts), *shape), dtype=np.float32)
    for start in progress(range(0, len(unique), batch_size), description="text features"):
        batch = unique[start : start + batch_size]
        for text, encoded in zip(batch, encode(batch).cpu().numpy(), strict=True):
            for row in users[text]:
                features[row] += encoded
    # In place: the features of thousands of images are gigabytes.
    features /= np.array([len(row) for row in texts], dtype=np.float32)[:, None, None]
    return features
