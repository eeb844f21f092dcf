"""Stage 2: inputs and models that do not fit are refused before anything is computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from diffusion_models import IDS, inputs
from nsdrecon.diffusion.backbone import to_pixels, to_uint8
from nsdrecon.diffusion.loop import check_inputs, reconstruct
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.errors import InputError

KEY = {"subject": "subj02", "seed": 4}


@pytest.fixture(scope="module")
def sd(sd_folder) -> StableDiffusion:
    return StableDiffusion.load(sd_folder)


# Inputs


def test_inputs_are_checked_without_the_model(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()
    spec = StableDiffusion.describe(folder)
    images, conditioning = inputs(spec)
    np.testing.assert_array_equal(check_inputs(spec, IDS, images, conditioning), IDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nsd_id": np.array([50, 3, 3, 11, 2])}, "double nsd_id 3"),
        ({"nsd_id": IDS[:4]}, "found 5; expected 4"),
        ({"images": np.zeros((5, 20, 20, 3))}, "float64"),
        ({"images": np.zeros((5, 20, 20), np.uint8)}, "uint8 RGB"),
        ({"tokens": 11}, r"found shape \(5, 11, 32\); expected \(5, 12, 32\)"),
        ({"width": 24}, r"found shape \(5, 12, 24\); expected \(5, 12, 32\)"),
        ({"name": "pooled"}, "found pooled; expected text"),
        ({"nan": 3}, "not finite for nsd_id 11"),
        ({"samples": 0}, "samples: found 0"),
        ({"batch_size": 0}, "batch_size: found 0"),
    ],
)
def test_bad_inputs_are_refused(sd, change, message):
    images, conditioning = inputs(sd.spec)
    values = conditioning["text"][:, : change.get("tokens", 12), : change.get("width", 32)]
    if "nan" in change:
        values[change["nan"], 2, 5] = np.nan
    with pytest.raises(InputError, match=message):
        reconstruct(
            sd,
            change.get("nsd_id", IDS),
            change.get("images", images),
            {change.get("name", "text"): values},
            **KEY,
            samples=change.get("samples", 1),
            batch_size=change.get("batch_size", 1),
        )


def test_pixels_and_grey_levels_are_inverse():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(to_uint8(to_pixels(levels, 16)), levels)


def test_stage_1_images_are_enlarged_by_pillows_bicubic():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    enlarged = to_uint8(to_pixels(images, 20))
    expected = Image.fromarray(images[1]).resize((20, 20), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(enlarged[1], np.asarray(expected))


# Loading


def edit_config(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("text_encoder", {"hidden_size": 48}, "cross_attention_dim 32; expected 48"),
        ("vae", {"latent_channels": 8}, "vae.config.json: found latent_channels 8; expected 4"),
        ("unet", {"sample_size": None}, "unet.config.json.*sample_size"),
    ],
)
def test_parts_that_do_not_fit_are_refused(sd_folder, tmp_path, part, changes, message):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    edit_config(folder / part / "config.json", **changes)
    with pytest.raises(InputError, match=message):
        StableDiffusion.describe(folder)


def test_a_missing_part_is_named(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    shutil.rmtree(folder / "scheduler")
    with pytest.raises(InputError, match="scheduler_config"):
        StableDiffusion.describe(folder)


def test_a_checkpoint_without_one_of_its_weights_is_refused(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    del weights["conv_in.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"unet: found missing weights conv_in.weight"):
        StableDiffusion.load(folder)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("text_encoder", {"num_hidden_layers": 1}, r"unknown weights \S*encoder\.layers\.1"),
        ("vae", {"layers_per_block": 0}, r"unknown weights decoder\.up_blocks\.0\.resnets\.1"),
        (
            "text_encoder",
            {"intermediate_size": 48},
            r"other shapes \S*encoder\.layers\.0\.mlp\.fc1\.bias \(64,\) instead of \(48,\)",
        ),
        ("unet", {"block_out_channels": [16, 48]}, r"other shapes .*\(32,\) instead of \(48,\)"),
    ],
)
def test_weights_of_another_architecture_are_refused(sd_folder, tmp_path, part, changes, message):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    edit_config(folder / part / "config.json", **changes)
    with pytest.raises(InputError, match=f"{part}: found .*{message}"):
        StableDiffusion.load(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_truncated_checkpoint_is_refused(sd_folder, tmp_path, part):
    folder = shutil.copytree(sd_folder, tmp_path / "sd")
    path = next((folder / part).glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"{part}: found weights that do not load"):
        StableDiffusion.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers_per_block": 2}, "layers_per_block 2; expected 1"),
        ({"down_block_types": ["DownBlockFlat", "CrossAttnDownBlockFlat"]}, "down_block_types"),
        ({"_class_name": "UNet3DConditionModel"}, "UNet3DConditionModel"),
    ],
)
def test_unets_that_do_not_fit_each_other_are_refused(vd_folder, tmp_path, changes, message):
    folder = shutil.copytree(vd_folder, tmp_path / "vd")
    edit_config(folder / "text_unet" / "config.json", **changes)
    with pytest.raises(InputError, match=message):
        VersatileDiffusion.describe(folder)
