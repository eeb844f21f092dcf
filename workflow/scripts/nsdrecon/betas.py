"""Betas: from the volumes of single sessions to one mean response an image.

A session's voxels are stored as they are in NSD (int16, percent signal change x 300). Means over
repeats are made block of voxels by block of voxels, so that memory grows neither with the number of
sessions nor with the number of images.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse

from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.nsd import SPLITS, split_ids
from nsdrecon.store import ID, create_h5, dataset, open_h5
from nsdrecon.volumes import Voxels, read_map, read_mask, read_session

logger = logging.getLogger(__name__)

UNITS_PER_PERCENT = 300  # stored int16 = percent signal change x 300 (NSD data manual)
_STORED_UNITS = "percent signal change x 300"
_CHUNK_VOXELS = 64
_BLOCK_VOXELS = 256  # 57 MB of float64 for 27,750 trials
_CHUNK_ROWS = 2048


def extract_session(
    betas_path: str | Path,
    mask_path: str | Path,
    trials: pd.DataFrame,
    subject: str,
    session: int,
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
        Trial table of the subject (`nsdrecon.nsd.trial_table`).
    subject, session
        Whose betas these are; the session is 1-based.
    output
        HDF5 file, written all or nothing.

    Raises
    ------
    InputError
        If a file is damaged, mask and betas differ in shape, or the session has another number of
        trials than the table.
    """
    rows = _trials_of(trials, session, betas_path)
    voxels = read_mask(mask_path)
    betas = read_session(betas_path, voxels, n_trials=len(rows))
    with create_h5(output) as file:
        chunks = (len(rows), min(_CHUNK_VOXELS, len(voxels)))
        file.create_dataset("betas", data=betas, chunks=chunks)
        file.create_dataset(ID, data=rows["nsd_id"].to_numpy(dtype=np.int64))
        file.create_dataset("trial", data=rows["trial"].to_numpy(dtype=np.int64))
        voxels.write(file)
        file.attrs.update(subject=subject, session=session, units=_STORED_UNITS)
    logger.info(
        "%s session %d: %d trials, %d voxels, range %.1f to %.1f %%",
        subject,
        session,
        *betas.shape,
        betas.min() / UNITS_PER_PERCENT,
        betas.max() / UNITS_PER_PERCENT,
    )


def average_repeats(
    sessions: Mapping[int, str | Path],
    trials: pd.DataFrame,
    subject: str,
    outputs: Mapping[str, str | Path],
    *,
    session_zscore: bool = False,
    ncsnr_path: str | Path | None = None,
    ncsnr_threshold: float = 0.0,
) -> None:
    """Mean response of each image over its available repeats, for both splits.

    The outputs hold ``nsd_id`` (n,) ascending, ``betas`` (n, n_voxels) float32, ``repeats`` (n,),
    ``voxel`` and ``affine``; that of the test images also the single trials: ``trial_betas``
    (n_trials, n_voxels) float32, ``trial_nsd_id`` and ``trial`` (n_trials,).

    Both splits have the same voxels. Left out are those that do not vary in some session (in NSD:
    volume edges that a session missed) and, on request, those with a low ncsnr; how many is logged
    and stored. Which voxels these are depends on no image and no split.

    Parameters
    ----------
    sessions
        Session number to its file from `extract_session`: the sessions of the trial table.
    trials
        Trial table of the subject.
    subject
        Whose betas these are.
    outputs
        ``{"train": path, "test": path}``, HDF5 files, written all or nothing.
    session_zscore
        Give each voxel mean 0 and standard deviation 1 over the trials of each session (as in
        MindEye2) instead of percent signal change (as in Brain-Diffuser).
    ncsnr_path, ncsnr_threshold
        Map of the noise ceiling's signal-to-noise ratio; voxels below the threshold, or without a
        value, are left out.

    Raises
    ------
    InputError
        If a session's file is missing, damaged or does not fit the trial table or the other
        sessions, if a split has no image, or if no voxel is left.
    """
    numbers = sorted(sessions)
    _require_trials(trials, numbers, subject)
    trials = trials.sort_values(["session", "trial"])
    with ExitStack() as stack:
        files = [stack.enter_context(open_h5(sessions[number])) for number in numbers]
        voxels = _common_voxels(files, numbers, trials, subject)
        ncsnr = None if ncsnr_path is None else read_map(ncsnr_path, voxels)
        excluded = _excluded_voxels(files, ncsnr, ncsnr_threshold)
        kept = np.flatnonzero(~np.any(list(excluded.values()), axis=0))
        counts = {f"excluded_{reason}": int(flags.sum()) for reason, flags in excluded.items()}
        logger.info("%s: %d of %d voxels used; %s", subject, len(kept), len(voxels), counts)
        if len(kept) == 0:
            raise InputError(
                f"betas of {subject}", found=f"no usable voxel ({counts})", expected="at least one"
            )
        attributes = {
            "subject": subject,
            "sessions": numbers,
            "units": "z-score over each session" if session_zscore else "percent signal change",
            "voxels_in_mask": len(voxels),
            **counts,
            **({} if ncsnr is None else {"ncsnr_threshold": ncsnr_threshold}),
        }
        writers = []
        for split in SPLITS:
            file = stack.enter_context(create_h5(outputs[split]))
            voxels.subset(kept).write(file)
            file.attrs.update(attributes, split=split)
            writers.append(_MeanWriter(file, trials, split, len(kept)))
        starts = range(0, len(kept), _BLOCK_VOXELS)
        for start in progress(starts, description=f"{subject} means over repeats", unit="block"):
            block = kept[start : start + _BLOCK_VOXELS]
            betas = _read_block(files, block, len(trials), session_zscore)
            for writer in writers:
                writer.write(betas, start)


