"""Captions of the stimuli: an array with a row a stimulus, as it is published or made from COCO.

The array is (n_stimuli, n_captions) of unicode strings; an empty string means that there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing
from nsdrecon.whole_files import whole_file

CAPTIONS_PER_IMAGE = 5  # as in the published array; COCO has 5 to 7


def captions_of(
    path: str | Path, nsd_id: np.ndarray, n_stimuli: int | None = None
) -> list[list[str]]:
    """The captions of some images, in the order of ``nsd_id``; each has at least one.

    Parameters
    ----------
    path
        ``.npy`` file of shape (n_stimuli, n_captions).
    nsd_id
        Shape (n,).
    n_stimuli
        How many stimuli there are, where the array was brought: its rows are found by position, so
        it must be of the whole stimulus file.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another length, or if an image is not in it or has no
        caption.
    """
    captions = _open_captions(path)
    n_stimuli = len(captions) if n_stimuli is None else n_stimuli
    if len(captions) != n_stimuli:
        raise InputError(
            path,
            found=f"captions of {len(captions)} images",
            expected=f"{n_stimuli}, one row a stimulus",
        )
    nsd_id = np.asarray(nsd_id)
    beyond = nsd_id[(nsd_id < 0) | (nsd_id >= n_stimuli)]
    if len(beyond):
        raise InputError(
            path, found=f"no row for nsd_id {listing(beyond)}", expected=f"ids below {n_stimuli}"
        )
    chosen = [[text for text in map(str, captions[row]) if text.strip()] for row in nsd_id]
    without = [row for row, texts in zip(nsd_id, chosen, strict=True) if not texts]
    if without:
        raise InputError(
            path, found=f"no caption for nsd_id {listing(without)}", expected="at least one each"
        )
    return chosen


def _open_captions(path: str | Path) -> np.ndarray:
    """The array, memory-mapped: the published one takes 365 MB."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="an array of captions (.npy)")
    try:
        captions = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            path, found=f"data that do not load ({error})", expected="an array of strings (.npy)"
        ) from error
    if not isinstance(captions, np.ndarray) or captions.ndim != 2 or captions.dtype.kind != "U":
        found = getattr(captions, "shape", "an archive"), getattr(captions, "dtype", "")
        raise InputError(path, found=found, expected="strings, images x captions")
    return captions


def captions_from_coco(
    stimuli: pd.DataFrame, annotations: Mapping[str, str | Path], output: str | Path
) -> None:
    """Make the array of captions from COCO's own annotations.

    Each image keeps its first five captions by annotation id, stripped of blanks. The published
    array was curated by a rule that is not published: this one is not the same to the letter.

    Parameters
    ----------
    stimuli
        Table of stimuli with ``nsd_id``, ``coco_id`` and ``coco_split``, a row a stimulus
        (`nsdrecon.data.nsd.read_stimulus_table`).
    annotations
        COCO split, such as ``train2017``, to its ``captions_*.json``.
    output
        ``.npy`` file, written all or nothing.

    Raises
    ------
    InputError
        If a file is missing or not of COCO's form, or if an image has no caption.
    """
    texts: list[list[str]] = [[] for _ in range(len(stimuli))]
    for split, rows in stimuli.groupby("coco_split", dropna=False):
        if split not in annotations:
            raise InputError(
                "COCO annotations", found=listing(annotations), expected=f"also {split}"
            )
        found = _read_annotations(annotations[split])
        missing = [image for image in rows["coco_id"] if image not in found]
        if missing:
            raise InputError(
                annotations[split],
                found=f"no caption of image {listing(missing)}",
                expected=f"captions of all {len(rows)} images of {split}",
            )
        for row, image in zip(rows["nsd_id"], rows["coco_id"], strict=True):
            texts[row] = found[image]
    save_captions(texts, output)


def save_captions(texts: Sequence[list[str]], output: str | Path) -> None:
    """Write the array, from the captions of each image in the order of its rows."""
    width = max(map(len, texts), default=0)
    table = np.array([captions + [""] * (width - len(captions)) for captions in texts], dtype=str)
    with whole_file(output) as partial:
        np.save(partial, table, allow_pickle=False)


def _read_annotations(path: str | Path) -> dict[int, list[str]]:
    """Captions by COCO image id, in the order of annotation ids, five at most."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="COCO's captions (.json)")
    captions: dict[int, list[str]] = {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        for entry in sorted(entries, key=lambda entry: entry["id"]):
            text = " ".join(entry["caption"].split())
            if text:
                captions.setdefault(entry["image_id"], []).append(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            path,
            found=f"data of another form ({type(error).__name__}: {error})",
            expected="COCO's captions: 'annotations' with id, image_id and caption",
        ) from error
    return {image: texts[:CAPTIONS_PER_IMAGE] for image, texts in captions.items()}
