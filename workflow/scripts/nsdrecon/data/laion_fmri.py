"""LAION-fMRI: responses of five people to natural images, and what belongs to them.

What is read, by the data set's documentation (https://laion-fmri.hebartlab.com) and its package:

* In the bucket, a session each: volumes of GLMsingle's responses, one a trial, in float32, of which
  voxels may be no numbers; and a table of the trials with ``beta_index``, the volume counted from
  0, and ``label``, the name of the image. Blank trials are in neither.
* In the bucket, for all images: captions with ``image_name``, ``caption_idx``, ``source``
  (``human`` or ``ai``) and ``caption``.
* Under the agreement: an HDF5 file whose ``images`` are encoded pictures, and beside it a table
  whose row of the same number has the ``image_name``.
* In the package: splits, a JSON file each, with ``variants`` of ``train_ids`` and ``test_ids``,
  which are labels of the trials.

Assumed, and refused where it is otherwise: rows of the trials are in the order of the volumes; mask
and volumes lie in one space; a split has one variant; all pictures are square and of one size. Not
read: the published maps of noise ceilings, which are in per cent and of all images. The ceiling is
computed from repeats.
"""

from __future__ import annotations

import json
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from nsdrecon.data.contract import captions_by_picture
from nsdrecon.data.nsd import FURTHER
from nsdrecon.data.pictures import NamedPictures, Pictures
from nsdrecon.data.prepared import Prepared
from nsdrecon.data.single_trials import read_trials_of
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError, listing
from nsdrecon.store import dataset, open_h5, read_table

METADATA = "task-images_metadata.csv"
_PEOPLE = "human"


class LAIONfMRI(Prepared):
    """One subject's files, by the patterns of section ``laion-fmri`` of the configuration."""

    @property
    def units(self) -> str:
        """Of the responses; ridge regression has shrunk them, voxel by voxel."""
        return "percent signal change"

    def trials(self) -> pd.DataFrame:
        """The trials whose images are in a split, as of `Prepared.trials`.

        Raises
        ------
        InputError
            As there; or if a split is damaged, shares an image with another, or has no trial.
        """
        trials = super().trials()
        used = trials.dropna(subset="split")
        lacking = set(self._splits.values()) - set(used["split"])
        if lacking:
            raise InputError(
                self.path("splits"),
                found=f"no trial of split {listing(sorted(lacking))} in sessions "
                f"{listing(self.sessions, 40)}",
                expected="images that the subject saw",
                remedy="Name the splits of this subject or of shared images, or use more sessions.",
            )
        return used

    def _table(self, session: int | None = None) -> pd.DataFrame:
        path = self.path("trials", session)
        table = read_table(path, ["beta_index", "label"])
        if not np.array_equal(table["beta_index"], np.arange(len(table))) or table.empty:
            raise InputError(
                path,
                found="a beta_index that is not the row",
                expected="0, 1, 2, ..., the volumes of the responses",
            )
        missing = np.flatnonzero(table["label"].isna())
        if len(missing):
            raise InputError(
                path, found=f"no label in row {listing(missing + 1)}", expected="an image in each"
            )
        image = table["label"].astype(str)
        return pd.DataFrame({"session": session, "image": image, "split": image.map(self._splits)})

    @cached_property
    def _splits(self) -> dict[str, str]:
        """Image to split: training and test of the first, and the tests of the further ones."""
        first, further = self.settings["split"], self.settings["tests"]
        path = self.path("splits") / f"{first}.json"
        train, test = _read_split(path)
        found = dict.fromkeys(train, "train")
        for name, split in {first: "test", **{name: FURTHER + name for name in further}}.items():
            if split != "test":
                path = self.path("splits") / f"{name}.json"
                _, test = _read_split(path)
            shared = [image for image in test if image in found]
            if shared:
                raise InputError(
                    path,
                    found=f"test image {listing(shared)}, which is in another split of this run "
                    f"({found[shared[0]]})",
                    expected="images of no other split",
                    remedy="Tests that share images with others or with training need runs of "
                    "their own (run.name); ood shares none.",
                )
            found |= dict.fromkeys(test, split)
        return found

    def betas(self, session: int, trials: pd.DataFrame, voxels: Voxels) -> np.ndarray:
        """Responses in a session's trials that are used, as of `Prepared.betas`."""
        table = self._table(session)
        path = self.path("betas", session)
        found = read_trials_of(path, voxels, len(table), slice(None))
        return found[table["split"].notna().to_numpy()]


def _read_split(path: Path) -> tuple[list[str], list[str]]:
    """Training and test images of a split."""
    try:
        (variant,) = json.loads(path.read_text(encoding="utf-8"))["variants"]
        return variant["train_ids"], variant["test_ids"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            path,
            found=f"no split that reads ({type(error).__name__}: {error})",
            expected="one variant with train_ids and test_ids",
            remedy="Copy laion_fmri/splits/data of the data set's package, or name it in "
            "laion-fmri.splits.",
        ) from error


class PackedPictures(NamedPictures):
    """Pictures as they come under the agreement.

    Parameters
    ----------
    path
        HDF5 file; the table of names lies beside it.

    Raises
    ------
    InputError
        If one of them is missing or damaged, or they are of different numbers of pictures.
    """

    def __init__(self, path: str | Path) -> None:
        table = Path(path).with_name(METADATA)
        names = read_table(table, ["image_name"], sep=",")["image_name"].astype(str)
        twice = names[names.duplicated()]
        if len(twice):
            raise InputError(table, found=f"{listing(twice)} twice", expected="each picture once")
        with open_h5(path) as file:
            n_pictures = len(dataset(file, "images"))
        if n_pictures != len(names):
            raise InputError(
                path,
                found=f"{n_pictures} pictures",
                expected=f"{len(names)}, a row of {table} each",
                remedy="Fetch both again: they belong together.",
            )
        super().__init__(path, names.to_numpy(dtype=str))

    def encoded(self, nsd_id: int) -> BinaryIO:
        """The bytes of a picture, as a file."""
        with open_h5(self.source) as file:
            return BytesIO(np.asarray(dataset(file, "images")[nsd_id]).tobytes())


def read_captions(path: str | Path, pictures: Pictures) -> dict[int, list[str]]:
    """People's captions by id, the best first; those of a model are left out: not all have one.

    Raises
    ------
    InputError
        If the table is missing or damaged, or an image has no picture.
    """
    table = read_table(path, ["image_name", "caption_idx", "source", "caption"], sep=",")
    table = table[table["source"] == _PEOPLE].sort_values("caption_idx", kind="stable")
    return captions_by_picture(table["image_name"], table["caption"], pictures, path)
