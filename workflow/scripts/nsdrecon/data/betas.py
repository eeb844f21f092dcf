"""Betas: from the volumes of single sessions to one mean response an image.

A session's voxels are stored as they are in its data set, in NSD as int16, percent signal change
x 300. Means over repeats are made block of voxels by block of voxels, so that memory grows neither
with the number of sessions nor with the number of images.

Which voxels are used, and the mean and spread they are standardised by, come from training trials
alone: whatever the test trials are, the training responses are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse

from nsdrecon.checked_files import OF_ITSELF
from nsdrecon.data.noise_ceiling import training_ncsnr
from nsdrecon.data.nsd import split_ids
from nsdrecon.data.session_files import Session, read_block, trials_of
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.store import ID, create_h5, dataset, open_h5

logger = logging.getLogger(__name__)

_ZSCORES = "z-score over the training trials of each session"
_BLOCK_VOXELS = 256  # 57 MB of float64 for 27,750 trials
_CHUNK_ROWS = 2048


def average_repeats(
    sessions: Mapping[int, str | Path],
    trials: pd.DataFrame,
    subject: str,
    outputs: Mapping[str, str | Path],
    *,
    session_zscore: bool = False,
    min_ncsnr: float | None = None,
    voxels_of: str | Path | None = None,
) -> None:
    """Mean response of each image over its available repeats, for some splits or all.

    The outputs hold ``nsd_id`` (n,) ascending, ``betas`` (n, n_voxels) float32, ``repeats`` (n,),
    ``voxel`` and ``affine``; those of test images also the single trials: ``trial_betas``
    (n_trials, n_voxels) float32, ``trial_nsd_id`` and ``trial`` (n_trials,).

    All splits have the same voxels. Left out are those that are not finite in some training trial
    or do not vary over the training trials of some session (in NSD: volume edges that a session
    missed) and, on request, those with a low ncsnr; how many is logged and stored. No test trial
    has a say in it.

    Parameters
    ----------
    sessions
        Session number to its file from `extract_session`: the sessions of the trial table.
    trials
        Trial table of the subject.
    subject
        Whose betas these are.
    outputs
        Split to its HDF5 file, written all or nothing: ``train``, ``test`` and further test sets,
        or some of them.
    session_zscore
        Give each voxel mean 0 and standard deviation 1 over the training trials of each session (as
        in MindEye2, but there over all trials) instead of percent signal change (as in
        Brain-Diffuser). Test trials are standardised by the same two numbers.
    min_ncsnr
        Leave out voxels whose noise-ceiling signal-to-noise ratio is below this. It is computed
        from the repeats of training images (`noise_ceiling.training_ncsnr`), so it is not that of
        NSD's ``ncsnr.nii.gz``, which test images are part of.
    voxels_of
        Such an output of more sessions: its voxels are used, and no others are left out.

    Raises
    ------
    InputError
        If a session's file is missing, damaged or does not fit the trial table or the other
        sessions, if a split has no image, an image is in two or a session has less than two
        training trials, if no training image is repeated and ``min_ncsnr`` is given, if a voxel is
        not finite in test trials alone, or if no voxel is left.
    """
    numbers = sorted(sessions)
    _require_trials(trials, numbers, subject, outputs)
    trials = trials.sort_values(["session", "trial"])
    with ExitStack() as stack:
        files = [stack.enter_context(open_h5(sessions[number])) for number in numbers]
        voxels = _common_voxels(files, numbers, trials, subject)
        opened = [
            Session(file, (trials.loc[trials["session"] == number, "split"] == "train").to_numpy())
            for file, number in zip(files, numbers, strict=True)
        ]
        (units,) = {session.units for session in opened}
        if voxels_of is None:
            excluded = _excluded_voxels(opened, trials, min_ncsnr, subject)
        else:
            excluded = {"elsewhere": _not_among(voxels, voxels_of)}
        kept = _voxels_left(excluded)
        counts = {f"excluded_{reason}": int(flags.sum()) for reason, flags in excluded.items()}
        logger.info("%s: %d of %d voxels used; %s", subject, len(kept), len(voxels), counts)
        if len(kept) == 0:
            raise InputError(
                f"betas of {subject}", found=f"no usable voxel ({counts})", expected="at least one"
            )
        attributes = {
            "subject": subject,
            "sessions": numbers,
            "units": _ZSCORES if session_zscore else units,
            "voxels_in_mask": len(voxels),
            **counts,
            **({} if min_ncsnr is None else {"min_ncsnr": min_ncsnr}),
        }
        writers = []
        for split, path in outputs.items():
            file = stack.enter_context(create_h5(path))
            voxels.subset(kept).write(file)
            file.attrs.update(attributes, split=split)
            writers.append(_MeanWriter(file, trials, split, len(kept)))
        starts = range(0, len(kept), _BLOCK_VOXELS)
        for start in progress(starts, description=f"{subject} means over repeats", unit="block"):
            block = kept[start : start + _BLOCK_VOXELS]
            betas = read_block(opened, block, session_zscore)
            for writer in writers:
                writer.write(betas, start)


def average_apart(
    session: str | Path,
    trials: pd.DataFrame,
    subject: str,
    split: str,
    output: str | Path,
    *,
    train: str | Path,
    standardised_by: Mapping[int, str | Path],
    training_trials: pd.DataFrame,
) -> None:
    """Mean response of each image of an experiment that has no training trials.

    The output is that of a further test set in `average_repeats`, at the voxels of the training
    responses. A voxel that does not vary in the experiment was not measured there: it has the mean
    of its training responses, which says nothing of an image; attribute ``unmeasured`` counts them.

    Parameters
    ----------
    session
        Of `nsdrecon.data.session_files.extract_session`.
    trials
        Of `nsdrecon.data.further_tests.further_trials`.
    subject, split, output
        As for `average_repeats`, of one split.
    train
        The training responses.
    standardised_by
        Sessions to their files, where responses are z-scores; else nothing. The experiment has no
        training trials to be standardised by: each voxel is, by the mean and the standard deviation
        that its training trials have in these sessions on average.
    training_trials
        Trial table of these sessions.

    Raises
    ------
    InputError
        If files do not belong together, or the experiment lacks a voxel.
    """
    with open_h5(session) as file, open_h5(train) as reference, create_h5(output) as made:
        label = (file.attrs.get("subject"), file.attrs.get("session"))
        same = np.array_equal(dataset(file, ID)[()], trials[ID])
        if label[0] != subject or not same:
            raise InputError(
                session,
                found=f"{label[1]} of {label[0]}{'' if same else ' with other images'}",
                expected=f"the trials of {subject} by the tables of the experiment",
                remedy="Remove it; it is then made again.",
            )
        voxels = Voxels.of(reference)
        kept = np.flatnonzero(~_not_among(Voxels.of(file), train))
        if len(kept) != len(voxels):
            raise InputError(
                session, found=f"{len(kept)} of the voxels", expected=f"{len(voxels)} as in {train}"
            )
        opened = Session(file, np.ones(len(trials), dtype=bool))
        betas = read_block([opened], kept, zscore=False)
        unmeasured = (betas == betas[0]).all(axis=0)
        if standardised_by:
            mean, spread = _training_statistics(standardised_by, training_trials, kept)
            betas = (betas - mean) / spread
        trained = dataset(reference, "betas")
        for start in range(0, len(kept), _BLOCK_VOXELS):
            block = np.s_[start : start + _BLOCK_VOXELS]
            if (missed := unmeasured[block]).any():
                betas[:, block][:, missed] = trained[:, block][:, missed].mean(axis=0)
        logger.info("%s %s: %d voxels not measured", subject, split, unmeasured.sum())
        voxels.write(made)
        about = {key: of for key, of in reference.attrs.items() if key not in OF_ITSELF}
        about |= {"split": split, "sessions": label[1], "unmeasured": int(unmeasured.sum())}
        made.attrs.update(about)
        _MeanWriter(made, trials, split, len(kept)).write(betas, 0)


def _training_statistics(
    sessions: Mapping[int, str | Path], trials: pd.DataFrame, voxels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of training trials, averaged over sessions: (n_voxels,) each."""
    means, spreads = [], []
    for number, path in sessions.items():
        with open_h5(path) as file:
            rows = trials_of(trials, number, path)
            session = Session(file, (rows["split"] == "train").to_numpy())
            betas = read_block([session], voxels, zscore=False)[session.training]
            means.append(betas.mean(axis=0))
            spreads.append(betas.std(axis=0))
    return np.mean(means, axis=0), np.mean(spreads, axis=0)


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
        if split != "train":
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


