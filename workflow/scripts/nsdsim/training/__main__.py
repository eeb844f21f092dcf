"""Rebuild the small models of the demo from nothing: ``make demo-models``.

Every stage keeps its checkpoint in the cache folder, so a run that was stopped goes on where it
was, and prints its validation figures. Remove the cache folder to begin anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPModel, CLIPTokenizer

from nsdrecon.clip_features import sd_text_features, vd_text_features, vd_vision_features
from nsdrecon.diffusion.sampling import Sampling
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.logs import job_log
from nsdrecon.systems import SD_TEXT, VD_TEXT, VD_VISION

from . import (
    MODELS,
    autoencoder,
    clip,
    encoders,
    export,
    figures,
    stable_diffusion,
    vdvae,
    versatile_diffusion,
)
from .denoising import Captions
from .scenes_cache import training_images

logger = logging.getLogger("nsdrecon.demo_models")

N_TRAINING, N_HELD_OUT, SEED = 40_000, 1_000, 0
#: Scenes of the diffusion models, whose latents and features are kept in memory.
N_DIFFUSION = 24_000
#: Optimiser steps of each model; ``--scale`` multiplies them.
STEPS = {
    "autoencoder": 6_000,
    "clip": 600,
    "stable-diffusion": 9_000,
    "vdvae": 2_200,
    "versatile-diffusion": 2_400,
}
#: Scenes and settings of the samples that the figures are made of.
N_SAMPLES = 200
SAMPLING = Sampling(sampler="ddpm", strength=0.5, guidance=3.0)


@dataclass
class Workshop:
    """Folders, numbers of steps, and what several stages need: made once, then read again."""

    cache: Path
    models: Path
    scale: float

    def steps(self, model: str) -> int:
        """Optimiser steps of a model."""
        return max(10, round(STEPS[model] * self.scale))

    @cached_property
    def training(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and captions to train on."""
        return training_images(N_TRAINING, SEED, self.cache)

    @cached_property
    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Images and captions to validate on."""
        return training_images(N_HELD_OUT, SEED, self.cache, split="validation")

    @cached_property
    def autoencoder(self) -> AutoencoderKL:
        """The trained autoencoder."""
        model = autoencoder.train(self.training[0], self.steps("autoencoder"), self.cache)
        return model.requires_grad_(False)

    @cached_property
    def clip(self) -> tuple[CLIPModel, CLIPTokenizer]:
        """The trained CLIP and its tokenizer."""
        model, tokenizer = clip.train(*self.training, self.steps("clip"), self.cache)
        return model.requires_grad_(False), tokenizer

    @cached_property
    def latents(self) -> torch.Tensor:
        """Scaled latents of the diffusion models' scenes."""
        images = self.training[0][:N_DIFFUSION]
        return self._kept("latents", lambda: autoencoder.encode(self.autoencoder, images))

    def captions(self, name: str, encode: encoders.TextFeatures) -> Captions:
        """Features of the captions of the diffusion models' scenes."""
        texts = self.training[1][:N_DIFFUSION]

        def make() -> dict[str, torch.Tensor]:
            captions = Captions.encode(texts, encode)
            return {"unique": captions.unique, "places": captions.places}

        return Captions(**self._kept(name, make))

    @cached_property
    def vision(self) -> torch.Tensor:
        """Versatile Diffusion's vision features of the diffusion models' scenes."""
        images = self.training[0][:N_DIFFUSION]
        return self._kept(VD_VISION, lambda: encoders.projected_vision(self.clip[0], images))

    @cached_property
    def unet(self) -> UNet2DConditionModel:
        """The trained Stable Diffusion U-Net."""
        encode = encoders.hidden_states(*self.clip)
        return stable_diffusion.train(
            self.latents,
            self.captions(SD_TEXT, encode),
            encode([""]).clone(),
            self.steps("stable-diffusion"),
            self.cache,
        )

    def _kept(self, name: str, make: Callable[[], object]) -> object:
        path = self.cache / f"{name}-{N_DIFFUSION}.pt"
        if not path.exists():
            torch.save(make(), path)
        return torch.load(path, weights_only=True)


