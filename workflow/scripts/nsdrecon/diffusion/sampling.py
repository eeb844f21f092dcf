"""Settings of the sampler, and diffusers schedulers built from a model's own configuration.

Notation: a_t is the product of the alphas up to timestep t; x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e.
Deterministic sampling is DDIM with eta = 0 (Song et al. 2021, eq. 12); stochastic sampling is the
ancestral sampler of DDPM (Ho et al. 2020, eq. 7) on the respaced chain of timesteps, the same
process as DDIM with eta = 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from nsdrecon.errors import InputError
from nsdrecon.pretrained import config_value

SAMPLERS = ("ddim", "ddpm")
VARIANCES = ("fixed_small", "fixed_large")
STARTS = ("aligned", "brain-diffuser")
ENCODINGS = ("mean", "sample")

Scheduler = DDIMScheduler | DDPMScheduler


@dataclass(frozen=True)
class Sampling:
    """How latents are noised and denoised.

    Parameters
    ----------
    sampler
        ``ddim`` (deterministic) or ``ddpm`` (stochastic).
    steps
        Number of timesteps of the respaced chain.
    strength
        Share of the chain that is run: the last ``int(steps * strength)`` timesteps.
    guidance
        Weight of classifier-free guidance: e = e_u + guidance (e_c - e_u).
    variance
        Variance of DDPM's steps: ``fixed_small`` (the posterior's) or ``fixed_large`` (beta).
    start
        ``aligned``: the latent is noised to the timestep of the first step. ``brain-diffuser``: to
        the timestep before it, as published (50 steps, strength 0.75: to 741, first step at 721).
    encoding
        Latent of the stage-1 image: ``mean`` of the posterior, or a keyed ``sample`` of it.

    Raises
    ------
    InputError
        If a value is unknown or out of range, or no step would be run.
    """

    sampler: str = "ddim"
    steps: int = 50
    strength: float = 0.75
    guidance: float = 7.5
    variance: str = "fixed_small"
    start: str = "aligned"
    encoding: str = "mean"

    def __post_init__(self) -> None:
        for name, choices in (
            ("sampler", SAMPLERS),
            ("variance", VARIANCES),
            ("start", STARTS),
            ("encoding", ENCODINGS),
        ):
            if getattr(self, name) not in choices:
                raise InputError(name, found=getattr(self, name), expected=" or ".join(choices))
        if self.steps < 1:
            raise InputError("steps", found=self.steps, expected="at least 1")
        if not 0 < self.strength <= 1:
            raise InputError("strength", found=self.strength, expected="above 0, at most 1")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise InputError("guidance", found=self.guidance, expected="a number, at least 0")
        if self.steps_run < 1:
            raise InputError(
                "strength",
                found=f"{self.strength}, which with {self.steps} steps runs none of them",
                expected=f"steps x strength of at least 1, so a strength of {1 / self.steps:.3g}",
            )
        if self.start == "brain-diffuser" and self.steps_run == self.steps:
            raise InputError(
                "start",
                found=f"brain-diffuser with strength {self.strength}",
                expected="a strength that leaves a timestep before the first step",
            )

    @property
    def steps_run(self) -> int:
        """Number of denoising steps."""
        # 0.58 * 50 is 28.999999999999996 in floating point and means 29.
        return math.floor(self.steps * self.strength + 1e-9)


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
