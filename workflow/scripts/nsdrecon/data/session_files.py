"""The responses of single sessions at the voxels that are used, as their data set stores them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from nsdrecon.data.volumes import Voxels, read_mask, read_session
from nsdrecon.errors import InputError
from nsdrecon.store import ID, create_h5

logger = logging.getLogger(__name__)

NSD_UNITS = "percent signal change x 300"  # of the stored int16 (NSD data manual)
_SCALED = re.compile(r"(.+) x ([\d.]+)")
_CHUNK_VOXELS = 64


def extract_session(
    betas_path: str | Path,
    mask_path: str | Path,
    trials: pd.DataFrame,
    subject: str,
    session: int | str,
    output: str | Path,
) -> None:
    """Cut the mask's voxels out of one session and store them with the images that were shown.

    The output holds ``betas`` (n_trials, n_voxels) int16 as stored in NSD, ``nsd_id`` and ``trial``
    (n_trials,), ``voxel`` (n_voxels, 3) and ``affine`` (4, 4). A row is a trial: ids repeat.

    Parameters
    ----------
    betas_path
        Betas of the session, ``.nii.gz`` or ``.hdf5``.
    mask_path
        Volume whose values above 0 mark the voxels.
    trials
        Trial table of the subject (`nsdrecon.data.nsd.trial_table`).
    subject, session
        Whose betas these are; the session is 1-based, or another experiment by its name.
    output
        HDF5 file, written all or nothing.

    Raises
    ------
    InputError
        If a file is damaged, mask and betas differ in shape, or the session has another number of
        trials than the table.
    """
    voxels = read_mask(mask_path)
    betas = read_session(betas_path, voxels, n_trials=len(trials_of(trials, session, betas_path)))
    store_session(betas, voxels, trials, subject, session, output)


def store_session(
    betas: np.ndarray,
    voxels: Voxels,
    trials: pd.DataFrame,
    subject: str,
    session: int | str,
    output: str | Path,
    units: str = NSD_UNITS,
) -> None:
    """Store one session's betas as `extract_session` does.

    Parameters
    ----------
    betas
        Shape (n_trials, n_voxels), as stored in the data set: int16 in NSD.
    voxels
        Where they are.
    trials, subject, session, output
        As for `extract_session`.
    units
        Of the stored numbers; ``x 300`` at the end says what they have to be divided by.

    Raises
    ------
    InputError
        If the session is not in the trial table.
    """
    rows = trials_of(trials, session, output)
    with create_h5(output) as file:
        chunks = (len(rows), min(_CHUNK_VOXELS, len(voxels)))
        file.create_dataset("betas", data=betas, chunks=chunks)
        file.create_dataset(ID, data=rows["nsd_id"].to_numpy(dtype=np.int64))
        file.create_dataset("trial", data=rows["trial"].to_numpy(dtype=np.int64))
        voxels.write(file)
        file.attrs.update(subject=subject, session=session, units=units)
    units, scale = divided_by(units)
    logger.info(
        "%s session %s: %d trials, %d voxels, range %.1f to %.1f (%s)",
        *(subject, session, *betas.shape, betas.min() / scale, betas.max() / scale, units),
    )


def divided_by(units: str) -> tuple[str, float]:
    """Units of responses, and what stored numbers are divided by to be in them."""
    scaled = _SCALED.fullmatch(units)
    return (scaled[1], float(scaled[2])) if scaled else (units, 1.0)


@dataclass(frozen=True)
class Session:
    """An open file of `extract_session`, and by which of its trials it is standardised."""

    file: h5py.File
    training: np.ndarray  # (n_trials,) bool

    @property
    def units(self) -> str:
        """Of the responses; stored numbers may have to be divided to be in them."""
        return divided_by(self.file.attrs["units"])[0]

    @property
    def scale(self) -> float:
        """What stored numbers are divided by."""
        return divided_by(self.file.attrs["units"])[1]


def read_block(sessions: Sequence[Session], block: np.ndarray, zscore: bool) -> np.ndarray:
    """Some voxels (ascending) in the trials of all sessions: (n_trials, n_block) float64.

    In the sessions' units, or as z-scores over the training trials of each session.
    """
    betas = np.empty((sum(len(session.training) for session in sessions), len(block)))
    first, last = block[0], block[-1]
    row = 0
    for session in sessions:
        stored = session.file["betas"][:, first : last + 1][:, block - first]
        if stored.dtype.kind == "f":
            stored = stored.astype(np.float64)
        betas[row : row + len(stored)] = (
            _zscored(stored, session.training) if zscore else stored / session.scale
        )
        row += len(stored)
    return betas


def _zscored(stored: np.ndarray, training: np.ndarray) -> np.ndarray:
    """One session's betas with mean 0 and standard deviation 1 over its training trials."""
    reference = stored[training]
    return (stored - reference.mean(axis=0)) / reference.std(axis=0)


def trials_of(trials: pd.DataFrame, session: int | str, source: str | Path) -> pd.DataFrame:
    """The rows of a session, in the order of its trials.

    Raises
    ------
    InputError
        If there are none.
    """
    rows = trials[trials["session"] == session].sort_values("trial")
    if rows.empty:
        raise InputError(
            source, found=f"no trial of session {session} in the trial table", expected="some"
        )
    return rows
