"""Train the small very deep VAE of the demo on drawn scenes.

Same classes, block strings and file format as the ImageNet-64 model, at 32 x 32 pixels. The recipe
is that of Child (2021): AdamW on the evidence lower bound, steps with exploding gradients skipped,
an exponential moving average of the weights. The learning rate is annealed to zero over all
steps, and the KL term is phased in so that the small layers are used.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nsdrecon import randomness
from nsdrecon.vdvae import mixture, preprocessing
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.decoding import decode_latents
from nsdrecon.vdvae.latents import extract_latents
from nsdrecon.vdvae.model import VDVAE, Gaussian
from nsdrecon.whole_files import whole_file

from .scenes_cache import training_images

logger = logging.getLogger(__name__)

CONFIG = VDVAEConfig(
    image_size=32,
    width=64,
    bottleneck=0.25,
    zdim=8,
    n_mixtures=5,
    encoder_blocks="32x1,32d2,16x2,16d2,8x3,8d2,4x3,4d4,1x2",
    decoder_blocks="1x2,4m1,4x3,8m4,8x4,16m8,16x3,32m16,32x1",
)
WEIGHTS = "vdvae.th"
FIGURES = "vdvae.json"
CHECKPOINT = "vdvae.checkpoint.th"

BATCH = 32
LEARNING_RATE = 1e-3
WARM_UP_STEPS = 50
KL_PHASE = 0.1
"""Share of the training over which the KL term grows to its full weight."""
EMA_DECAY = 0.995
CLIP_NORM = 1.0
SKIP_NORM = 200.0
"""Norms of the gradient, of nats a dimension: clipped above the first, skipped above the second."""
SAVE_SECONDS = 120.0
LOG_EVERY = 25

N_TRAINING = 20_000
N_HELD_OUT = 256
SEED = 0


@dataclass
class Progress:
    """How far a training has come, in steps and in seconds, over all its runs."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0


class Trainer:
    """Network, moving average and optimiser; what a checkpoint holds."""

    def __init__(self, config: VDVAEConfig, seed: int) -> None:
        torch.manual_seed(randomness.integer_seed("vdvae-training", seed, "weights"))
        self.seed = seed
        self.model = VDVAE(config).to(memory_format=torch.channels_last)
        spread_components(self.model)
        self.average = VDVAE(config).requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=LEARNING_RATE,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            fused=True,
        )
        self.progress = Progress()

    def step(self, images: np.ndarray, done: float) -> dict[str, float]:
        """One optimiser step on uint8 images (BATCH, H, W, 3), ``done`` being the share trained."""
        torch.manual_seed(randomness.integer_seed("vdvae-training", self.seed, self.progress.step))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.progress.step, done)
        with torch.autocast("cpu", torch.bfloat16):
            distortion, rate = elbo(self.model, images)
        loss = distortion + min(1.0, 0.1 + done / KL_PHASE) * rate
        self.optimizer.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM))
        if math.isfinite(norm) and norm < SKIP_NORM:
            self.optimizer.step()
            self._update_average()
        else:
            self.progress.skipped += 1
        self.progress.step += 1
        return {"distortion": distortion.item(), "rate": rate.item(), "gradient norm": norm}

    @torch.no_grad()
    def _update_average(self) -> None:
        # A short memory at first: the random start should not linger in the average.
        decay = min(EMA_DECAY, (1 + self.progress.step) / (10 + self.progress.step))
        for average, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
            average.lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Write everything needed to go on, all or nothing."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        with whole_file(path) as partial:
            torch.save(state, partial)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        logger.info("resumed at step %d", self.progress.step)


@torch.no_grad()
def spread_components(model: VDVAE) -> None:
    """Begin with narrow components spread over the levels.

    The network's own start, components as wide as all levels, is a few units of bias away from any
    image: thousands of steps at Adam's pace.
    """
    n_mixtures = model.config.n_mixtures
    means, log_scales, _ = model.decoder.out_net.out_conv.bias[n_mixtures:].view(3, 3, -1).unbind(1)
    means.copy_(torch.linspace(-0.8, 0.8, n_mixtures).expand(3, -1))
    log_scales.fill_(-2)


