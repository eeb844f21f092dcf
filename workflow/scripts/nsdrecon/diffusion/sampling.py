"""diffusers schedulers, built from a model's own configuration and the settings of a run.

Notation: a_t is the product of the alphas up to timestep t; x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e.
Deterministic sampling is DDIM with eta = 0 (Song et al. 2021, eq. 12); stochastic sampling is the
ancestral sampler of DDPM (Ho et al. 2020, eq. 7) on the respaced chain of timesteps, the same
process as DDIM with eta = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from nsdrecon.diffusion.settings import Sampling
from nsdrecon.errors import InputError
from nsdrecon.pretrained import config_value

Scheduler = DDIMScheduler | DDPMScheduler


@dataclass(frozen=True)
class Plan:
    """The timesteps of one run: noise to ``start``, then a step at each of ``timesteps``."""

    start: int
    timesteps: tuple[int, ...]


def build_scheduler(
    config: Mapping[str, Any],
    sampling: Sampling,
    source: str | Path = "scheduler_config.json",
) -> Scheduler:
    """A diffusers scheduler for a model, its timesteps set.

    Every argument that matters is passed: the defaults of DDPMScheduler and DDIMScheduler would
    clip latents to -1..1, which is meant for pixels.

    Parameters
    ----------
    config
        The model's ``scheduler_config.json``, whatever scheduler class it names.
    source
        Named in errors.

    Raises
    ------
    InputError
        If the configuration lacks the noise schedule, or it has fewer timesteps than steps.
    """
    trained = config_value(config, "num_train_timesteps", source)
    if sampling.steps > trained:
        raise InputError(
            source, found=f"{trained} timesteps", expected=f"at least {sampling.steps}"
        )
    # A chain of (nearly) all timesteps leaves no room for the offset.
    room = trained - 1 - (sampling.steps - 1) * (trained // sampling.steps)
    common = {
        "num_train_timesteps": trained,
        "beta_start": config_value(config, "beta_start", source),
        "beta_end": config_value(config, "beta_end", source),
        "beta_schedule": config_value(config, "beta_schedule", source),
        "trained_betas": config.get("trained_betas"),
        "prediction_type": config.get("prediction_type", "epsilon"),
        "steps_offset": min(config.get("steps_offset", 1), room),
        "timestep_spacing": "leading",
        "clip_sample": False,
        "thresholding": False,
        "rescale_betas_zero_snr": False,
    }
    if sampling.sampler == "ddpm":
        scheduler = DDPMScheduler(**common, variance_type=sampling.variance)
    else:
        scheduler = DDIMScheduler(**common, set_alpha_to_one=config.get("set_alpha_to_one", False))
    scheduler.set_timesteps(sampling.steps)
    return scheduler


def plan(scheduler: Scheduler, sampling: Sampling) -> Plan:
    """The part of the scheduler's chain that is run, and the timestep the latent is noised to."""
    timesteps = scheduler.timesteps.tolist()
    first = len(timesteps) - sampling.steps_run
    start = first - 1 if sampling.start == "brain-diffuser" else first
    return Plan(start=timesteps[start], timesteps=tuple(timesteps[first:]))


def add_noise(
    scheduler: Scheduler, latents: torch.Tensor, noise: torch.Tensor, timestep: int
) -> torch.Tensor:
    """Latents of the noise level of a timestep, shape as ``latents``."""
    return scheduler.add_noise(latents, noise, torch.full((len(latents),), timestep))


def step(
    scheduler: Scheduler,
    prediction: torch.Tensor,
    timestep: int,
    latents: torch.Tensor,
    generators: list[torch.Generator],
) -> torch.Tensor:
    """One denoising step; DDPM draws its noise from the generators, one a row, on the CPU."""
    if isinstance(scheduler, DDIMScheduler):
        return scheduler.step(prediction, timestep, latents, eta=0.0).prev_sample
    outcome = scheduler.step(prediction, timestep, latents, generator=generators)
    # The chain ends in the predicted x_0 itself (Ho et al. 2020, algorithm 2). diffusers adds noise
    # wherever t > 0, and with an offset the last timestep is 1.
    last = timestep == int(scheduler.timesteps[-1])
    return outcome.pred_original_sample if last else outcome.prev_sample
