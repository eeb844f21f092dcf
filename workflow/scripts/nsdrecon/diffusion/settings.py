"""Settings of the sampler. Needs no torch, so that they are checked when the jobs are planned."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nsdrecon.errors import InputError

SAMPLERS = ("ddim", "ddpm")
VARIANCES = ("fixed_small", "fixed_large")
STARTS = ("aligned", "brain-diffuser")
ENCODINGS = ("mean", "sample")
ROUNDINGS = ("round", "truncate")


@dataclass(frozen=True)
class Sampling:
    """How stage-1 images become latents, which are noised, denoised and made into images.

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
    rounding
        From values to grey levels: ``round``, or ``truncate`` as published.

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
    rounding: str = "round"

    def __post_init__(self) -> None:
        for name, choices in (
            ("sampler", SAMPLERS),
            ("variance", VARIANCES),
            ("start", STARTS),
            ("encoding", ENCODINGS),
            ("rounding", ROUNDINGS),
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