def learning_rate(step: int, done: float) -> float:
    """Linear warm-up over the first steps, then a cosine to zero at the end of the training."""
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return LEARNING_RATE * warm_up * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def elbo(model: VDVAE, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Distortion and rate of uint8 images (n, H, W, 3): nats a dimension, mean over images.

    Their sum is the negative evidence lower bound.
    """
    divergences = []

    def choose(_layer: int, prior: Gaussian, posterior: Gaussian | None) -> Tensor:
        # In bfloat16 the terms of a small divergence would cancel to nothing.
        prior, posterior = prior.float(), posterior.float()
        divergences.append(posterior.divergence_from(prior).sum(dim=(1, 2, 3)))
        return posterior.at(torch.randn_like(posterior.mean))

    activations = model.encoder(torch.from_numpy(preprocessing.normalise(images)))
    parameters = model.decoder(len(images), choose, activations=activations)
    likelihood = mixture.log_likelihood(parameters, torch.from_numpy(images))
    n_dimensions = images[0].size
    return -likelihood.mean() / n_dimensions, sum(divergences).mean() / n_dimensions


def train(
    folder: Path,
    *,
    cache: Path,
    steps: int,
    config: VDVAEConfig = CONFIG,
    n_training: int = N_TRAINING,
    n_held_out: int = N_HELD_OUT,
    seed: int = SEED,
) -> dict[str, object]:
    """Train, export the averaged weights to ``folder`` and return the validation figures.

    Parameters
    ----------
    folder
        Receives ``vdvae.th``, ``vdvae.json`` and, while training, a checkpoint to resume from.
    cache
        Folder of the drawn scenes.
    steps
        Optimiser steps, those of earlier, interrupted runs included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes, _ = training_images(n_training, seed, cache)
    scenes = preprocessing.resize(scenes, config.image_size)
    trainer = Trainer(config, seed)
    checkpoint = folder / CHECKPOINT
    if checkpoint.is_file():
        trainer.resume(checkpoint)
    run(trainer, scenes, checkpoint, steps)
    export(trainer.average, folder / WEIGHTS)
    model = load_vdvae(folder / WEIGHTS, config)
    held_out, _ = training_images(n_held_out, seed, cache, split="validation")
    figures = {
        "config": asdict(config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training": {"images": n_training, "batch": BATCH, **asdict(trainer.progress)},
        "held out": validate(model, held_out),
    }
    with whole_file(folder / FIGURES) as partial:
        partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    checkpoint.unlink(missing_ok=True)
    return figures


def run(trainer: Trainer, scenes: np.ndarray, checkpoint: Path, steps: int) -> None:
    """Train to the last step, saving a checkpoint every few minutes."""
    progress = trainer.progress
    last = saved = time.monotonic()
    while (done := progress.step / steps) < 1:
        draw = randomness.generator("vdvae-training", trainer.seed, "batch", progress.step)
        losses = trainer.step(scenes[draw.integers(len(scenes), size=BATCH)], done)
        now = time.monotonic()
        progress.seconds += now - last
        last = now
        if progress.step % LOG_EVERY == 0:
            text = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            logger.info(
                "step %d, %.0f s, %.0f %%: %s", progress.step, progress.seconds, 100 * done, text
            )
        if now - saved > SAVE_SECONDS:
            trainer.save(checkpoint)
            saved = now
    trainer.save(checkpoint)


def export(model: VDVAE, path: Path) -> None:
    """Write the weights as the published checkpoints are: a state dict of ``torch.save``."""
    state = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    with whole_file(path) as partial:
        torch.save(state, partial)


def validate(model: VDVAE, images: np.ndarray) -> dict[str, object]:
    """Figures on held-out scenes, uint8 (n, H, W, 3).

    The evidence lower bound, and the pixel correlation of images decoded, without noise, from the
    posterior means of the layers up to each resolution.
    """
    config = model.config
    images = preprocessing.resize(images, config.image_size)
    torch.manual_seed(randomness.integer_seed("vdvae-training", "validation"))
    with torch.inference_mode():
        parts = [elbo(model, images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    distortion, rate = torch.tensor(parts).mean(dim=0).tolist()
    nsd_id = np.arange(len(images))
    latents = extract_latents(model, images, nsd_id, latent="mean", batch_size=BATCH)
    correlations = {}
    for n_layers in last_layers(config):
        decoded = decode_latents(
            model,
            latents[:, : config.n_latents(n_layers)],
            nsd_id,
            key=(0,),
            temperature=0,
            output="mean",
            batch_size=BATCH,
        )
        correlations[str(n_layers)] = pixel_correlation(images, decoded)
    return {
        "images": len(images),
        "nats per dimension": distortion + rate,
        "bits per dimension": (distortion + rate) / math.log(2),
        "rate, nats per dimension": rate,
        "pixel correlation by number of layers": correlations,
    }


def last_layers(config: VDVAEConfig) -> list[int]:
    """For every resolution of the decoder, the number of layers up to its last."""
    resolutions = [block.resolution for block in config.decoder]
    return sorted({resolution: i + 1 for i, resolution in enumerate(resolutions)}.values())


def pixel_correlation(images: np.ndarray, others: np.ndarray) -> float:
    """Pearson's correlation of the pixels of pairs of images, mean over pairs."""
    pairs = zip(images.reshape(len(images), -1), others.reshape(len(others), -1), strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))
