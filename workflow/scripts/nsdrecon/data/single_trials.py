"""Responses of single trials out of files of several formats, at the voxels that are used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.arrayproxy import ArrayProxy

from nsdrecon.data.volumes import Voxels, nifti_errors
from nsdrecon.errors import InputError
from nsdrecon.store import dataset, open_h5

BETAS = "betas"
_SUFFIXES = (".nii", ".nii.gz", ".npy", ".h5", ".hdf5")
_BLOCK = 1 << 20  # bytes that are read at a time to get to the end of a file
_SAME_PLACE = 1e-3  # millimetres, or cosines; headers hold float32


def read_trials_of(path: str | Path, voxels: Voxels, n_trials: int, rows: slice) -> np.ndarray:
    """Responses at the voxels in some trials of a file.

    What the header tells is checked before any data are read.

    Parameters
    ----------
    path
        NIfTI (x, y, z, trials); NumPy or HDF5 (dataset ``betas``), either (trials, voxels) in the
        order of C-ordered boolean indexing with the mask, or (x, y, z, trials).
    voxels
        From the subject's mask.
    n_trials
        How many trials the file has by the table of trials.
    rows
        Which of them are read.

    Returns
    -------
    Shape (n_rows, n_voxels): integers of up to 16 bits as stored, anything else as float32.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another form, lies in another space than the mask, or
        has another number of trials.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="responses of single trials")
    if path.name.endswith((".nii", ".nii.gz")):
        return _from_nifti(path, voxels, n_trials, rows)
    if path.suffix == ".npy":
        return from_array(_open_array(path), path, voxels, n_trials, rows)
    if path.suffix in (".h5", ".hdf5"):
        with open_h5(path) as file:
            return from_array(dataset(file, BETAS), path, voxels, n_trials, rows)
    found = f"a name ending in {path.suffix!r}"
    raise InputError(path, found=found, expected=" or ".join(_SUFFIXES))


def _open_array(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            path, found=f"data that do not load ({error})", expected="an array (.npy)"
        ) from error
    if not isinstance(found, np.ndarray):
        raise InputError(path, found="an archive of arrays", expected="one array (.npy)")
    return found


def from_array(
    values: np.ndarray | h5py.Dataset, path: Path, voxels: Voxels, n_trials: int, rows: slice
) -> np.ndarray:
    """Responses in some trials of an array, which may lie in a file; as `read_trials_of`."""
    _require_numbers(path, values.dtype)
    if len(values.shape) == 2:
        _require_trials(path, values.shape[0], n_trials)
        if values.shape[1] != len(voxels):
            raise InputError(
                path,
                found=f"responses of {values.shape[1]} voxels",
                expected=f"{len(voxels)}, the voxels of {voxels.source}",
            )
        return _stored(values[rows])
    _require_volumes(path, values.shape, voxels)
    _require_trials(path, values.shape[3], n_trials)
    numbers = range(*rows.indices(n_trials))
    betas = np.empty((len(numbers), len(voxels)), dtype=_kept(values.dtype))
    for k in np.unique(voxels.index[:, 2]):  # in slabs, so that memory does not grow with the file
        inside = voxels.index[:, 2] == k
        i, j = voxels.index[inside, :2].T
        betas[:, inside] = values[:, :, k, rows][i, j].T
    return betas


def _from_nifti(path: Path, voxels: Voxels, n_trials: int, rows: slice) -> np.ndarray:
    compressed = path.suffix == ".gz"
    with nifti_errors(path), (igzip.open if compressed else open)(path, "rb") as stream:
        # One stream for all reads: each would begin at the start of a compressed file.
        image = type(nib.load(path)).from_stream(stream)
        values = image.dataobj
        _require_volumes(path, values.shape, voxels)
        _require_trials(path, values.shape[3], n_trials)
        if not np.allclose(image.affine, voxels.affine, atol=_SAME_PLACE):
            raise InputError(
                path,
                found=f"volumes in another space than the mask ({_corner(image.affine)})",
                expected=f"that of {voxels.source} ({_corner(voxels.affine)})",
                remedy="Bring mask and responses to one space.",
            )
        if not compressed:
            _require_whole(path, values)
        unscaled = (values.slope, values.inter) == (1, 0)
        dtype = np.dtype(values.dtype if unscaled else np.float32)
        _require_numbers(path, dtype)
        numbers = range(*rows.indices(n_trials))
        betas = np.empty((len(numbers), len(voxels)), dtype=_kept(dtype))
        for row, number in enumerate(numbers):
            betas[row] = np.asarray(values[..., number])[tuple(voxels.index.T)]
        # Reading up to the end makes gzip compare its checksum.
        while compressed and stream.read(_BLOCK):
            pass
    return betas


def _require_whole(path: Path, values: ArrayProxy) -> None:
    """Refuse a file that ends before its volumes do, whichever of them are read."""
    size = values.offset + math.prod(values.shape) * values.dtype.itemsize
    if path.stat().st_size < size:
        raise InputError(
            path,
            found=f"{path.stat().st_size} bytes",
            expected=f"{size} by its header",
            remedy="Remove it and fetch it again.",
        )


def _corner(affine: np.ndarray) -> str:
    places = ", ".join(f"{value:g}" for value in affine[:3, 3])
    return f"voxels of {np.abs(np.linalg.det(affine[:3, :3])) ** (1 / 3):.3g} mm from {places}"


def _kept(dtype: np.dtype) -> np.dtype:
    """The type in which numbers are kept: small integers as they are."""
    small = dtype.kind in "iu" and np.can_cast(dtype, np.int16)
    return np.dtype(np.int16 if small else np.float32)


def _stored(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=_kept(values.dtype))


def _require_numbers(path: Path, dtype: np.dtype) -> None:
    if dtype.kind not in "iuf":
        raise InputError(path, found=f"responses of type {dtype}", expected="real numbers")


def _require_trials(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(
            path,
            found=f"responses of {found} trials",
            expected=f"{expected}, a row of the table of trials each",
        )


def _require_volumes(path: Path, shape: tuple[int, ...], voxels: Voxels) -> None:
    if len(shape) != 4:
        raise InputError(path, found=f"responses of shape {shape}", expected="(x, y, z, trials)")
    if tuple(shape[:3]) != voxels.shape:
        raise InputError(
            path,
            found=f"volumes of {tuple(shape[:3])}",
            expected=f"{voxels.shape} as in {voxels.source}",
        )
