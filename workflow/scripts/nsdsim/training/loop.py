"""The training loop that every small model shares: moving average, checkpoints, log."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nsdrecon.randomness import generator
from nsdrecon.whole_files import whole_file

logger = logging.getLogger(__name__)

#: Computes the loss of one batch, drawn with the generator it is given.
BatchLoss = Callable[[np.random.Generator], torch.Tensor]


@dataclass(frozen=True)
class Optimisation:
    """Settings of AdamW, of the learning-rate schedule and of the moving average of the weights.

    The learning rate rises linearly for ``warmup`` steps and falls along a half cosine to
    ``final`` times its peak at the last step.
    """

    learning_rate: float
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 50
    final: float = 0.02
    average: float = 0.995
    max_norm: float = 1.0

    def rate(self, step: int, progress: float) -> float:
        """Learning rate of a step."""
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        rise = min(1.0, (step + 1) / self.warmup)
        return self.learning_rate * rise * (self.final + (1 - self.final) * cosine)


@dataclass
class _State:
    step: int = 0
    seconds: float = 0.0
    recent: list[float] = field(default_factory=list)


def fit(
    model: nn.Module,
    batch_loss: BatchLoss,
    steps: int,
    optimisation: Optimisation,
    checkpoint: str | Path,
    *,
    every_seconds: float = 120.0,
) -> nn.Module:
    """Train a model and return it with the moving average of its weights.

    A run that was stopped goes on from its checkpoint: batches are keyed by the name of the
    checkpoint and the step, so a resumed run sees the batches that an undisturbed one would have
    seen.

    Parameters
    ----------
    model
        Trained in place.
    batch_loss
        Loss of one batch; it closes over ``model``.
    steps
        Number of optimiser steps, those before an interruption included.
    checkpoint
        File (safe to load with ``weights_only=True``) that is written every ``every_seconds`` and
        at the end.
    """
    checkpoint = Path(checkpoint)
    name = checkpoint.stem
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters,
        lr=optimisation.learning_rate,
        betas=optimisation.betas,
        weight_decay=optimisation.weight_decay,
    )
    averaged = copy.deepcopy(model).requires_grad_(False)
    state = _State()
    if checkpoint.exists():
        _load(checkpoint, model, averaged, optimiser, state)
        logger.info("%s: resumed at step %d, %.0f s", name, state.step, state.seconds)

    model.train()
    logged = saved = now = time.perf_counter()
    while (progress := state.step / steps) < 1:
        for group in optimiser.param_groups:
            group["lr"] = optimisation.rate(state.step, progress)
        torch.manual_seed(int(generator(0, name, state.step, "torch").integers(2**62)))
        loss = batch_loss(generator(0, name, state.step))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, optimisation.max_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        state.step += 1
        _average(averaged, model, optimisation.average, state.step)
        state.recent.append(float(loss.detach()))

        before, now = now, time.perf_counter()
        state.seconds += now - before
        if now - logged > 15:
            logger.info(
                "%s: step %d, %.0f s, %.0f %%, loss %.5f",
                name,
                state.step,
                state.seconds,
                100 * progress,
                float(np.mean(state.recent)),
            )
            state.recent.clear()
            logged = now
        if now - saved > every_seconds:
            _save(checkpoint, model, averaged, optimiser, state)
            saved = now = time.perf_counter()
    _save(checkpoint, model, averaged, optimiser, state)
    logger.info("%s: trained %d steps in %.0f s", name, state.step, state.seconds)
    model.load_state_dict(averaged.state_dict())
    return model.eval()


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average in which the first steps soon count little."""
    weight = 1 - min(decay, step / (step + 10))
    theirs = list(model.parameters())
    torch._foreach_lerp_(list(averaged.parameters()), theirs, weight)
    for mine, buffer in zip(averaged.buffers(), model.buffers(), strict=True):
        mine.copy_(buffer)


def _save(
    path: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: _State,
) -> None:
    content = {
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
    }
    with whole_file(path) as partial:
        torch.save(content, partial)


def _load(
    path: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: _State,
) -> None:
    content = torch.load(path, weights_only=True)
    model.load_state_dict(content["model"])
    averaged.load_state_dict(content["averaged"])
    optimiser.load_state_dict(content["optimiser"])
    state.step, state.seconds = content["step"], content["seconds"]