class _MeanWriter:
    """Writes the responses of one split, block of voxels by block of voxels."""

    def __init__(self, file: h5py.File, trials: pd.DataFrame, split: str, n_voxels: int) -> None:
        """Create the datasets; ``trials`` has the rows of the blocks to come."""
        self.rows = np.flatnonzero(trials["split"] == split)
        nsd_id = split_ids(trials, split)
        trial_ids = trials[ID].to_numpy(dtype=np.int64)[self.rows]
        image = np.searchsorted(nsd_id, trial_ids)
        self.repeats = np.bincount(image, minlength=len(nsd_id))
        # (images x trials), 1 where the trial shows the image: times betas it sums over repeats.
        self.shown = scipy.sparse.csr_array(
            (np.ones(len(image)), (image, self.rows)), shape=(len(nsd_id), len(trials))
        )
        file.create_dataset(ID, data=nsd_id)
        file.create_dataset("repeats", data=self.repeats)
        self.means = _create_blocked(file, "betas", len(nsd_id), n_voxels)
        self.single_trials = None
        if split == "test":
            file.create_dataset("trial_nsd_id", data=trial_ids)
            trial = trials["trial"].to_numpy(dtype=np.int64)[self.rows]
            file.create_dataset("trial", data=trial)
            self.single_trials = _create_blocked(file, "trial_betas", len(trial), n_voxels)
        logger.info(
            "%s: %d images in %d trials (%s)",
            split,
            len(nsd_id),
            len(trial_ids),
            ", ".join(f"{(self.repeats == n).sum()} shown {n}x" for n in np.unique(self.repeats)),
        )

    def write(self, betas: np.ndarray, start: int) -> None:
        """Write one block, ``betas`` (all trials, voxels of the block), from voxel ``start``."""
        columns = np.s_[:, start : start + betas.shape[1]]
        self.means[columns] = (self.shown @ betas) / self.repeats[:, None]
        if self.single_trials is not None:
            self.single_trials[columns] = betas[self.rows]


def _create_blocked(file: h5py.File, name: str, n_rows: int, n_voxels: int) -> h5py.Dataset:
    chunks = (min(_CHUNK_ROWS, n_rows), min(_BLOCK_VOXELS, n_voxels))
    return file.create_dataset(name, (n_rows, n_voxels), dtype=np.float32, chunks=chunks)


