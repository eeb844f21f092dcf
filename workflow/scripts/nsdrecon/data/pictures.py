"""Pictures of a data set that the user brings: rows of an HDF5 file, or files of a folder.

What the trials call an image becomes its ``nsd_id``: the row itself, counted from 0, or the place
of the file's name among the sorted names of the folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
import pandas as pd
from PIL import Image

from nsdrecon.errors import InputError, listing
from nsdrecon.store import open_h5, read_rows, rows_of

DATASETS = ("images", "imgBrick")
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


class Pictures(ABC):
    """Pictures of one size, by id.

    Attributes
    ----------
    source
        The file or folder.
    n
        How many there are.
    """

    source: str
    n: int

    @abstractmethod
    def ids(self, images: pd.Series, table: str | Path) -> np.ndarray:
        """The ids of what a table calls images, (n,) int64.

        Raises
        ------
        InputError
            If there is no picture of an image.
        """

    @abstractmethod
    def name(self, nsd_id: int) -> str:
        """What the trials call a picture."""

    @abstractmethod
    def shape(self, nsd_id: np.ndarray) -> tuple[int, int, int]:
        """Height, width and 3 of some pictures.

        Raises
        ------
        InputError
            If they differ in size or are not square.
        """

    @abstractmethod
    def read(self, nsd_id: np.ndarray) -> np.ndarray:
        """Some pictures, (n, height, width, 3) uint8.

        Raises
        ------
        InputError
            If a picture does not read.
        """


def pictures(path: str | Path) -> Pictures:
    """The pictures of an HDF5 file or of a folder.

    Raises
    ------
    InputError
        If there is neither, or no picture in it.
    """
    return _Folder(path) if Path(path).is_dir() else _Rows(path)


@contextmanager
def picture_errors(path: str | Path) -> Iterator[None]:
    """What Pillow says of a damaged picture, as an error that names it."""
    try:
        yield
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            path, found=f"a picture that does not read ({error})", expected="a whole picture"
        ) from error


class _Rows(Pictures):
    def __init__(self, path: str | Path) -> None:
        self.source = str(path)
        if not Path(path).is_file():
            raise InputError(path, found="no file", expected="an HDF5 file or a folder of pictures")
        with open_h5(path) as file:
            self._size = self._images(file).shape
        self.n = self._size[0]

    def _images(self, file: h5py.File) -> h5py.Dataset:
        found = [file[name] for name in DATASETS if isinstance(file.get(name), h5py.Dataset)]
        if not found:
            raise InputError(
                self.source, found=f"datasets {listing(file) or '(none)'}", expected="'images'"
            )
        if found[0].ndim != 4 or found[0].shape[3] != 3 or found[0].dtype != np.uint8:
            raise InputError(
                self.source,
                found=f"{found[0].name!r} of shape {found[0].shape} and type {found[0].dtype}",
                expected="(n, height, width, 3) of type uint8",
            )
        return found[0]

    def ids(self, images: pd.Series, table: str | Path) -> np.ndarray:
        strange = images[~images.astype(str).str.fullmatch(r"-?\d+")]
        if len(strange):
            raise InputError(
                table,
                found=f"image {listing(strange.unique(), 3)}",
                expected=f"rows of {self.source}, counted from 0",
            )
        ids = images.to_numpy(dtype=np.int64)
        beyond = np.unique(ids[(ids < 0) | (ids >= self.n)])
        if len(beyond):
            raise InputError(
                table,
                found=f"image {listing(beyond)} without a picture",
                expected=f"rows of {self.source}, from 0 to {self.n - 1}",
            )
        return ids

    def name(self, nsd_id: int) -> str:
        return str(nsd_id)

    def shape(self, nsd_id: np.ndarray) -> tuple[int, int, int]:
        _require_square(self.source, self._size[1:3])
        return self._size[1:]

    def read(self, nsd_id: np.ndarray) -> np.ndarray:
        with open_h5(self.source) as file:
            return read_rows(self._images(file), nsd_id)


class NamedPictures(Pictures):
    """Pictures that are encoded one by one, as JPEG or PNG, and have names.

    Parameters
    ----------
    source
        The file or folder.
    names
        Name of each, shape (n,); an id is a place among them.
    """

    def __init__(self, source: str | Path, names: np.ndarray) -> None:
        self.source = str(source)
        self.names = names
        self.n = len(names)

    @abstractmethod
    def encoded(self, nsd_id: int) -> BinaryIO | Path:
        """The file of a picture, or its bytes."""

    def ids(self, images: pd.Series, table: str | Path) -> np.ndarray:
        """The places of their names."""
        names = images.astype(str).to_numpy(dtype=str)
        without = np.setdiff1d(names, self.names)
        if len(without):
            raise InputError(
                table,
                found=f"image {listing(without)} without a picture",
                expected=f"names of pictures in {self.source}, such as {self.names[0]}",
            )
        return rows_of(names, self.names, table).astype(np.int64)

    def name(self, nsd_id: int) -> str:
        """Its name."""
        return str(self.names[nsd_id])

    def shape(self, nsd_id: np.ndarray) -> tuple[int, int, int]:
        """Height, width and 3, by the heads of the files."""
        first = None
        for row in nsd_id:
            with self._opened(row) as image:
                size = image.height, image.width
            _require_square(self._path(row), size)
            first = first or (size, row)
            if size != first[0]:
                raise InputError(
                    self._path(row),
                    found=f"{size[0]} x {size[1]} pixels",
                    expected=f"{first[0][0]} x {first[0][1]} as in {self._path(first[1])}",
                    remedy="Bring all pictures to one size, as they were shown.",
                )
        return (*first[0], 3)

    def read(self, nsd_id: np.ndarray) -> np.ndarray:
        """The pictures, decoded."""
        found = []
        for row in nsd_id:
            with self._opened(row) as image:
                found.append(np.asarray(image.convert("RGB")))
        return np.stack(found)

    def _path(self, row: int) -> Path:
        return Path(self.source) / self.names[row]

    @contextmanager
    def _opened(self, row: int) -> Iterator[Image.Image]:
        with picture_errors(self._path(row)), Image.open(self.encoded(row)) as image:
            yield image


class _Folder(NamedPictures):
    def __init__(self, path: str | Path) -> None:
        files = [file for file in Path(path).iterdir() if file.suffix.lower() in SUFFIXES]
        if not files:
            raise InputError(path, found="no picture", expected=f"files {listing(SUFFIXES, 9)}")
        super().__init__(path, np.array(sorted(file.name for file in files), dtype=str))

    def encoded(self, nsd_id: int) -> Path:
        return self._path(nsd_id)


def _require_square(source: str | Path, size: tuple[int, int]) -> None:
    if size[0] != size[1]:
        raise InputError(
            source,
            found=f"{size[0]} x {size[1]} pixels",
            expected="square pictures",
            remedy="Cut or pad them, as they were shown.",
        )
