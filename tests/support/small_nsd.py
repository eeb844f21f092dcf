"""A few small files of the form of the Natural Scenes Dataset, for tests."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import scipy.io
from PIL import Image

from nsdrecon.data.nsd import Design

SLOPE = slice(112, 116)  # of a NIfTI header
AFFINE = np.array([[1.8, 0, 0, -70], [0, 1.8, 0, -90], [0, 0, 1.8, -60], [0, 0, 0, 1.0]])


def design_variables(
    image_numbers: list[int],
    trials_per_session: list[int],
    subject_images: np.ndarray,
    n_shared: int,
) -> dict[str, np.ndarray]:
    """Variables of ``nsd_expdesign.mat``, 1-based and of the small integer types it has."""
    pattern = np.zeros((len(trials_per_session), 2, 8), dtype=np.uint8)
    for session, count in enumerate(trials_per_session):
        pattern[session].reshape(-1)[:count] = 1
    return {
        "masterordering": np.array([image_numbers], dtype=np.uint16),
        "subjectim": np.asarray(subject_images, dtype=np.uint32),
        "sharedix": np.sort(subject_images[:1, :n_shared]).astype(np.uint32),
        "stimpattern": pattern,
    }


def write_design(path: Path, **variables: np.ndarray) -> Path:
    scipy.io.savemat(path, variables)
    return path


def small_design(n_sessions: int = 3, trials: int = 10) -> Design:
    """Two subjects, 4 shared and 8 other images, some shown up to three times."""
    rng = np.random.default_rng(0)
    n_trials = n_sessions * trials
    # Images of both kinds in every session; 12 images over the trials.
    order = np.concatenate([rng.permutation(12) for _ in range(n_trials // 12 + 1)])[:n_trials]
    ids = np.stack([[90, 5, 33, 61, *range(40, 48)], [90, 5, 33, 61, *range(70, 78)]])
    return Design(order, np.full(n_sessions, trials), ids, 4, "small design")


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def write_betas_nifti(path: Path, betas: np.ndarray, dtype: str = "<i2") -> Path:
    """Betas (X, Y, Z, trials) as NSD has them: a slope of 0, which means no scaling."""
    header = nib.Nifti1Header(endianness=dtype[0])
    image = nib.Nifti1Image(betas.astype(dtype), None, header=header)
    image.header.set_data_dtype(dtype)
    image.header.set_slope_inter(1, 0)
    image.set_qform(None, code=0)
    image.set_sform(AFFINE, code=1)
    image.header.set_zooms((1.8, 1.8, 1.8, 4 / 3))
    content = bytearray(image.to_bytes())
    content[SLOPE] = bytes(4)  # nibabel writes 1
    path.write_bytes(gzip.compress(content, compresslevel=1))
    return path


def write_betas_hdf5(path: Path, betas: np.ndarray, dtype: str = "<i2") -> Path:
    """Betas (X, Y, Z, trials) as MATLAB writes them: axes reversed, a chunk a voxel."""
    with h5py.File(path, "w", libver="earliest") as file:
        chunks = (betas.shape[3], 1, 1, 1)
        file.create_dataset("betas", data=betas.T.astype(dtype), chunks=chunks)
    return path


def broken_png() -> bytes:
    """The bytes of a PNG file whose picture is followed by what is no chunk."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(stream, "png")
    head, name, rest = stream.getvalue().partition(b"IDAT")
    return head[:-4] + (10).to_bytes(4, "big") + name + rest


def truncate(path: Path, share: float) -> Path:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
