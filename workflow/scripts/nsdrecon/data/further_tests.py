"""Experiments beside NSD's sessions, in NSD's layout: NSD-Imagery and NSD-synthetic.

What the files hold is as read in public code that uses them; docs/brain.md says what is assumed.
Kneeland et al. (2025), CVPR; Gifford et al. (2026), Nature Communications.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from nsdrecon.data.nsd import FURTHER, load_mat
from nsdrecon.data.pictures import picture_errors
from nsdrecon.data.stimuli import stimulus_images, write_stimuli
from nsdrecon.errors import InputError, listing
from nsdrecon.layout import (
    FIRST_ID,
    IMAGERY_RUNS,
    IMAGERY_TRIALS,
    SYNTHETIC_SHARED,
    TARGETS,
)
from nsdrecon.store import open_h5, read_rows, read_table

SIZE = 425  # of NSD's stimuli, height and width
WITHOUT_PICTURE = -1

_TASKS = {"vis": "vision", "att": "attention", "img": "imagery"}
_COLUMNS = ("TRIAL", "CONDITION", "CUE")


def further_trials(experiment: str, tables: Sequence[str | Path]) -> pd.DataFrame:
    """What was shown, or imagined, in each trial of an experiment, in the order of its betas.

    Parameters
    ----------
    experiment
        ``imagery`` or ``synthetic``.
    tables
        Files of `nsdrecon.layout.further_tables`.

    Returns
    -------
    DataFrame with columns ``session`` (the experiment), ``trial`` (0-based row of the betas),
    ``nsd_id`` and ``split`` (of the further test set). Trials without a picture that they could be
    compared with have the id -1 and no split.

    Raises
    ------
    InputError
        If a table is missing or of another layout; it is named.
    """
    if experiment == "synthetic":
        shown = _synthetic_trials(tables[0])
    else:
        runs = zip(IMAGERY_RUNS, tables, strict=True)
        shown = pd.concat([_imagery_run(run, path) for run, path in runs], ignore_index=True)
    return shown.assign(session=experiment, trial=np.arange(len(shown)))


def _synthetic_trials(design: str | Path) -> pd.DataFrame:
    ordering = load_mat(design, ["masterordering"])["masterordering"].astype(np.int64).ravel() - 1
    if not len(ordering) or ordering.min() < 0:
        raise InputError(
            design, found="a 'masterordering' that is empty or below 1", expected="numbers from 1"
        )
    common = ordering < SYNTHETIC_SHARED
    return pd.DataFrame(
        {
            "nsd_id": np.where(common, FIRST_ID["synthetic"] + ordering, WITHOUT_PICTURE),
            "split": np.where(common, f"{FURTHER}synthetic", ""),
        }
    )


def _imagery_run(run: str, path: str | Path) -> pd.DataFrame:
    """Trials of one run; each of attention has two betas: the cue alone, then a series of pictures.

    Of those the first is taken: nothing but the letter is on the screen.
    """
    table = _read_run(path)
    task, name = _TASKS[run[:3]], run[3]
    targets = [letter for letters in TARGETS.values() for letter in letters]
    # In half of the trials of vision a picture is shown with another's letter.
    letters = table["CONDITION" if task == "vision" else "CUE"]
    if name in TARGETS:
        strange = sorted(set(letters) - set(TARGETS[name]))
        if strange:
            raise InputError(
                path,
                found=f"target {listing(strange)}",
                expected=f"those of set {name}: {listing(TARGETS[name])}",
            )
        ids = FIRST_ID["imagery"] + np.array([targets.index(letter) for letter in letters])
        shown = pd.DataFrame({"nsd_id": ids, "split": FURTHER + task})
    else:
        shown = pd.DataFrame({"nsd_id": WITHOUT_PICTURE, "split": ""}, index=range(len(table)))
    if task != "attention":
        return shown
    series = pd.DataFrame({"nsd_id": WITHOUT_PICTURE, "split": ""}, index=shown.index)
    return pd.concat([shown, series]).sort_index(kind="stable")


def _read_run(path: str | Path) -> pd.DataFrame:
    table = read_table(path, _COLUMNS, dtype=str, keep_default_na=False)
    numbers = pd.to_numeric(table["TRIAL"], errors="coerce")
    if not np.array_equal(numbers.sort_values(), np.arange(1, IMAGERY_TRIALS + 1)):
        raise InputError(
            path,
            found=f"{len(table)} trials that are not 1 to {IMAGERY_TRIALS}",
            expected=f"the {IMAGERY_TRIALS} trials of a run",
        )
    return table.assign(TRIAL=numbers).sort_values("TRIAL", ignore_index=True)


def extract_further_pictures(
    experiment: str, paths: Sequence[str | Path], output: str | Path
) -> None:
    """Write the pictures of an experiment in the size and the form of NSD's stimuli.

    Parameters
    ----------
    experiment
        ``imagery`` or ``synthetic``.
    paths
        Files of `nsdrecon.layout.further_pictures`.
    output
        HDF5 file in the form of `nsdrecon.data.stimuli.extract_stimuli`, all or nothing.

    Raises
    ------
    InputError
        If a picture is missing, damaged or of another form.
    """
    if experiment == "imagery":
        found = [_target(path) for path in paths]
    else:
        found = _synthetic_pictures(paths[0])
    ids = FIRST_ID[experiment] + np.arange(len(found))
    write_stimuli(
        output,
        ids,
        len(ids),
        (SIZE, SIZE, 3),
        lambda block: np.stack([found[row] for row in block - FIRST_ID[experiment]]),
    )


def _target(path: str | Path) -> np.ndarray:
    with picture_errors(path), Image.open(path) as image:
        picture = image.convert("RGB")
    if picture.width != picture.height:
        raise InputError(
            path,
            found=f"{picture.height} x {picture.width} pixels",
            expected="a square picture, as the targets of NSD-Imagery are",
        )
    return _resized(picture)


def _synthetic_pictures(path: str | Path) -> list[np.ndarray]:
    """The middle of each stimulus, which is what NSD's stimuli fill of the screen.

    The file has intensities of light; their square root is what a screen of our days is given.
    """
    found = []
    with open_h5(path) as file:
        images = stimulus_images(file)
        height, width = images.shape[1:3]
        if width < height:
            raise InputError(
                path,
                found=f"stimuli of {height} x {width} pixels",
                expected="stimuli that are wider than high",
            )
        left = (width - height) // 2
        for row in range(min(len(images), SYNTHETIC_SHARED)):
            (light,) = read_rows(images, np.array([row]))
            shown = np.rint(255 * np.sqrt(light[:, left : left + height] / 255)).astype(np.uint8)
            found.append(_resized(Image.fromarray(shown)))
    return found


def _resized(picture: Image.Image) -> np.ndarray:
    if picture.size != (SIZE, SIZE):
        picture = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(picture)
