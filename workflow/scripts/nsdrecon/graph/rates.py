"""What cards were measured to do, and what a run takes by that: far less than its limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsdrecon.graph.plan import PlannedJob


@dataclass(frozen=True)
class Rate:
    """What one card did in a rule's jobs.

    Parameters
    ----------
    rule, label
        The rule, and a regular expression that the label of its jobs begins with or contains.
    images_s
        Images a second, loading of the model apart.
    steps
        Denoising steps of an image, to which the time is proportional; None where there are none.
    about
        With which settings.
    """

    rule: str
    label: str
    images_s: float
    steps: int | None
    about: str


@dataclass(frozen=True)
class Card:
    """A card with its rates, when they were measured, and with which versions."""

    name: str
    date: str
    versions: str
    rates: tuple[Rate, ...]


CARDS = (
    Card(
        "H100",
        "2026-11-26",
        "torch 2.11 with CUDA 13, diffusers 0.42.1",
        (
            Rate("vdvae_latents", "", 115, None, "float32, batch 64"),
            Rate("diffusion_images", r"system=(oracle-)?sd-", 3.36, 37, "float16, batch 16"),
            Rate("diffusion_images", r"system=(oracle-)?vd-", 2.24, 37, "float16, batch 16"),
        ),
    ),
)
"""All that was measured so far, at full size with random weights."""

# Images of a subject of NSD who saw all of them; fewer sessions show fewer.
TRAINING_IMAGES, TEST_IMAGES = 9000, 1000
# Imports and the loading of a model, seconds; larger models on a slow disk take longer.
START = 30


def expected(jobs: Sequence[PlannedJob], config: Mapping[str, Any]) -> dict[str, float]:
    """GPU-hours by measured rates, for each card, and the limits of the same jobs.

    Parameters
    ----------
    jobs
        The planned jobs. Those of which no card has a rate are left out.
    config
        The configuration: shards, samples and steps.

    Returns
    -------
    ``gpu_hours_<card>`` and ``gpu_hours_<card>_limits`` for each card. A card of half the speed
    takes about twice the hours.
    """
    found = {}
    for card in CARDS:
        rated = [(job, rate) for job in jobs if job.gpu and (rate := _rate(card, job))]
        seconds = sum(START + _images(job, config) / _speed(rate, config) for job, rate in rated)
        found[f"gpu_hours_{card.name}"] = seconds / 3600
        found[f"gpu_hours_{card.name}_limits"] = sum(job.runtime for job, _ in rated) / 60
    return found


def _rate(card: Card, job: PlannedJob) -> Rate | None:
    """The card's rate for a job, None if it was not measured."""
    fits = (r for r in card.rates if r.rule == job.rule and re.search(r.label, job.label))
    return next(fits, None)


def _speed(rate: Rate, config: Mapping[str, Any]) -> float:
    """Images a second with the steps of this run."""
    if rate.steps is None:
        return rate.images_s
    return rate.images_s * rate.steps / (config["stage2"]["steps"] * config["stage2"]["strength"])


def _images(job: PlannedJob, config: Mapping[str, Any]) -> float:
    """About how many images a job works on, at the size of NSD."""
    if job.rule == "diffusion_images":
        return TEST_IMAGES * config["stage2"]["samples"] / config["shards"]
    return TRAINING_IMAGES / config["shards"]
