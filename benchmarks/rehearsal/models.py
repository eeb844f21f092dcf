"""Folders and files of the published models, with random weights.

Architectures, names, layouts and formats are the published ones; old releases of the libraries
wrote some of them, and their names of weights are kept. One model is in memory at a time. Whatever
is there already is left as it is.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks import ROOT, full_config

logger = logging.getLogger(__name__)

# Names of the autoencoder's attention in the published files.
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
TOKENIZER = ROOT / "workflow/demo_models/stable-diffusion/tokenizer"
CHANNELS = (320, 640, 1280, 1280)
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}

Weights = dict[str, torch.Tensor]


def write_models(folder: Path, names: Collection[str] = ()) -> None:
    """The named models (default: all that ``config/config.yaml`` needs, 18 GB), in ``folder``."""
    for name, write in WRITERS.items():
        if names and name not in names:
            continue
        target = folder / name
        if target.exists():
            continue
        logger.info("writing %s", target)
        partial = folder / f".{name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.manual_seed(0)
        with torch.inference_mode():
            write(partial)
        partial.rename(target)


def write_vdvae(folder: Path) -> None:
    """The VDVAE of ImageNet 64, as a legacy file of ``torch.save``."""
    from nsdrecon.vdvae.config import VDVAEConfig
    from nsdrecon.vdvae.model import VDVAE

    architecture = dict(full_config()["models"]["vdvae"])
    del architecture["checkpoint"]
    model = VDVAE(VDVAEConfig(**architecture))
    # Training starts with every prior a standard normal, which no trained checkpoint is.
    for layer in model.decoder.dec_blocks:
        nn.init.normal_(layer.prior.c4.weight, std=0.02)
    path = folder / "vdvae.th"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)


def write_stable_diffusion(folder: Path) -> None:
    """Stable Diffusion 1.4 in float32, as safetensors."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    _write_safetensors(UNet2DConditionModel(**_unet(), sample_size=64), folder / "unet")
    _write_safetensors(_autoencoder(), folder / "vae", rename=_old_attention)
    _write_safetensors(CLIPTextModel(_text_config()), folder / "text_encoder", rename=_positions)
    _write_common(folder)


def write_versatile_diffusion(folder: Path) -> None:
    """Versatile Diffusion in float32, as pickles of tensors."""
    from diffusers import UNet2DConditionModel
    from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import (
        UNetFlatConditionModel,
    )
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    text_unet = {
        "sample_size": None,
        "in_channels": (768, 1, 1),
        "out_channels": (768, 1, 1),
        "down_block_types": ("CrossAttnDownBlockFlat",) * 3 + ("DownBlockFlat",),
        "mid_block_type": "UNetMidBlockFlatCrossAttn",
        "up_block_types": ("UpBlockFlat",) + ("CrossAttnUpBlockFlat",) * 3,
    }
    _write_pickle(UNetFlatConditionModel(**_unet() | text_unet), folder / "text_unet")
    _write_pickle(UNet2DConditionModel(**_unet(), sample_size=64), folder / "image_unet")
    _write_pickle(_autoencoder(), folder / "vae", rename=_old_attention)
    text = CLIPTextModelWithProjection(_text_config())
    _write_pickle(text, folder / "text_encoder", rename=_positions)
    _write_pickle(CLIPVisionModelWithProjection(_vision_config()), folder / "image_encoder")
    _write_common(folder)


def write_clip(folder: Path) -> None:
    """CLIP ViT-L/14, both encoders, as safetensors."""
    from transformers import CLIPConfig, CLIPModel

    text, vision = _text_config().to_dict(), _vision_config().to_dict()
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    _write_safetensors(CLIPModel(config), folder)


def write_alexnet(folder: Path) -> None:
    """torchvision's AlexNet."""
    from torchvision.models import alexnet

    _save(alexnet(weights=None).state_dict(), folder / "alexnet.pth")


def write_inception(folder: Path) -> None:
    """torchvision's Inception v3; the published file is older than the counters of batch norms."""
    from torchvision.models import inception_v3

    state = inception_v3(weights=None, init_weights=False, aux_logits=True).state_dict()
    counted = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    _save(counted, folder / "inception.pth")


def write_efficientnet(folder: Path) -> None:
    """torchvision's EfficientNet-B1."""
    from torchvision.models import efficientnet_b1

    _save(efficientnet_b1(weights=None).state_dict(), folder / "efficientnet.pth")


def write_swav(folder: Path) -> None:
    """SwAV's ResNet-50 with its heads, named as parallel training left them."""
    from torchvision.models import resnet50

    model = resnet50(weights=None)
    del model.fc
    norm, relu = nn.BatchNorm1d(2048), nn.ReLU()
    model.projection_head = nn.Sequential(nn.Linear(2048, 2048), norm, relu, nn.Linear(2048, 128))
    model.prototypes = nn.Linear(128, 3000, bias=False)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    _save(state, folder / "swav.pth.tar")


WRITERS: dict[str, Callable[[Path], None]] = {
    "vdvae": write_vdvae,
    "versatile-diffusion": write_versatile_diffusion,
    "stable-diffusion": write_stable_diffusion,
    "clip": write_clip,
    "alexnet": write_alexnet,
    "inception": write_inception,
    "efficientnet": write_efficientnet,
    "swav": write_swav,
}


def _unet() -> dict[str, object]:
    """What the U-Nets of Stable and of Versatile Diffusion have in common."""
    return {
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": CHANNELS,
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    }


def _autoencoder() -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )


def _text_config() -> object:
    """The text encoder of CLIP ViT-L/14; the end of a text is its highest token, as published."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=49_408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def _vision_config() -> object:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        projection_dim=768,
        image_size=224,
        patch_size=14,
        hidden_act="quick_gelu",
    )


def _old_attention(state: Weights) -> Weights:
    """The autoencoder's weights under their former names."""
    renamed = {}
    for name, value in state.items():
        for new, old in OLD_ATTENTION.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[name] = value
    return renamed


def _positions(state: Weights) -> Weights:
    """The text encoder's weights with the positions that were once stored among them."""
    name = "text_model.embeddings.position_ids"
    return {name: torch.arange(77).unsqueeze(0), **state}


def _same(state: Weights) -> Weights:
    return state


def _write_safetensors(
    model: nn.Module, folder: Path, rename: Callable[[Weights], Weights] = _same
) -> None:
    path = _write_config(model, folder).with_suffix(".safetensors")
    save_file(rename(model.state_dict()), path, {"format": "pt"})


def _write_pickle(
    model: nn.Module, folder: Path, rename: Callable[[Weights], Weights] = _same
) -> None:
    path = _write_config(model, folder)
    diffusers = path.name.startswith("diffusion")
    name = "diffusion_pytorch_model.bin" if diffusers else "pytorch_model.bin"
    _save(rename(model.state_dict()), folder / name)


def _write_config(model: nn.Module, folder: Path) -> Path:
    """Write a model's configuration; where its weights go, without an ending."""
    if hasattr(model, "save_config"):
        model.save_config(folder)
        return folder / "diffusion_pytorch_model"
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    return folder / "model"


def _write_common(folder: Path) -> None:
    """Tokenizer and scheduler."""
    shutil.copytree(TOKENIZER, folder / "tokenizer")
    path = folder / "tokenizer/tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "model_max_length": 77}), encoding="utf-8")
    (folder / "scheduler").mkdir()
    text = json.dumps(SCHEDULER)
    (folder / "scheduler/scheduler_config.json").write_text(text, encoding="utf-8")


def _save(state: Weights, path: Path) -> None:
    torch.save(state, path)
