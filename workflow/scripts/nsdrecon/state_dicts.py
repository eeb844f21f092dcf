"""Files of weights: tensors by name, and nothing that is run."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from nsdrecon.errors import InputError


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name, on the CPU.

    Parameters
    ----------
    path
        ``.safetensors``, or a state dict saved by torch; as it is, or as ``state_dict`` of a
        checkpoint with more.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="the weights of a network")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged pickle raises whatever its next instruction happens to end in.
        raise InputError(
            path,
            found=f"{path.stat().st_size} bytes that do not load ({load_fault(error)})",
            expected="a complete state dict of tensors",
            remedy="Remove it and fetch it again.",
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and torch.is_tensor(item) for name, item in state.items()
    ):
        raise InputError(path, found=type(state).__name__, expected="a state dict of tensors")
    return state


def load_fault(error: Exception) -> str:
    """Why weights do not load, without torch's advice to read pickles that may run code."""
    if isinstance(error, pickle.UnpicklingError):
        return "a pickle that is damaged or holds more than tensors"
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
