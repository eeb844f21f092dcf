"""Volumes of a subject: the mask, ROI labels, maps, and the single-trial betas of a session.

Voxels are always in the order of C-ordered boolean indexing of an (X, Y, Z) array with the mask
(x slowest, z fastest), whichever file they come from: the axes of NSD's HDF5 files are reversed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import h5py
import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from nsdrecon import provenance
from nsdrecon.errors import InputError
from nsdrecon.store import dataset, open_h5
from nsdrecon.whole_files import whole_file

_AFFINE_TOLERANCE = 0.01  # mm: rounding of a header


@dataclass(frozen=True)
class Voxels:
    """The voxels that take part, and where they are.

    Attributes
    ----------
    index
        (n_voxels, 3) int32 coordinates i, j, k in the volume, ascending.
    shape
        Shape (X, Y, Z) of the volume.
    affine
        (4, 4) from voxel coordinates to millimetres.
    source
        The file they come from, for error messages.
    """

    index: np.ndarray
    shape: tuple[int, int, int]
    affine: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.index)

    def subset(self, chosen: np.ndarray) -> Voxels:
        """Some of the voxels, by a boolean array or row numbers."""
        return Voxels(self.index[chosen], self.shape, self.affine, self.source)

    def same_as(self, other: Voxels) -> bool:
        """Whether these are the same voxels of the same space, in the same order."""
        return (
            self.shape == other.shape
            and np.array_equal(self.index, other.index)
            and np.array_equal(self.affine, other.affine)
        )

    def write(self, file: h5py.File) -> None:
        """Store in an open file: datasets ``voxel`` and ``affine``, attribute ``volume_shape``."""
        file.create_dataset("voxel", data=self.index)
        file.create_dataset("affine", data=self.affine)
        file.attrs["volume_shape"] = self.shape

    @classmethod
    def of(cls, file: h5py.File) -> Voxels:
        """The voxels that `write` stored in an open file."""
        if "volume_shape" not in file.attrs:
            raise InputError(file.filename, found="no voxels", expected="attribute 'volume_shape'")
        return cls(
            dataset(file, "voxel")[()],
            tuple(int(length) for length in file.attrs["volume_shape"]),
            dataset(file, "affine")[()],
            file.filename,
        )


def read_mask(path: str | Path) -> Voxels:
    """The voxels of a mask: those with values above 0 (0 and -1 are outside).

    Raises
    ------
    InputError
        If the file does not load, is not three-dimensional or marks no voxel.
    """
    values, image = _read_volume(path)
    index = np.argwhere(values > 0).astype(np.int32)
    if len(index) == 0:
        raise InputError(path, found="no voxel above 0", expected="a mask")
    return Voxels(index, values.shape, image.affine, str(path))


def read_map(path: str | Path, voxels: Voxels) -> np.ndarray:
    """Values of a map, such as ncsnr, at the voxels: shape (n_voxels,), float32.

    Raises
    ------
    InputError
        If the file does not load or the volume has another shape or affine than the voxels' volume.
    """
    values, image = _read_volume(path)
    _require_shape(path, values.shape, voxels)
    _require_affine(path, image, voxels)
    return values[tuple(voxels.index.T)].astype(np.float32)


def write_map(path: str | Path, values: np.ndarray, voxels: Voxels) -> None:
    """Write values of the voxels, (n_voxels,), as a NIfTI volume of float32, all or nothing.

    It has the affine of the voxels; outside of them it is not a number. What it says of itself
    (`nsdrecon.provenance`) is a comment among the extensions of its header.
    """
    volume = np.full(voxels.shape, np.nan, dtype=np.float32)
    volume[tuple(voxels.index.T)] = values
    image = nib.Nifti1Image(volume, voxels.affine)
    if (words := provenance.words(path)) is not None:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", words.encode()))
    with whole_file(path) as partial:
        nib.save(image, partial)


def read_labels(path: str | Path, voxels: Voxels) -> np.ndarray:
    """ROI labels at the voxels: shape (n_voxels,), int32; 1, 2, ... are regions, 0 and -1 none.

    Raises
    ------
    InputError
        As for `read_map`, and if a value is not an integer.
    """
    values = read_map(path, voxels)
    labels = np.rint(values)
    if not np.array_equal(labels, values):
        raise InputError(path, found="values that are not integers", expected="ROI labels")
    return labels.astype(np.int32)


def read_session(path: str | Path, voxels: Voxels, n_trials: int) -> np.ndarray:
    """Betas of one session at the voxels, as stored (int16, percent signal change x 300).

    The file is streamed: memory holds the result and one volume (nii.gz) or one row of voxels
    (HDF5), never the session. Everything the header tells is checked before any data are read.

    Parameters
    ----------
    path
        ``betas_sessionBB.nii.gz``, or ``.hdf5`` with `/betas` of shape (n_trials, Z, Y, X).
    voxels
        From the subject's mask.
    n_trials
        How many trials the session has by the experiment's design.

    Returns
    -------
    Shape (n_trials, n_voxels), int16.

    Raises
    ------
    InputError
        If the file is missing, damaged or truncated, is not int16 with unit scaling, or has another
        volume shape or (NIfTI) affine than the mask, or another number of trials.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="the betas of a session")
    if path.name.endswith(".nii.gz"):
        return _read_nifti_session(path, voxels, n_trials)
    if path.name.endswith(".hdf5"):
        return _read_hdf5_session(path, voxels, n_trials)
    raise InputError(path, found=f"a name ending in {path.suffix!r}", expected=".nii.gz or .hdf5")