def _not_among(voxels: Voxels, path: str | Path) -> np.ndarray:
    """Voxels that a file of responses does not have, (n_voxels,)."""
    with open_h5(path) as file:
        wanted = Voxels.of(file)
    one, other = (np.ravel_multi_index(part.index.T, part.shape) for part in (voxels, wanted))
    return ~np.isin(one, other)


def _excluded_voxels(
    sessions: Sequence[Session], trials: pd.DataFrame, min_ncsnr: float | None, subject: str
) -> dict[str, np.ndarray]:
    """Why voxels are left out: reason to flags (n_voxels,); a voxel has one reason at most."""
    excluded = _silent_voxels(sessions)
    if min_ncsnr is not None:
        voxels = _voxels_left(excluded)
        excluded["low_ncsnr"] = np.zeros_like(excluded["constant"])
        excluded["low_ncsnr"][voxels] = (
            training_ncsnr(sessions, trials, voxels, subject) < min_ncsnr
        )
    return excluded


def _voxels_left(excluded: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.flatnonzero(~np.any(list(excluded.values()), axis=0))


def _silent_voxels(sessions: Sequence[Session]) -> dict[str, np.ndarray]:
    """Voxels that do not vary or are not finite, as in `_excluded_voxels`.

    What is left is finite and varies over the training trials of each session, so that z-scores are
    finite, those of test trials too.
    """
    lows, highs, unknown = [], [], []
    for session in sessions:
        betas = session.file["betas"][()]
        if betas.dtype.kind == "f":
            unknown.append(_not_finite(betas, session))
        betas = betas[session.training]
        lows.append(betas.min(axis=0))
        highs.append(betas.max(axis=0))
    lows, highs = np.array(lows), np.array(highs)
    still = lows == highs  # (n_sessions, n_voxels): no variation in a session
    excluded = {"not_finite": np.any(unknown, axis=0)} if unknown else {}
    excluded |= {
        "constant": lows.min(axis=0) == highs.max(axis=0),
        "zero_in_a_session": (still & (lows == 0)).any(axis=0),
        "constant_in_a_session": still.any(axis=0),
    }
    counted = np.zeros(lows.shape[1], dtype=bool)
    for flags in excluded.values():
        flags &= ~counted
        counted |= flags
    return excluded


def _not_finite(betas: np.ndarray, session: Session) -> np.ndarray:
    """Voxels with a value of some training trial that is not finite: (n_voxels,) bool."""
    finite = np.isfinite(betas)
    in_training = ~finite[session.training].all(axis=0)
    in_test_alone = ~finite.all(axis=0) & ~in_training
    if in_test_alone.any():
        raise InputError(
            session.file.filename,
            found=f"{in_test_alone.sum()} voxels that are not finite in test trials alone",
            expected="finite responses to test images where those to training images are",
            remedy="Leave these voxels out of the mask.",
        )
    return in_training


def _require_trials(
    trials: pd.DataFrame, numbers: Sequence[int], subject: str, splits: Iterable[str]
) -> None:
    """Check that the trial table has just these sessions, and trials enough for all splits."""
    source = f"trial table of {subject}"
    found = sorted(set(trials["session"]))
    if found != list(numbers):
        raise InputError(source, found=f"sessions {found}", expected=f"sessions {list(numbers)}")
    for split in splits:
        if not (trials["split"] == split).any():
            raise InputError(source, found=f"no {split} image", expected="at least one")
    counts = trials.groupby(ID)["split"].nunique()
    several = counts.index[counts > 1]
    if len(several):
        raise InputError(
            source, found=f"nsd_id {listing(several)} in two splits", expected="each image in one"
        )
    training = (trials["split"] == "train").groupby(trials["session"]).sum()
    few = training.index[training < 2]
    if len(few):
        raise InputError(
            source,
            found=f"less than two training trials in session {listing(few)}",
            expected="two or more: they say which voxels can be used",
            remedy="Leave the session out of the sessions that are used.",
        )


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
        rows = trials_of(trials, number, file.filename)
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
