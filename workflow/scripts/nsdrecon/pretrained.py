"""Strict, offline loading of pretrained models from local folders of diffusers and transformers.

Both libraries fill weights that a checkpoint lacks with random numbers, leave out those that the
model does not know, and go on; here that is an error. What older releases of theirs wrote under
other names they translate first. Nothing is ever looked up on the network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from nsdrecon.devices import reuse_memory
from nsdrecon.errors import InputError, listing
from nsdrecon.state_dicts import load_fault


def read_config(folder: str | Path, name: str = "config.json") -> dict[str, Any]:
    """The JSON configuration of a model, a scheduler or a tokenizer.

    Raises
    ------
    InputError
        If the file is missing or is no JSON object.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise InputError(path, found="no file", expected="the configuration of a pretrained model")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(path, found=f"no JSON ({error})", expected="a JSON object") from error
    if not isinstance(config, dict):
        raise InputError(path, found=type(config).__name__, expected="a JSON object")
    return config


def config_value(config: dict[str, Any], key: str, source: str | Path) -> Any:
    """One value of a configuration; an error that names the file if it is not there."""
    if config.get(key) is None:
        raise InputError(source, found=f"no value for {key!r}", expected=f"a value for {key!r}")
    return config[key]


def load_model(
    kind: type,
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> torch.nn.Module:
    """A diffusers or transformers model with all of its weights, ready for inference.

    Parameters
    ----------
    kind
        Class of the model, with ``from_pretrained``.
    folder
        Folder with ``config.json`` and the weights: safetensors, or pickles where there are none.
    dtype
        Type of the parameters.
    device
        Device of the parameters.

    Raises
    ------
    InputError
        If the folder, a weight or a whole file is missing, a weight has another shape, or the file
        holds more than the model.
    """
    folder = Path(folder)
    read_config(folder)
    reuse_memory(device)
    disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            output_loading_info=True,
            dtype=dtype,
            use_safetensors=any(folder.glob("*.safetensors")),
            ignore_mismatched_sizes=True,  # they are in the report, which has all of them
        )
    except Exception as error:  # damaged weights, as pickles too, can end in any
        raise InputError(
            folder,
            found=f"weights that do not load ({load_fault(error)})",
            expected=f"a {kind.__name__}",
        ) from error
    other_shapes = [
        f"{name} {tuple(found)} instead of {tuple(expected)}"
        for name, found, expected in report["mismatched_keys"]
    ]
    faults = {
        "missing weights": report["missing_keys"],
        "unknown weights": report["unexpected_keys"],
        "weights of other shapes": other_shapes,
    }
    for fault, names in faults.items():
        if names:
            raise InputError(
                folder,
                found=f"{fault} {listing(sorted(names))}",
                expected=f"the weights of {kind.__name__} as configured, and no others",
            )
    return model.eval().requires_grad_(False).to(device)
