"""Brain-Diffuser as published: the overlay's settings give the published constants."""

import copy
import re
from dataclasses import fields

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import diffusion_models
from nsdrecon.brain_diffuser import SETTINGS, as_published
from nsdrecon.clip_features import (
    CLIP_MEAN,
    CLIP_STD,
    VisionEncoder,
    encoder_pixels,
    published_grey_levels,
    vd_vision_features,
)
from nsdrecon.diffusion.backbone import to_uint8
from nsdrecon.diffusion.sampling import Sampling, add_noise, build_scheduler, plan
from nsdrecon.errors import InputError
from nsdrecon.run import Run
from nsdrecon.settings import setting
from nsdrecon.systems import registry
from nsdrecon.vdvae import decoding
from nsdrecon.vdvae.config import VDVAEConfig
from settings_in_process import settings_of
from workflow_runs import ROOT, copy_project, snakemake

OVERLAY = yaml.safe_load((ROOT / "config/brain-diffuser.yaml").read_text())
# Of the run and its evaluation, not of the system.
ABOUT_THE_RUN = {"systems", "oracles", "evaluation.protocol", "run.name"}
# The noise schedule that Versatile Diffusion was trained with.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}


@pytest.fixture(scope="module")
def published() -> dict:
    return settings_of(OVERLAY)


@pytest.fixture(scope="module")
def sampling(published) -> Sampling:
    names = [field.name for field in fields(Sampling) if field.name != "sampler"]
    return Sampling("ddim", **{name: published["stage2"][name] for name in names})


def dotted(settings: dict, prefix: str = "") -> dict[str, object]:
    names = {}
    for key, value in settings.items():
        inner = isinstance(value, dict)
        names |= dotted(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return names


# Names


def test_the_overlay_states_each_published_setting_and_nothing_else():
    found = {key: value for key, value in dotted(OVERLAY).items() if key not in ABOUT_THE_RUN}
    assert found == SETTINGS


def test_the_overlay_alone_is_the_published_system(published):
    assert as_published(published)
    assert not as_published(settings_of())


@pytest.mark.parametrize("key", SETTINGS)
def test_with_another_setting_it_is_not(published, key):
    changed = copy.deepcopy(published)
    section, _, name = key.rpartition(".")
    setting(changed, section)[name] = "another"
    assert not as_published(changed)


def test_a_run_without_its_feature_spaces_is_not(published):
    changed = copy.deepcopy(published)
    del changed["regression"]["alpha"]["vd-vision"]
    assert not as_published(changed)


def test_its_systems_are_named_as_what_they_are(published):
    assert Run(published, registry()).titles == {
        "vdvae": "Brain-Diffuser's VDVAE, run as published, rescaled by the test set",
        "vd-ddim": "Brain-Diffuser, run as published, rescaled by the test set",
    }
    others = settings_of(OVERLAY, {"systems": ["vd-ddpm"]})
    found = Run(others, registry())
    assert found.titles["vd-ddpm"] == "Versatile Diffusion, DDPM, rescaled by the test set"
    assert Run(settings_of(), registry()).titles["vd-ddim"] == "Versatile Diffusion, DDIM"


def test_it_is_planned(tmp_path):
    project = copy_project(tmp_path / "project")
    done = snakemake(project, "-n", overlays=("config/brain-diffuser.yaml",))
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"system=([a-z-]+)", done.stdout)) >= {"vdvae", "vd-ddim"}
    assert not re.findall(r"sd-text|sd-dd|resources/models/stable", done.stdout)


# Stage 1


def test_the_vdvae_has_its_published_sizes(published):
    model = dict(published["models"]["vdvae"])
    del model["checkpoint"]
    config = VDVAEConfig(**model)
    layers = config.n_latent_layers(published["latents"]["vdvae_layers"])
    assert (config.image_size, len(config.decoder), layers) == (64, 75, 31)
    assert config.n_latents(layers) == 91_168


def test_stage_1_truncates_to_grey_levels(published):
    levels = np.array([0, 0.4, 0.6, 254.9, 255], dtype=np.float32)
    found = decoding.to_uint8(levels / 127.5 - 1, published["stage1"]["rounding"])
    assert found.tolist() == [0, 0, 0, 254, 255]


# Vision features


def test_the_vision_encoder_sees_512_then_224_pixels(published):
    """The published order, by torch and Pillow."""
    image = np.random.default_rng(0).integers(0, 256, (425, 425, 3), dtype=np.uint8)
    first = Image.fromarray(image).resize((512, 512), Image.Resampling.BILINEAR)
    # torchvision's to_tensor, and values in -1..1.
    tensor = torch.from_numpy(np.array(first)).float().div(255) * 2 - 1
    levels = (((tensor + 1) / 2).numpy() * 255).astype(np.uint8)
    second = Image.fromarray(levels).resize((224, 224), Image.Resampling.BICUBIC)
    expected = (np.asarray(second, dtype=np.float32) / 255 - CLIP_MEAN) / CLIP_STD

    np.testing.assert_array_equal(published_grey_levels(image), levels)
    found = encoder_pixels([image], 224, published["latents"]["vision_resize"])
    np.testing.assert_array_equal(found[0], expected.transpose(2, 0, 1))


def test_truncation_takes_a_level_from_the_dark_ones():
    levels = np.arange(256, dtype=np.uint8)
    image = np.broadcast_to(levels.repeat(2)[:, None, None], (512, 512, 3))
    found = published_grey_levels(image)[::2, 0, 0]
    np.testing.assert_array_equal(found, levels - ((levels > 0) & (levels < 64)))


def test_features_follow_the_setting(published, tmp_path):
    folder = diffusion_models.write_versatile_diffusion(tmp_path / "vd")
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    ids = np.array([3, 1])
    direct, as_set = (
        vd_vision_features(ids, images, folder, vision_resize=settings["latents"]["vision_resize"])
        for settings in (settings_of(), published)
    )
    enlarged = np.stack([published_grey_levels(image) for image in images])
    np.testing.assert_array_equal(as_set, vd_vision_features(ids, enlarged, folder))
    assert np.abs(as_set - direct).max() > 1e-3
    with pytest.raises(InputError, match="resize: found twice"):
        VisionEncoder(folder, resize="twice")


# Stage 2


def test_noise_is_at_timestep_741_and_the_first_of_37_steps_at_721(sampling):
    scheduler = build_scheduler(SCHEDULE, sampling)
    run = plan(scheduler, sampling)
    assert (run.start, run.timesteps[0], len(run.timesteps)) == (741, 721, 37)
    ones, none = torch.ones(1, 1), torch.zeros(1, 1)
    kept = add_noise(scheduler, ones, none, run.start).item() ** 2
    assert kept == pytest.approx(0.0604, abs=5e-5)


def test_stage_2_truncates_to_grey_levels(sampling):
    levels = torch.tensor([0, 0.4, 0.6, 254.9, 255, 300]).view(1, 1, 1, 6)
    found = to_uint8(levels / 127.5 - 1, sampling.rounding)
    assert found.ravel().tolist() == [0, 0, 0, 254, 255, 255]
