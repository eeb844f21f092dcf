"""Turns small model folders into the form of the published ones, as old releases wrote them.

Which files there are, which keys the configurations have and how weights are named is known from
listings, and from the releases of diffusers (0.2 to 0.6) and transformers (4.21 to 4.24) that wrote
them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

UNET_KEYS = {
    *("_class_name", "act_fn", "attention_head_dim", "block_out_channels", "center_input_sample"),
    *("cross_attention_dim", "down_block_types", "downsample_padding", "flip_sin_to_cos"),
    *("freq_shift", "in_channels", "layers_per_block", "mid_block_scale_factor", "norm_eps"),
    *("norm_num_groups", "out_channels", "sample_size", "up_block_types"),
}
VAE_KEYS = {
    *("_class_name", "act_fn", "block_out_channels", "down_block_types", "in_channels"),
    *("latent_channels", "layers_per_block", "norm_num_groups", "out_channels", "sample_size"),
    *("up_block_types",),
}
SCHEDULER_KEYS = {
    *("_class_name", "beta_end", "beta_schedule", "beta_start", "num_train_timesteps"),
    *("set_alpha_to_one", "skip_prk_steps", "steps_offset", "trained_betas"),
}
# Names in an autoencoder's attention before diffusers 0.18.
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
# What transformers 4 wrote for every CLIP, whatever its vocabulary.
OLD_TOKENS = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}


def as_stable_diffusion_1_4(folder: Path) -> Path:
    """Safetensors, and configurations of diffusers 0.2, without the scale of the latents."""
    _keep_keys(folder / "unet", UNET_KEYS)
    _make_parts_old(folder)
    return folder


def as_published_versatile_diffusion(folder: Path) -> Path:
    """Pickles alone, and configurations of diffusers 0.6."""
    _keep_keys(folder / "image_unet", UNET_KEYS)
    _keep_keys(folder / "text_unet", UNET_KEYS)
    _make_parts_old(folder)
    add_position_ids(folder / "image_encoder", "vision_model")
    for path in sorted(folder.rglob("*.safetensors")):
        library = "diffusion_" if path.name.startswith("diffusion_") else ""
        torch.save(load_file(path), path.with_name(f"{library}pytorch_model.bin"))
        path.unlink()
    return folder


def as_openai_clip(folder: Path) -> Path:
    """Both towers as transformers 4 wrote them: sizes twice, positions among the weights."""
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= OLD_TOKENS
    config |= {f"{tower}_dict": config[tower] for tower in ("text_config", "vision_config")}
    (folder / "config.json").write_text(json.dumps(config))
    for tower in ("text_model", "vision_model"):
        add_position_ids(folder, tower)
    return folder


def add_position_ids(folder: Path, tower: str) -> None:
    """The numbers of the positions, which transformers stored with the weights before 4.31.

    Since 5.0 it writes a text model's weights without the tower's name.
    """
    path = folder / "model.safetensors"
    weights = load_file(path)
    if not any(name.startswith(tower) for name in weights):
        weights = {f"{tower}.{name}": value for name, value in weights.items()}
    n_positions = len(weights[f"{tower}.embeddings.position_embedding.weight"])
    weights[f"{tower}.embeddings.position_ids"] = torch.arange(n_positions)[None]
    save_file(weights, path, metadata={"format": "pt"})


def _make_parts_old(folder: Path) -> None:
    """The parts that both kinds of folder have: autoencoder, text encoder, tokenizer."""
    _keep_keys(folder / "vae", VAE_KEYS)
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    save_file({_old_name(name): value for name, value in weights.items()}, path)
    config = folder / "text_encoder/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | OLD_TOKENS))
    add_position_ids(folder / "text_encoder", "text_model")
    write_old_tokenizer(folder / "tokenizer")
    _keep_keys(folder / "scheduler", SCHEDULER_KEYS, "scheduler_config.json")


def _keep_keys(folder: Path, keys: Collection[str], name: str = "config.json") -> None:
    path = folder / name
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: config[key] for key in sorted(keys)}))


def _old_name(name: str) -> str:
    for new, old in OLD_ATTENTION.items():
        name = name.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
    return name


def write_old_tokenizer(folder: Path) -> None:
    """Vocabulary and merges instead of one file; special tokens spelt out in two places."""
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    whole = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(whole["vocab"]))
    merges = [" ".join(pair) for pair in whole["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    places = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {
        name: {"content": getattr(tokenizer, name), **places}
        for name in ("bos_token", "eos_token", "unk_token")
    }
    special["pad_token"] = "<|endoftext|>"
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    typed = {
        name: {"__type": "AddedToken", **token} if isinstance(token, dict) else token
        for name, token in special.items()
    }
    config = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": tokenizer.model_max_length,
        "name_or_path": "openai/clip-vit-large-patch14",
        "special_tokens_map_file": "./special_tokens_map.json",
        "tokenizer_class": "CLIPTokenizer",
        **typed,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
