"""From the files that a user brings to the first files of the data contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.data.captions import save_captions
from nsdrecon.data.nsd import TRIAL_COLUMNS
from nsdrecon.data.pictures import Pictures
from nsdrecon.data.prepared import Prepared
from nsdrecon.data.stimuli import write_stimuli
from nsdrecon.errors import InputError, listing
from nsdrecon.store import read_table

CAPTION_COLUMNS = ("image", "caption")


def contract_trials(reader: Prepared, pictures: Pictures) -> pd.DataFrame:
    """The trials of a subject's sessions, as `nsdrecon.data.nsd.trial_table` gives them.

    Raises
    ------
    InputError
        If the tables are not what they should be, an image has no picture, or is in two splits.
    """
    trials = reader.trials()
    trials = trials[trials["session"].isin(reader.sessions)].copy()
    # Of several tables the pattern: trials do not tell from which of them they are.
    pattern = reader.settings["trials"]
    several_tables = "{session" in pattern or "{run" in pattern
    source = pattern if several_tables else reader.path("trials")
    trials["nsd_id"] = pictures.ids(trials["image"], source)
    splits = trials.groupby("image", sort=False)["split"].nunique()
    several = splits.index[splits > 1]
    if len(several):
        names = trials.loc[trials["image"].isin(several), "split"].unique()
        raise InputError(
            source,
            found=f"image {listing(several)} in the splits {' and '.join(sorted(names)[::-1])}",
            expected="each image in one split",
        )
    table = trials.assign(
        # Test images are those that reconstructions of all subjects are scored against.
        shared=(trials["split"] != "train").astype(np.int64),
        repeat=trials.groupby("nsd_id").cumcount() + 1,
    )
    return table[list(TRIAL_COLUMNS)]


def extract_pictures(pictures: Pictures, nsd_id: np.ndarray, output: str | Path) -> None:
    """Copy pictures by their ids (ascending), in the form of `nsdrecon.data.stimuli`.

    Raises
    ------
    InputError
        If a picture does not read, or they differ in size.
    """
    write_stimuli(output, nsd_id, pictures.n, pictures.shape(nsd_id), pictures.read)


def read_captions(path: str | Path, pictures: Pictures) -> dict[int, list[str]]:
    """Captions by id, in the order of the table.

    Raises
    ------
    InputError
        If there is no table, as an array, whose rows would be found by position; or it lacks a
        column or has captions of an image that has no picture.
    """
    if Path(path).suffix == ".npy":
        raise InputError(
            path,
            found="an array, of whose rows nothing says to which picture they belong",
            expected=f"a tab-separated table with {' and '.join(CAPTION_COLUMNS)}",
            remedy="Write a row for each caption, with the image as the trials name it.",
        )
    table = read_table(path, CAPTION_COLUMNS)
    return captions_by_picture(table["image"], table["caption"], pictures, path)


def captions_by_picture(
    images: pd.Series, captions: pd.Series, pictures: Pictures, source: str | Path
) -> dict[int, list[str]]:
    """Captions by the ids of the pictures that some images are, in their order.

    Raises
    ------
    InputError
        If an image has no picture.
    """
    texts = captions.fillna("").astype(str).str.split().str.join(" ")
    found: dict[int, list[str]] = {}
    for nsd_id, text in zip(pictures.ids(images, source), texts, strict=True):
        if text:
            found.setdefault(int(nsd_id), []).append(text)
    return found


def require_captions(
    captions: dict[int, list[str]], nsd_id: np.ndarray, pictures: Pictures, path: str | Path
) -> None:
    """Stop unless each of some pictures has a caption.

    Raises
    ------
    InputError
        If one has none.
    """
    without = [pictures.name(row) for row in nsd_id if row not in captions]
    if without:
        raise InputError(
            path, found=f"no caption of image {listing(without)}", expected="one or more of each"
        )


def write_captions(captions: dict[int, list[str]], n_pictures: int, output: str | Path) -> None:
    """Write the array of captions, a row a picture, as `nsdrecon.data.captions` reads it."""
    save_captions([captions.get(row, []) for row in range(n_pictures)], output)
