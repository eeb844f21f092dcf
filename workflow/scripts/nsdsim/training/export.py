"""Writing the folders that the workflow reads: half precision, model card, figures."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, UNet2DConditionModel
from torch import nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from nsdrecon.whole_files import whole_file

from . import clip as clip_training
from .denoising import SCHEDULE

CARD, FIGURES = "README.md", "validation.json"


def half(model: nn.Module) -> nn.Module:
    """A copy of a model in float16, which halves its file."""
    return copy.deepcopy(model).half()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``folder`` when the block ends well.

    The model card and the figures of the old folder are kept.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as made:
        new, old = Path(made) / "new", Path(made) / "old"
        new.mkdir()
        yield new
        for name in (CARD, FIGURES):
            if (folder / name).exists():
                shutil.copyfile(folder / name, new / name)
        for path in new.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        for path in new.rglob("*config.json"):
            _forget_origin(path)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


def _forget_origin(path: Path) -> None:
    """Remove from a configuration where its model was loaded from."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.pop("_name_or_path", None) is not None:
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_figures(folder: Path, figures: dict[str, object]) -> None:
    """Validation figures beside the model card."""
    with whole_file(folder / FIGURES) as partial:
        partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def save_autoencoder(vae: AutoencoderKL, folder: Path) -> None:
    """The autoencoder in half precision."""
    half(vae).save_pretrained(folder)


def save_clip(model: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """CLIP as a folder of transformers: both towers, tokenizer, image processor."""
    with whole_folder(folder) as new:
        half(model).save_pretrained(new)
        clip_training.save_tokenizer(tokenizer, new)
        _image_processor().save_pretrained(new)


def _image_processor() -> CLIPImageProcessorPil:
    size = clip_training.SIZE
    return CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def _scheduler_settings() -> dict[str, object]:
    return {**SCHEDULE, "set_alpha_to_one": False}


def text_encoder(model: CLIPModel) -> CLIPTextModel:
    """The text tower of a CLIP without its projection."""
    encoder = CLIPTextModel(model.config.text_config)
    encoder.load_state_dict(model.text_model.state_dict())
    return encoder.eval()


def text_encoder_with_projection(model: CLIPModel) -> CLIPTextModelWithProjection:
    """The text tower of a CLIP with its projection."""
    encoder = CLIPTextModelWithProjection(model.config.text_config)
    encoder.text_model.load_state_dict(model.text_model.state_dict())
    encoder.text_projection.load_state_dict(model.text_projection.state_dict())
    return encoder.eval()


def image_encoder(model: CLIPModel) -> CLIPVisionModelWithProjection:
    """The vision tower of a CLIP with its projection."""
    encoder = CLIPVisionModelWithProjection(model.config.vision_config)
    encoder.vision_model.load_state_dict(model.vision_model.state_dict())
    encoder.visual_projection.load_state_dict(model.visual_projection.state_dict())
    return encoder.eval()


def save_stable_diffusion(
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    folder: Path,
) -> None:
    """Stable Diffusion as a folder of diffusers, without a safety checker."""
    with whole_folder(folder) as new:
        half(unet).save_pretrained(new / "unet")
        save_autoencoder(vae, new / "vae")
        half(text_encoder(clip)).save_pretrained(new / "text_encoder")
        clip_training.save_tokenizer(tokenizer, new / "tokenizer")
        PNDMScheduler(**_scheduler_settings(), skip_prk_steps=True).save_pretrained(
            new / "scheduler"
        )
        _write_scheduler_clip(new / "scheduler")
        _write_index(
            new,
            "StableDiffusionPipeline",
            {
                "feature_extractor": [None, None],
                "safety_checker": [None, None],
                "requires_safety_checker": False,
                "scheduler": ["diffusers", "PNDMScheduler"],
                "text_encoder": ["transformers", "CLIPTextModel"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "unet": ["diffusers", "UNet2DConditionModel"],
                "vae": ["diffusers", "AutoencoderKL"],
            },
        )


def save_versatile_diffusion(
    image_unet: UNet2DConditionModel,
    text_unet: nn.Module,
    vae: AutoencoderKL,
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    folder: Path,
) -> None:
    """Versatile Diffusion as a folder of diffusers."""
    with whole_folder(folder) as new:
        half(image_unet).save_pretrained(new / "image_unet")
        text_unet.save_pretrained(new / "text_unet")
        save_autoencoder(vae, new / "vae")
        half(text_encoder_with_projection(clip)).save_pretrained(new / "text_encoder")
        half(image_encoder(clip)).save_pretrained(new / "image_encoder")
        clip_training.save_tokenizer(tokenizer, new / "tokenizer")
        _image_processor().save_pretrained(new / "image_feature_extractor")
        DDIMScheduler(**_scheduler_settings(), clip_sample=False).save_pretrained(new / "scheduler")
        _write_index(
            new,
            "VersatileDiffusionPipeline",
            {
                "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
                "image_feature_extractor": ["transformers", "CLIPImageProcessor"],
                "image_unet": ["diffusers", "UNet2DConditionModel"],
                "scheduler": ["diffusers", "DDIMScheduler"],
                "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
                "text_unet": ["versatile_diffusion", "UNetFlatConditionModel"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "vae": ["diffusers", "AutoencoderKL"],
            },
        )


def _write_scheduler_clip(folder: Path) -> None:
    """PNDM has no ``clip_sample``, the published file names it for samplers built from it."""
    path = folder / "scheduler_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["clip_sample"] = False
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _write_index(folder: Path, name: str, parts: dict[str, object]) -> None:
    index = {"_class_name": name, "_diffusers_version": "0.42.1", **parts}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
