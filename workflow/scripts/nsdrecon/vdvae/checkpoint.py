"""Strict loading of very deep VAE checkpoints."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor

from nsdrecon.errors import InputError, listing
from nsdrecon.state_dicts import read_state_dict
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.model import VDVAE

logger = logging.getLogger(__name__)

SHOWN = 5
"""Mismatches an error message lists of each kind."""


def load_vdvae(
    path: str | Path,
    config: VDVAEConfig,
    *,
    device: str | torch.device = "cpu",
) -> VDVAE:
    """The network of a checkpoint, ready for inference.

    Parameters
    ----------
    path
        A state dict: safetensors, or a ``.th`` file of ``torch.save``, with or without the prefix
        ``module.`` that data-parallel training leaves (the published EMA weights).
    config
        What the checkpoint is expected to hold.
    device
        Where to put the weights; they become float32.

    Raises
    ------
    InputError
        If the file is missing or damaged, if it holds anything but tensors, or if their names and
        shapes are not exactly those of the configuration (the first mismatches are listed).
    """
    path = Path(path)
    state = {name.removeprefix("module."): value for name, value in read_state_dict(path).items()}
    with torch.device("meta"):
        model = VDVAE(config)
    _check(state, model.state_dict(), path)
    model.load_state_dict(state, strict=True, assign=True)
    del state  # so that each tensor is freed once it is copied to its new place
    model.to(device=device, dtype=torch.float32, memory_format=torch.channels_last)
    logger.info("%s: %d parameters", path, sum(p.numel() for p in model.parameters()))
    return model.eval().requires_grad_(False)


def _check(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Compare names and shapes; all differences go into one error, in the order of the network."""
    other_shape = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    missing = [f"{n} {tuple(v.shape)}" for n, v in expected.items() if n not in state]
    surplus = [f"{n} {tuple(v.shape)}" for n, v in state.items() if n not in expected]
    differences = [
        f"{kind}: {listing(names, SHOWN)}"
        for kind, names in (
            ("other shapes", other_shape),
            ("missing", missing),
            ("not in the configuration", surplus),
        )
        if names
    ]
    if differences:
        raise InputError(
            path,
            found="; ".join(differences),
            expected=f"the {len(expected)} tensors of the configured VDVAE",
            remedy="Check the width, zdim and block strings of the configuration.",
        )