def _read_block(
    files: Sequence[h5py.File], block: np.ndarray, n_trials: int, zscore: bool
) -> np.ndarray:
    """Some voxels (ascending) in the trials of all sessions: (n_trials, n_block) float64."""
    betas = np.empty((n_trials, len(block)))
    first, last = block[0], block[-1]
    row = 0
    for file in files:
        stored = file["betas"][:, first : last + 1][:, block - first]
        betas[row : row + len(stored)] = _scaled(stored, zscore)
        row += len(stored)
    return betas


def _scaled(stored: np.ndarray, zscore: bool) -> np.ndarray:
    """One session's stored betas as z-scores or in percent signal change, float64."""
    if not zscore:
        return stored / UNITS_PER_PERCENT
    return (stored - stored.mean(axis=0)) / stored.std(axis=0)


def _excluded_voxels(
    files: Sequence[h5py.File], ncsnr: np.ndarray | None, threshold: float
) -> dict[str, np.ndarray]:
    """Why voxels cannot be used: reason to flags (n_voxels,); a voxel has one reason at most.

    Stored betas are integers, so they are finite; they also vary within each session for all that
    is left, so that z-scores are finite.
    """
    lows = []
    highs = []
    for file in files:
        betas = file["betas"][()]
        lows.append(betas.min(axis=0))
        highs.append(betas.max(axis=0))
    lows, highs = np.array(lows), np.array(highs)
    still = lows == highs  # (n_sessions, n_voxels): no variation in a session
    excluded = {
        "constant": lows.min(axis=0) == highs.max(axis=0),
        "zero_in_a_session": (still & (lows == 0)).any(axis=0),
        "constant_in_a_session": still.any(axis=0),
    }
    if ncsnr is not None:
        excluded["low_ncsnr"] = ~(ncsnr >= threshold)  # also where it is not a number
    counted = np.zeros(lows.shape[1], dtype=bool)
    for flags in excluded.values():
        flags &= ~counted
        counted |= flags
    return excluded


def _require_trials(trials: pd.DataFrame, numbers: Sequence[int], subject: str) -> None:
    """Check that the trial table has just these sessions, and images of both splits."""
    source = f"trial table of {subject}"
    found = sorted(set(trials["session"]))
    if found != list(numbers):
        raise InputError(source, found=f"sessions {found}", expected=f"sessions {list(numbers)}")
    for split in SPLITS:
        if not (trials["split"] == split).any():
            raise InputError(source, found=f"no {split} image", expected="at least one")


def _common_voxels(
    files: Sequence[h5py.File], numbers: Sequence[int], trials: pd.DataFrame, subject: str
) -> Voxels:
    """The voxels that all sessions share; checks that each file is what it should be."""
    first = Voxels.of(files[0])
    for file, number in zip(files, numbers, strict=True):
        label = (file.attrs.get("subject"), file.attrs.get("session"))
        if label != (subject, number):
            raise InputError(
                file.filename,
                found=f"subject {label[0]}, session {label[1]}",
                expected=f"{subject}, session {number}",
            )
        rows = _trials_of(trials, number, file.filename)
        for name in (ID, "trial"):
            if not np.array_equal(dataset(file, name)[()], rows[name]):
                raise InputError(
                    file.filename,
                    found=f"other {name} than in the trial table",
                    expected="the same trials in the same order",
                    remedy="Extract the session again.",
                )
        if not Voxels.of(file).same_as(first):
            raise InputError(
                file.filename, found="other voxels", expected=f"those of {first.source}"
            )
        shape = dataset(file, "betas").shape
        if shape != (len(rows), len(first)):
            raise InputError(
                file.filename, found=f"betas of shape {shape}", expected=(len(rows), len(first))
            )
    return first


def _trials_of(trials: pd.DataFrame, session: int, source: str | Path) -> pd.DataFrame:
    rows = trials[trials["session"] == session].sort_values("trial")
    if rows.empty:
        raise InputError(
            source, found=f"no trial of session {session} in the trial table", expected="some"
        )
    return rows
