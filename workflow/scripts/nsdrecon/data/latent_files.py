"""Files of latents and of predictions of them: one flat row an image, with its shape.

A file holds ``nsd_id`` (n,) and ``latents`` (n, n_targets), each row flattened in C order; the
attributes ``feature`` and ``shape`` say what a row is, for instance ``sd-text`` and (77, 768).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nsdrecon.errors import InputError
from nsdrecon.store import open_h5, read_array, write_arrays


def write_latents(path: str | Path, nsd_id: np.ndarray, latents: np.ndarray, feature: str) -> None:
    """Write latents of shape (n, ...) for n images, all or nothing."""
    about = {"feature": feature, "shape": latents.shape[1:]}
    write_arrays(path, nsd_id, {"latents": latents.reshape(len(latents), -1)}, about)


def read_latents(path: str | Path, feature: str, nsd_id: np.ndarray | None = None) -> np.ndarray:
    """Latents in their own shape, rows in the order of ``nsd_id`` (default: file order).

    Raises
    ------
    InputError
        If the file holds another feature or shapes that contradict each other, or lacks an id.
    """
    with open_h5(path) as file:
        found = file.attrs.get("feature")
        shape = tuple(int(size) for size in file.attrs.get("shape", ()))
    if found != feature:
        raise InputError(path, found=f"feature {found!r}", expected=f"{feature!r}")
    latents = read_array(path, "latents", nsd_id)
    if latents.shape[1] != np.prod(shape):
        raise InputError(path, found=f"rows of {latents.shape[1]}", expected=f"shape {shape}")
    return latents.reshape(len(latents), *shape)