def build_clip(work: Workshop) -> dict[str, object]:
    """CLIP: evaluation, and the encoders of both diffusion models."""
    model, tokenizer = work.clip
    export.save_clip(model, tokenizer, work.models / "clip")
    return clip.validate(model, tokenizer, *work.held_out)


def build_stable_diffusion(work: Workshop) -> dict[str, object]:
    """Stable Diffusion with its autoencoder."""
    folder = work.models / "stable-diffusion"
    export.save_stable_diffusion(work.unet, work.autoencoder, *work.clip, folder)
    images, captions = work.held_out
    latents = autoencoder.encode(work.autoencoder, images[:N_SAMPLES])
    encode = encoders.hidden_states(*work.clip)
    text = Captions.encode(captions[:N_SAMPLES], encode).mean(torch.arange(N_SAMPLES))
    nothing = encode([""]).expand(N_SAMPLES, -1, -1)
    features = sd_text_features(np.arange(N_SAMPLES), captions[:N_SAMPLES], folder)
    return {
        "autoencoder": autoencoder.validate(work.autoencoder, images[:N_SAMPLES]),
        "noise_loss": stable_diffusion.validation_loss(work.unet, latents, text),
        "noise_loss_without_text": stable_diffusion.validation_loss(work.unet, latents, nothing),
        "image_to_image": _samples(work, StableDiffusion.load(folder), {"text": features}),
    }


def build_vdvae(work: Workshop) -> dict[str, object]:
    """The very deep VAE of the first stage."""
    made = work.cache / "vdvae"
    if not (made / vdvae.FIGURES).exists():
        vdvae.train(made, cache=work.cache, steps=work.steps("vdvae"))
    with export.whole_folder(work.models / "vdvae") as folder:
        for name in (vdvae.WEIGHTS, vdvae.FIGURES):
            shutil.copyfile(made / name, folder / name)
    return json.loads((made / vdvae.FIGURES).read_text(encoding="utf-8"))


def build_versatile_diffusion(work: Workshop) -> dict[str, object]:
    """Versatile Diffusion, which starts from the trained Stable Diffusion."""
    model = versatile_diffusion.train(
        work.unet,
        work.latents,
        work.captions(VD_TEXT, encoders.projected_text(*work.clip)),
        work.vision,
        encoders.versatile_nothing(*work.clip).clone(),
        work.steps("versatile-diffusion"),
        work.cache,
    )
    folder = work.models / "versatile-diffusion"
    export.save_versatile_diffusion(*model.split(), work.autoencoder, *work.clip, folder)
    images, captions = (array[:N_SAMPLES] for array in work.held_out)
    ids = np.arange(N_SAMPLES)
    conditioning = {
        "text": vd_text_features(ids, captions, folder),
        "vision": vd_vision_features(ids, images, folder),
    }
    return {
        "image_to_image": {
            name: _samples(work, VersatileDiffusion.load(folder, text_weight=weight), conditioning)
            for name, weight in (("dual", 0.4), ("vision_only", 0.0), ("text_only", 1.0))
        }
    }


def _samples(
    work: Workshop, backbone: object, conditioning: dict[str, np.ndarray]
) -> dict[str, object]:
    images, captions = (array[:N_SAMPLES] for array in work.held_out)
    model, tokenizer = work.clip
    text = clip.text_embeddings(model, clip.token_ids(tokenizer, captions[:, 0]))
    return figures.sampling_figures(backbone, images, conditioning, text, model, SAMPLING)


STAGES = {
    "clip": build_clip,
    "stable-diffusion": build_stable_diffusion,
    "vdvae": build_vdvae,
    "versatile-diffusion": build_versatile_diffusion,
}


def main() -> None:
    """Train the models that the command line names, and write their figures beside them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument(
        "--cache",
        type=Path,
        default=MODELS.parents[1] / "resources" / "demo-models",
        help="drawings, checkpoints, features (default: %(default)s)",
    )
    parser.add_argument("--models", type=Path, default=MODELS, help="default: %(default)s")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    work = Workshop(arguments.cache, arguments.models, arguments.scale)
    with job_log(None, "demo_models"):
        for stage in arguments.only:
            found = STAGES[stage](work)
            export.write_figures(arguments.models / stage, found)
            print(f"{stage}: {json.dumps(found, indent=2)}")


if __name__ == "__main__":
    main()