def _read_nifti_session(path: Path, voxels: Voxels, n_trials: int) -> np.ndarray:
    with nifti_errors(path):
        image = nib.load(path)
        proxy = image.dataobj
    _require_betas(path, proxy.shape, proxy.dtype, voxels, n_trials)
    _require_affine(path, image, voxels)
    if (proxy.slope, proxy.inter) != (1, 0):
        raise InputError(
            path,
            found=f"scl_slope {proxy.slope}, scl_inter {proxy.inter}",
            expected="slope 1 and intercept 0: percent signal change x 300 as stored",
        )
    # NIfTI stores x fastest: the voxels' places in a volume as it lies in the file.
    places = np.ravel_multi_index(voxels.index.T, voxels.shape, order="F")
    volume = np.empty(int(np.prod(voxels.shape)), dtype=proxy.dtype)
    betas = np.empty((n_trials, len(voxels)), dtype=np.int16)
    with nifti_errors(path), igzip.open(path, "rb") as stream:
        stream.seek(proxy.offset)
        for trial in range(n_trials):
            _fill(stream, memoryview(volume).cast("B"), path, trial, n_trials)
            betas[trial] = volume[places]
        # Reading up to the end makes gzip compare its checksum.
        if stream.read(1):
            raise InputError(path, found="data after the last volume", expected="none")
    return betas


def _fill(stream: BinaryIO, buffer: memoryview, path: Path, trial: int, n_trials: int) -> None:
    filled = 0
    while filled < len(buffer):
        count = stream.readinto(buffer[filled:])
        if count == 0:
            raise InputError(
                path, found=f"{trial} whole volumes", expected=f"{n_trials} as in its header"
            )
        filled += count


def _read_hdf5_session(path: Path, voxels: Voxels, n_trials: int) -> np.ndarray:
    betas = np.empty((n_trials, len(voxels)), dtype=np.int16)
    column = np.full(voxels.shape, -1, dtype=np.int64)
    column[tuple(voxels.index.T)] = np.arange(len(voxels))
    with open_h5(path) as file:
        stored = dataset(file, "betas")
        found = (*stored.shape[:0:-1], *stored.shape[:1])  # as in MATLAB: (X, Y, Z, trials)
        _require_betas(path, found, stored.dtype, voxels, n_trials)
        # A chunk is one voxel in all trials: read stretches of voxels along x, in file order.
        for k, j, start, stop in _stretches_along_x(column >= 0):
            try:
                values = stored[:, k, j, start:stop]
            except OSError as error:
                raise InputError(
                    path, found=f"data that do not read ({error})", expected="a complete HDF5 file"
                ) from error
            betas[:, column[start:stop, j, k]] = values
    return betas


def _stretches_along_x(mask: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """(k, j, start, stop) of all stretches mask[start:stop, j, k] that are True."""
    padded = np.pad(mask.T.astype(np.int8), ((0, 0), (0, 0), (1, 1)))
    edges = np.diff(padded, axis=2)
    starts = np.argwhere(edges == 1)
    stops = np.argwhere(edges == -1)
    for (k, j, start), stop in zip(starts.tolist(), stops[:, 2].tolist(), strict=True):
        yield k, j, start, stop


def _require_betas(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, voxels: Voxels, n_trials: int
) -> None:
    """Check shape (X, Y, Z, trials) and type of a session's betas."""
    if len(shape) != 4:
        raise InputError(path, found=f"betas of shape {shape}", expected="X, Y, Z and trials")
    _require_shape(path, shape[:3], voxels)
    if dtype.kind != "i" or dtype.itemsize != 2:
        raise InputError(path, found=f"betas of type {dtype}", expected="int16")
    if shape[3] != n_trials:
        raise InputError(
            path, found=f"{shape[3]} trials", expected=f"{n_trials} trials by the design"
        )


def _require_affine(path: str | Path, image: nib.Nifti1Image, voxels: Voxels) -> None:
    """Check that a volume lies where the mask does; a header may leave it open."""
    known = any(image.header[code] > 0 for code in ("sform_code", "qform_code"))
    if known and not np.allclose(image.affine, voxels.affine, atol=_AFFINE_TOLERANCE):
        raise InputError(
            path,
            found=f"affine {_rows(image.affine)}",
            expected=f"{_rows(voxels.affine)} as in {voxels.source}",
            remedy="Use volumes of one space and release; one that another program wrote may be "
            "mirrored.",
        )


def _rows(affine: np.ndarray) -> list[list[float]]:
    return np.round(affine[:3], 3).tolist()


def _require_shape(path: str | Path, shape: tuple[int, ...], voxels: Voxels) -> None:
    if tuple(shape) != voxels.shape:
        raise InputError(
            path, found=f"a volume of {shape}", expected=f"{voxels.shape} as in {voxels.source}"
        )


def _read_volume(path: str | Path) -> tuple[np.ndarray, nib.Nifti1Image]:
    """Values of a three-dimensional NIfTI image, (X, Y, Z), and the image."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a NIfTI volume")
    with nifti_errors(path):
        if path.suffix == ".gz":
            # nibabel stops before the end, where gzip compares its checksum.
            with igzip.open(path, "rb") as stream:
                stream.read()
        image = nib.load(path)
        values = np.asarray(image.dataobj)
    if values.ndim != 3:
        raise InputError(path, found=f"shape {values.shape}", expected="three dimensions")
    return values, image


@contextmanager
def nifti_errors(path: Path) -> Iterator[None]:
    """What nibabel and gzip say of a damaged file, as an error that names it."""
    try:
        yield
    except InputError:
        raise
    except (
        ImageFileError,
        HeaderDataError,
        EOFError,
        OSError,
        ValueError,
        zlib.error,
        isal_zlib.error,
    ) as error:
        raise InputError(
            path,
            found=f"data that do not read ({error})",
            expected="a complete NIfTI file",
            remedy="Remove it and fetch it again.",
        ) from error
