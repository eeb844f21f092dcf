"""What was shown when in the Natural Scenes Dataset: its design, its stimuli, trial tables.

Allen et al. (2022), Nature Neuroscience 25, 116-126; file contents as in the NSD data manual.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io

from nsdrecon.errors import InputError, listing
from nsdrecon.layout import subject_number
from nsdrecon.store import read_table

TRIAL_COLUMNS = ("session", "trial", "nsd_id", "shared", "split", "repeat")
SPLITS = ("train", "test")
FURTHER = "test-"  # so begins the split of a further test set

_DESIGN_VARIABLES = ("masterordering", "subjectim", "sharedix", "stimpattern")
_STIMULUS_COLUMNS = {
    "nsdId": "nsd_id",
    "cocoId": "coco_id",
    "cocoSplit": "coco_split",
    "shared1000": "shared",
}


@dataclass(frozen=True)
class Design:
    """What was shown when: the content of ``nsd_expdesign.mat``, counted from 0.

    All subjects follow one ordering of image numbers (the "10k-ID"); which stimulus a number stands
    for depends on the subject, except for the first ``n_shared`` numbers.

    Attributes
    ----------
    image_of_trial
        (n_trials,) image number of each trial, in chronological order.
    trials_per_session
        (n_sessions,) how many of the trials each session has (750 in NSD).
    nsd_id
        (n_subjects, n_images) stimulus of each image number.
    n_shared
        How many images are shown to all subjects.
    source
        The file it was read from, for error messages.
    """

    image_of_trial: np.ndarray
    trials_per_session: np.ndarray
    nsd_id: np.ndarray
    n_shared: int
    source: str


def read_design(path: str | Path) -> Design:
    """Read ``nsd_expdesign.mat``.

    Trials per session come from ``stimpattern`` (sessions x runs x trial slots; 1 where a stimulus
    was shown): nothing else in the file says where one session ends.

    Raises
    ------
    InputError
        If the file is missing, damaged or lacks a variable, or its variables contradict each other.
    """
    raw = load_mat(path, _DESIGN_VARIABLES)
    # The file stores small unsigned integers: widen them before counting from 0.
    ordering = raw["masterordering"].astype(np.int64).ravel() - 1
    nsd_id = raw["subjectim"].astype(np.int64) - 1
    shared = raw["sharedix"].astype(np.int64).ravel() - 1
    pattern = raw["stimpattern"].astype(np.int64)
    trials_per_session = pattern.reshape(len(pattern), -1).sum(axis=1)

    def require(holds: bool, found: str, expected: str) -> None:
        if not holds:
            raise InputError(path, found=found, expected=expected)

    require(
        trials_per_session.sum() == len(ordering),
        f"{trials_per_session.sum()} stimuli in 'stimpattern' and {len(ordering)} trials in "
        "'masterordering'",
        "the same number",
    )
    require(
        nsd_id.ndim == 2 and nsd_id.shape[1] >= len(shared),
        f"'subjectim' of shape {nsd_id.shape}",
        f"subjects x images, with the {len(shared)} shared images first",
    )
    require(
        len(ordering) > 0 and ordering.min() >= 0 and ordering.max() < nsd_id.shape[1],
        "a 'masterordering' that is empty or goes beyond the images",
        f"image numbers from 1 to {nsd_id.shape[1]}",
    )
    require(nsd_id.min() >= 0, "an id below 1 in 'subjectim'", "ids from 1")
    for row, ids in enumerate(nsd_id, start=1):
        require(
            len(np.unique(ids)) == len(ids),
            f"an image with two numbers for subject {row} in 'subjectim'",
            "each image once a subject",
        )
        require(
            np.array_equal(np.sort(ids[: len(shared)]), np.sort(shared)),
            f"first columns of 'subjectim' of subject {row} that differ from 'sharedix'",
            f"the {len(shared)} shared images first",
        )
    return Design(ordering, trials_per_session, nsd_id, len(shared), str(path))


def load_mat(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Variables of a MATLAB file, which are numbers.

    Raises
    ------
    InputError
        If the file is missing, damaged or lacks one.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a MATLAB file")
    try:
        raw = scipy.io.loadmat(path, variable_names=list(names))
    except (
        scipy.io.matlab.MatReadError,
        zlib.error,
        NotImplementedError,  # MATLAB's HDF5-based format
        OSError,
        ValueError,
        TypeError,
        IndexError,
    ) as error:
        raise InputError(
            path, found=f"data that do not load ({error})", expected="a complete MATLAB file"
        ) from error
    missing = [name for name in names if name not in raw]
    if missing:
        raise InputError(path, found=f"no variable {listing(missing)}", expected=listing(names, 10))
    strange = [name for name in names if raw[name].dtype.kind not in "biuf"]
    if strange:
        raise InputError(path, found=f"variable {listing(strange)}", expected="numbers")
    return raw


def trial_table(design: Design, subject: str, sessions: Sequence[int]) -> pd.DataFrame:
    """The trials of a subject's sessions, one row a trial in chronological order.

    Shared images make the test set: nobody's training images are among them.

    Returns
    -------
    DataFrame with columns ``session`` (1-based), ``trial`` (0-based over the whole experiment),
    ``nsd_id`` (0-based), ``shared`` (0 or 1), ``split`` (train or test) and ``repeat`` (1-based
    occurrence of the image among these trials).

    Raises
    ------
    InputError
        If the design has no such subject or session.
    """
    row = subject_number(subject) - 1
    if row >= len(design.nsd_id):
        raise InputError(
            design.source, found=f"{len(design.nsd_id)} subjects", expected=f"also {subject}"
        )
    n_sessions = len(design.trials_per_session)
    beyond = [session for session in sessions if not 1 <= session <= n_sessions]
    if beyond:
        raise InputError(
            design.source,
            found=f"{n_sessions} sessions",
            expected=f"also session {listing(beyond)}",
        )
    session = np.repeat(np.arange(1, n_sessions + 1), design.trials_per_session)
    trial = np.flatnonzero(np.isin(session, list(sessions)))
    image = design.image_of_trial[trial]
    shared = image < design.n_shared
    table = pd.DataFrame(
        {
            "session": session[trial],
            "trial": trial,
            "nsd_id": design.nsd_id[row, image],
            "shared": shared.astype(np.int64),
            "split": np.where(shared, "test", "train"),
        }
    )
    table["repeat"] = table.groupby("nsd_id").cumcount() + 1
    return table


def require_repeats(trials: pd.DataFrame, n_repeats: int) -> None:
    """Stop unless a test image was shown often enough for scores against the number of repeats.

    Raises
    ------
    InputError
        If no test image was shown ``n_repeats`` times in these trials.
    """
    most = trials.loc[trials["split"] == "test", "repeat"].max()
    if not most >= n_repeats:
        raise InputError(
            "evaluation.repeats",
            found=f"sessions {listing(trials['session'].unique(), 40)}, in which no test image was "
            f"shown {n_repeats} times",
            expected=f"test images with {n_repeats} repeats",
            remedy="Use more sessions (`sessions` in the section of the data set), or set "
            "evaluation.repeats: [].",
        )


def read_trials(path: str | Path) -> pd.DataFrame:
    """Read a trial table that `trial_table` made.

    Raises
    ------
    InputError
        If the file is missing, lacks a column, names a split that does not exist, or marks a trial
        of a shared image for training or another one for testing.
    """
    table = read_table(path, TRIAL_COLUMNS)
    strange = sorted(set(table["split"]) - set(SPLITS))
    strange = [split for split in strange if not split.startswith(FURTHER)]
    if strange:
        raise InputError(path, found=f"split {listing(strange)}", expected=" or ".join(SPLITS))
    wrong = table["trial"][(table["split"] == "train") == (table["shared"] == 1)]
    if len(wrong):
        raise InputError(
            path,
            found=f"trials {listing(wrong)} whose split is not that of their image",
            expected="test for shared images, train for all others",
        )
    return table


def require_design(trials: pd.DataFrame, design: Design, subject: str) -> None:
    """Check that a trial table is what the design of the experiment says.

    Raises
    ------
    InputError
        If a trial differs; it is named.
    """
    expected = trial_table(design, subject, sorted(set(trials["session"])))
    found = trials[list(TRIAL_COLUMNS)].sort_values("trial", ignore_index=True)
    if len(found) != len(expected):
        raise InputError(
            f"trial table of {subject}",
            found=f"{len(found)} trials",
            expected=f"{len(expected)} by {design.source}",
        )
    wrong = expected["trial"][(found != expected).any(axis=1)]
    if len(wrong):
        raise InputError(
            f"trial table of {subject}",
            found=f"other images, splits or repeats of trials {listing(wrong)}",
            expected=f"those of {design.source}",
            remedy="Make the table again.",
        )


def require_same_shared(
    nsd_id: np.ndarray, shared: np.ndarray | bool, stimuli: pd.DataFrame, source: str | Path
) -> None:
    """Check that the table of stimuli means the same images by shared as the design does.

    Parameters
    ----------
    nsd_id
        Images, shape (n,).
    shared
        Whether they are shared by the design, shape (n,), or all of them or none.
    stimuli
        Table of stimuli, read from ``source``.

    Raises
    ------
    InputError
        If an image is shared in one of them alone; it is named.
    """
    beyond = nsd_id[nsd_id >= len(stimuli)]
    if len(beyond):
        raise InputError(
            source, found=f"{len(stimuli)} stimuli", expected=f"also nsd_id {listing(beyond)}"
        )
    differ = nsd_id[stimuli["shared"].to_numpy()[nsd_id] != shared]
    if len(differ):
        raise InputError(
            source,
            found=f"another 'shared1000' of nsd_id {listing(np.unique(differ))}",
            expected="the shared images of the experiment's design",
            remedy="Use table and design of the same release.",
        )


def split_ids(trials: pd.DataFrame, split: str) -> np.ndarray:
    """The images of a split, each once, sorted by ``nsd_id``: shape (n_images,), int64."""
    return np.unique(trials.loc[trials["split"] == split, "nsd_id"].to_numpy(dtype=np.int64))


def read_stimulus_table(path: str | Path) -> pd.DataFrame:
    """Read ``nsd_stim_info_merged.csv``: a row a stimulus, in the order of the stimulus file.

    Returns
    -------
    DataFrame with columns ``nsd_id``, ``coco_id``, ``coco_split`` (train2017 or val2017) and
    ``shared`` (bool).

    Raises
    ------
    InputError
        If the file is missing or damaged, lacks a column, or its rows are not stimuli 0, 1, 2, ...
    """
    table = read_table(path, list(_STIMULUS_COLUMNS), sep=",")
    table = table[list(_STIMULUS_COLUMNS)].rename(columns=_STIMULUS_COLUMNS)
    if not np.array_equal(table["nsd_id"], np.arange(len(table))):
        raise InputError(
            path, found="an 'nsdId' that is not its row", expected="rows 0, 1, 2, ... in order"
        )
    return table.astype({"shared": bool})
