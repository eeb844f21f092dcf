"""What is found in a data set that the user brought: counts, repeats, voxels, and wrong orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nsdrecon.data.contract import contract_trials, require_captions
from nsdrecon.data.nsd import FURTHER, SPLITS
from nsdrecon.data.pictures import Pictures
from nsdrecon.data.prepared import Prepared
from nsdrecon.data.session_files import divided_by
from nsdrecon.data.volumes import read_map
from nsdrecon.doctor.findings import Finding, Result, examined
from nsdrecon.errors import InputError

# Voxels that are compared between trials: spread over the mask, and enough to know a pattern by.
_COMPARED = 1000
# Pairs of trials that tell whether repeats of an image resemble each other, and by how many
# standard errors they must do so more than trials of different images.
_FEWEST_PAIRS, _STANDARD_ERRORS = 10, 3.0


class Captions(NamedTuple):
    """Captions by picture, and where they come from."""

    source: str
    texts: dict[int, list[str]]


def of_all(
    open_pictures: Callable[[str], Pictures],
    read_captions: Callable[[str, Pictures], dict[int, list[str]]],
    path: str,
    captions: str | None,
    shared: list[tuple[Pictures, Captions | None]],
) -> Iterator[Finding]:
    """What all subjects share.

    Parameters
    ----------
    open_pictures, read_captions
        What reads them.
    path
        File or folder of pictures.
    captions
        Table of captions; None if the run needs none.
    shared
        Gets what is found: the pictures, and their captions if the run needs any.

    Raises
    ------
    InputError
        If they are not what they should be.
    """
    found = open_pictures(path)
    yield Finding("pictures", Result.OK, f"{path}: {found.n} pictures")
    if captions is None:
        shared.append((found, None))
        yield Finding("captions", Result.SKIPPED, "this run needs none")
    else:
        texts = read_captions(captions, found)
        n_captions = sum(map(len, texts.values()))
        said = f"{captions}: {n_captions} captions of {len(texts)} pictures"
        shared.append((found, Captions(captions, texts)))
        yield Finding("captions", Result.OK, said)


def of_subject(
    subject: str,
    reader: Prepared,
    brought: Pictures,
    captions: Captions | None,
    noise_ceiling: str | Path | None,
) -> Iterator[Finding]:
    """What one subject has; each fault is a row, and what does not depend on it is looked at too.

    Parameters
    ----------
    subject
        For the rows.
    reader
        Of the subject's files.
    brought
        The pictures of all subjects.
    captions
        None if the run needs none.
    noise_ceiling
        The map of the noise ceiling, if the user has one.
    """
    check = f"{subject}, trials"
    found: list[pd.DataFrame] = []
    yield from examined(check, _trials, check, reader, brought, found)
    if not found:
        return
    (trials,) = found
    check = f"{subject}, pictures"
    yield from examined(check, _seen, check, trials, brought, captions)
    check = f"{subject}, responses"
    patterns: list[_Patterns] = []
    yield from examined(check, _responses, check, reader, noise_ceiling, patterns)
    check = f"{subject}, repeats"
    for compared in patterns:
        yield from examined(check, _repeats, check, trials, compared)


def _trials(
    check: str, reader: Prepared, brought: Pictures, found: list[pd.DataFrame]
) -> Iterator[Finding]:
    trials = contract_trials(reader, brought)
    for split in [*SPLITS, *(FURTHER + name for name in reader.settings["tests"])]:
        rows = trials[trials["split"] == split]
        counts = rows["nsd_id"].value_counts().value_counts().sort_index()
        if rows.empty:
            raise InputError(
                reader.path("trials", reader.sessions[0]),
                found=f"no trial of split {split}",
                expected="trials of training and of each test set",
            )
        shown = ", ".join(f"{images} shown {times}x" for times, images in counts.items())
        text = f"{split}: {counts.sum()} images in {len(rows)} trials ({shown})"
        yield Finding(check, Result.OK, text)
    sessions = trials["session"].value_counts().sort_index()
    text = ", ".join(f"{session} ({trials})" for session, trials in sessions.items())
    yield Finding(check, Result.OK, f"sessions (trials): {text}")
    yield Finding(check, Result.OK, "no image is in two splits")
    found.append(trials)


def _seen(
    check: str, trials: pd.DataFrame, brought: Pictures, captions: Captions | None
) -> Iterator[Finding]:
    nsd_id = np.unique(trials["nsd_id"])
    height, width, _ = brought.shape(nsd_id)
    yield Finding(check, Result.OK, f"all {len(nsd_id)} have {height} x {width} pixels")
    if captions is not None:
        require_captions(captions.texts, nsd_id, brought, captions.source)
        yield Finding(check, Result.OK, "all have captions")


class _Patterns:
    """Responses of a spread of voxels in all trials, standardised in each session."""

    def __init__(self, sessions: dict[int, np.ndarray]) -> None:
        self.session = np.concatenate([np.full(len(of), n) for n, of in sessions.items()])
        spread = np.all([of.std(axis=0) > 0 for of in sessions.values()], axis=0)
        self.values = np.concatenate(
            [(of - of.mean(axis=0))[:, spread] / of.std(axis=0)[spread] for of in sessions.values()]
        )


def _responses(
    check: str, reader: Prepared, noise_ceiling: str | Path | None, found: list[_Patterns]
) -> Iterator[Finding]:
    voxels, trials = reader.voxels(), reader.trials()
    text = f"{voxels.source}: {len(voxels)} voxels of a volume of {voxels.shape}"
    yield Finding(check, Result.OK, text)
    if noise_ceiling is not None:
        known = read_map(noise_ceiling, voxels)
        known = known[np.isfinite(known)]
        text = f"{noise_ceiling}: {len(known)} voxels have a value, median {np.median(known):.3g}"
        yield Finding(check, Result.OK, text)
    compared: dict[int, np.ndarray] = {}
    unknown = np.zeros(len(voxels), dtype=bool)
    still = np.zeros(len(voxels), dtype=bool)
    lowest, highest = np.inf, -np.inf
    units, scale = divided_by(reader.units)
    step = max(1, len(voxels) // _COMPARED)
    for session in reader.sessions:
        betas = reader.betas(session, trials, voxels)
        finite = np.isfinite(betas).all(axis=0)
        unknown |= ~finite
        still |= finite & (betas.min(axis=0) == betas.max(axis=0))
        compared[session] = betas[:, ::step].astype(np.float64)
        if finite.any():
            lowest = min(lowest, betas[:, finite].min() / scale)
            highest = max(highest, betas[:, finite].max() / scale)
    text = f"from {lowest:.3g} to {highest:.3g} ({units})"
    if unknown.all():
        raise InputError(
            reader.path("betas", session),
            found="no voxel with finite responses",
            expected="responses of the voxels in the mask",
        )
    result = Result.WARN if (unknown | still).any() else Result.OK
    text += f"; {unknown.sum()} voxels are not finite, {still.sum()} do not vary in some session"
    yield Finding(check, result, text + (" and are left out" if result is Result.WARN else ""))
    usable = ~unknown[::step]
    found.append(_Patterns({session: of[:, usable] for session, of in compared.items()}))


def _repeats(check: str, trials: pd.DataFrame, patterns: _Patterns) -> Iterator[Finding]:
    """Whether trials of one image resemble each other; where they do not, rows are in disorder."""
    first, second = _pairs(trials["nsd_id"].to_numpy())
    if len(first) < _FEWEST_PAIRS:
        found = f"{len(first)} pairs of trials show one image: whether the order of the rows is "
        yield Finding(check, Result.WARN, f"{found}right, and the noise ceiling, cannot be told")
        return
    values = patterns.values - patterns.values.mean(axis=1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    same = np.einsum("ij,ij->i", values[first], values[second])
    other = np.einsum("ij,ij->i", values[first], values[np.roll(second, 1)])
    for session in np.unique(patterns.session):
        chosen = (patterns.session[first] == session) | (patterns.session[second] == session)
        if chosen.sum() >= _FEWEST_PAIRS:
            yield _resemblance(check, int(session), same[chosen], other[chosen])
    yield Finding(check, Result.OK, _ceiling(patterns.values, first, second))


def _pairs(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the first and of the second trial of each image that has two or more."""
    order = np.argsort(shown, kind="stable")
    is_first = np.append(True, np.diff(shown[order]) != 0)
    starts = np.flatnonzero(is_first[:-1] & ~is_first[1:])
    return order[starts], order[starts + 1]


def _resemblance(check: str, session: int, same: np.ndarray, other: np.ndarray) -> Finding:
    error = np.sqrt((same.var(ddof=1) + other.var(ddof=1)) / len(same))
    found = (
        f"session {session}: patterns of one image correlate by {same.mean():.2f}, "
        f"of different images by {other.mean():.2f} ({len(same)} pairs)"
    )
    if same.mean() - other.mean() > _STANDARD_ERRORS * error:
        return Finding(check, Result.OK, found)
    return Finding(
        check,
        Result.FAIL,
        f"{found}: repeats do not resemble each other",
        "Look whether the rows of the table are in the order of the responses.",
    )


def _ceiling(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> str:
    """The explainable share of a single trial's variance, from two trials of each image."""
    noise = ((values[first] - values[second]) ** 2 / 2).mean(axis=0)
    ceiling = 100 * np.maximum(0, 1 - noise)
    return f"noise ceiling of a single trial: median {np.median(ceiling):.1f} % of the variance"
