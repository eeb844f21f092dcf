"""Files that appear whole or not at all, and HDF5 arrays that carry ``nsd_id``.

Every array of images, responses, latents or scores is stored with the ``nsd_id`` of its rows: the
0-based row of the image in the stimulus file. Rows are found by id, never by position.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing

ID = "nsd_id"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that becomes ``path`` when the block ends well.

    The temporary file has the same suffixes (libraries choose formats by them). It is flushed to
    disk and renamed over the final name; if the block raises, it is removed and ``path`` is as it
    was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def create_h5(path: str | Path) -> Iterator[h5py.File]:
    """A new HDF5 file, open for writing, that appears under its name only when complete."""
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        yield file


@contextmanager
def open_h5(path: str | Path) -> Iterator[h5py.File]:
    """An existing HDF5 file, open for reading.

    Raises
    ------
    InputError
        If the file is missing, truncated or not HDF5.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="an HDF5 file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            path,
            found=f"{path.stat().st_size} bytes that do not open ({error})",
            expected="a complete HDF5 file",
            remedy="Remove it and run again.",
        ) from error
    with file:
        yield file


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of an open file, or an error that lists what is there."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        raise InputError(
            file.filename,
            found=f"datasets {listing(sorted(file)) or '(none)'}",
            expected=f"a dataset {name!r}",
        )
    return file[name]


def write_arrays(
    path: str | Path,
    nsd_id: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, object] | None = None,
) -> None:
    """Write arrays whose first axis runs over images, with their ``nsd_id``.

    Parameters
    ----------
    path
        HDF5 file, written all or nothing.
    nsd_id
        Shape (n,), unique.
    arrays
        Name to array of shape (n, ...).
    attributes
        Attributes of the file, saying what the arrays are.

    Raises
    ------
    InputError
        If an id occurs twice or an array has another number of rows.
    """
    nsd_id = unique_ids(nsd_id, path)
    for name, array in arrays.items():
        if len(array) != len(nsd_id):
            raise InputError(
                path, found=f"{len(array)} rows of {name!r}", expected=f"{len(nsd_id)} rows"
            )
    with create_h5(path) as file:
        file.create_dataset(ID, data=nsd_id)
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.attrs.update(attributes or {})


def read_ids(path: str | Path) -> np.ndarray:
    """The ``nsd_id`` of a file's rows, shape (n,), int64, in file order."""
    with open_h5(path) as file:
        return unique_ids(dataset(file, ID)[()], path)


def read_array(path: str | Path, name: str, nsd_id: np.ndarray | None = None) -> np.ndarray:
    """One array of a file, its rows in the order of ``nsd_id`` (default: file order).

    Raises
    ------
    InputError
        If the array or one of the ids is not in the file.
    """
    with open_h5(path) as file:
        values = dataset(file, name)[()]
        found = unique_ids(dataset(file, ID)[()], path)
    if len(values) != len(found):
        raise InputError(path, found=f"{len(values)} rows of {name!r}", expected=len(found))
    return values if nsd_id is None else values[rows_of(nsd_id, found, path)]


def merge_h5(paths: Sequence[str | Path], output: str | Path, names: Sequence[str]) -> None:
    """Join files of the same kind (shards) into one, rows sorted by ``nsd_id``.

    Attributes are taken from the first file; they must be the same in all.

    Raises
    ------
    InputError
        If an id is in two files, or attributes or row shapes differ.
    """
    ids = np.concatenate([read_ids(path) for path in paths])
    order = np.argsort(ids, kind="stable")
    with open_h5(paths[0]) as first:
        attributes = dict(first.attrs)
    arrays = {}
    for name in names:
        parts = [read_array(path, name) for path in paths]
        for path, part in zip(paths, parts, strict=True):
            if part.shape[1:] != parts[0].shape[1:]:
                raise InputError(path, found=part.shape[1:], expected=parts[0].shape[1:])
        arrays[name] = np.concatenate(parts)[order]
    for path in paths[1:]:
        with open_h5(path) as file:
            for key, value in attributes.items():
                if key not in file.attrs or not np.array_equal(file.attrs[key], value):
                    raise InputError(
                        path,
                        found=f"attribute {key!r} = {file.attrs.get(key)!r}",
                        expected=f"{value!r} as in {paths[0]}",
                    )
    write_arrays(output, ids[order], arrays, attributes)


def unique_ids(nsd_id: np.ndarray, source: str | Path) -> np.ndarray:
    """Ids as int64, shape (n,).

    Raises
    ------
    InputError
        If they are not one-dimensional integers, or one is negative or occurs twice.
    """
    nsd_id = np.asarray(nsd_id)
    if nsd_id.ndim != 1 or not np.issubdtype(nsd_id.dtype, np.integer):
        raise InputError(
            source,
            found=f"nsd_id of shape {nsd_id.shape} and type {nsd_id.dtype}",
            expected="a list of integers",
        )
    nsd_id = nsd_id.astype(np.int64)
    values, counts = np.unique(nsd_id, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            source, found=f"double nsd_id {listing(values[counts > 1])}", expected="each id once"
        )
    if len(values) and values[0] < 0:
        raise InputError(source, found=f"nsd_id {values[0]}", expected="0 or more")
    return nsd_id


def rows_of(wanted: np.ndarray, available: np.ndarray, source: str | Path) -> np.ndarray:
    """Positions of the wanted ids among the available ones, shape (len(wanted),).

    Raises
    ------
    InputError
        If an id is missing; the message names it.
    """
    wanted = np.asarray(wanted)
    order = np.argsort(available, kind="stable")
    spots = np.searchsorted(available, wanted, sorter=order)
    spots = np.minimum(spots, len(available) - 1)
    rows = order[spots] if len(available) else np.zeros(len(wanted), dtype=np.int64)
    missing = wanted[available[rows] != wanted] if len(available) else wanted
    if len(missing):
        raise InputError(
            source,
            found=f"no row for nsd_id {listing(missing)}",
            expected=f"rows for all {len(wanted)} ids",
        )
    return rows


def shard_ids(nsd_id: np.ndarray, shard: int, n_shards: int) -> np.ndarray:
    """The ids of one of ``n_shards`` nearly equal parts of the sorted ids."""
    return np.array_split(np.sort(nsd_id), n_shards)[shard]


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tab-separated table, all or nothing; floats keep 9 significant digits."""
    with whole_file(path) as partial:
        table.to_csv(partial, sep="\t", index=False, float_format="%.9g")


def read_table(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a tab-separated table and check that it has the columns.

    Raises
    ------
    InputError
        If the file is missing or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a tab-separated table")
    table = pd.read_csv(path, sep="\t")
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            path,
            found=f"columns {listing(table.columns, 12)}",
            expected=f"also {listing(missing, 12)}",
        )
    return table


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
