"""Files that appear whole or not at all, and HDF5 arrays that carry ``nsd_id``.

Every array of images, responses, latents or scores is stored with the ``nsd_id`` of its rows: the
0-based row of the image in the stimulus file. Rows are found by id, never by position.

Files have checksums and say what they are (`nsdrecon.checked_files`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from nsdrecon.checked_files import (
    OF_ITSELF,
    ROW_CACHE,
    create_h5,
    open_h5,
    read_text,
    write_text,
)
from nsdrecon.errors import InputError, listing

ID = "nsd_id"
_SEPARATED = {"\t": "tab", ",": "comma"}
_COPY_BYTES = 64 * 2**20  # rows that merge_h5 holds at a time


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of an open file, or an error that lists what is there.

    Raises
    ------
    InputError
        If there is no such dataset, or its data lie in another file, which may be any of this
        machine's.
    """
    if name not in file or not isinstance(file[name], h5py.Dataset):
        raise InputError(
            file.filename,
            found=f"datasets {listing(sorted(file)) or '(none)'}",
            expected=f"a dataset {name!r}",
        )
    found = file[name]
    # A link may lead over others to another file.
    if found.external or found.is_virtual or found.file.filename != file.file.filename:
        raise InputError(
            file.filename,
            found=f"{name!r} with its data in another file",
            expected="its own data",
            remedy="Get the file anew from a source that can be trusted.",
        )
    return found


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

    Only the rows that are asked for are read.

    Raises
    ------
    InputError
        If the array or one of the ids is not in the file.
    """
    with open_rows(path, name, nsd_id) as rows:
        return rows[:]


@contextmanager
def open_rows(
    path: str | Path, name: str, nsd_id: np.ndarray | None = None
) -> Iterator[StoredRows]:
    """The same, read as its rows are asked for: what is larger than the memory.

    Raises
    ------
    InputError
        As :func:`read_array`.
    """
    with open_h5(path, ROW_CACHE) as file:
        values = dataset(file, name)
        found = unique_ids(dataset(file, ID)[()], path)
        if len(values) != len(found):
            raise InputError(path, found=f"{len(values)} rows of {name!r}", expected=len(found))
        rows = np.arange(len(found)) if nsd_id is None else rows_of(nsd_id, found, path)
        yield StoredRows(values, rows)


class StoredRows:
    """Rows of an open dataset, an array of ``shape`` and ``dtype``, read where they are indexed.

    ``rows[start:stop]`` is an array of these rows, ``rows[0]`` one of them; ``np.asarray(rows)``
    reads all.
    """

    def __init__(self, values: h5py.Dataset, rows: np.ndarray) -> None:
        self._values, self._rows = values, rows
        self.shape, self.dtype = (len(rows), *values.shape[1:]), values.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | slice) -> np.ndarray:
        if isinstance(index, slice):
            return read_rows(self._values, self._rows[index])
        return self._values[self._rows[index]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("what is in a file is read: it is a copy")
        return self[:].astype(dtype or self.dtype, copy=False)


def read_rows(values: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Rows of a dataset, shape (len(rows), ...), in the order given; a row may be wanted twice.

    Neighbouring rows are read at once, and no others, so that a few images can be had of a file
    that is larger than the memory.
    """
    wanted, position = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
    picked = np.empty((len(wanted), *values.shape[1:]), dtype=values.dtype)
    for start, stop in _runs(wanted):
        if picked[start:stop].size:
            source = np.s_[wanted[start] : wanted[stop - 1] + 1]
            values.read_direct(picked, source, np.s_[start:stop])
    in_order = len(position) == len(wanted) and bool((np.diff(position) > 0).all())
    return picked if in_order else picked[position]


def merge_h5(paths: Sequence[str | Path], output: str | Path, names: Sequence[str]) -> None:
    """Join files of the same kind (shards) into one, rows sorted by ``nsd_id``.

    Rows are copied in blocks, so memory does not grow with the files. Attributes are taken from the
    first file; they must be the same in all, but for what each says of itself.

    Raises
    ------
    InputError
        If an id is in two files, or attributes, row shapes or types differ.
    """
    parts = [read_ids(path) for path in paths]
    ids = np.sort(unique_ids(np.concatenate(parts), output))
    with open_h5(paths[0]) as first:
        attributes = _attributes(first)
        kinds = {name: _row_kind(dataset(first, name)) for name in names}
    with create_h5(output) as merged:
        merged.create_dataset(ID, data=ids)
        merged.attrs.update(attributes)
        for name, (shape, dtype) in kinds.items():
            merged.create_dataset(name, shape=(len(ids), *shape), dtype=dtype)
        for path, part in zip(paths, parts, strict=True):
            with open_h5(path) as file:
                _check_same_kind(file, attributes, kinds, paths[0])
                for name in names:
                    _copy_rows(file[name], part, merged[name], ids)


def _attributes(file: h5py.File) -> dict[str, Any]:
    """A file's attributes but for what it says of itself."""
    return {k: v for k, v in file.attrs.items() if k not in OF_ITSELF}


def _row_kind(values: h5py.Dataset) -> tuple[tuple[int, ...], np.dtype]:
    return values.shape[1:], values.dtype


def _check_same_kind(
    file: h5py.File,
    attributes: Mapping[str, Any],
    kinds: Mapping[str, tuple[tuple[int, ...], np.dtype]],
    first: str | Path,
) -> None:
    """Raise where a shard differs from the first in attributes, row shapes or types."""
    own = _attributes(file)
    for key in sorted({*attributes, *own}):
        there = key in own and key in attributes
        if not there or not np.array_equal(own[key], attributes[key]):
            raise InputError(
                file.filename,
                found=f"attribute {key!r} = {own.get(key)!r}",
                expected=f"{attributes.get(key)!r} as in {first}",
            )
    for name, kind in kinds.items():
        found = _row_kind(dataset(file, name))
        if found != kind:
            raise InputError(
                file.filename,
                found=f"rows of {name!r} of shape {found[0]} and type {found[1]}",
                expected=f"shape {kind[0]} and type {kind[1]} as in {first}",
            )


def _copy_rows(
    source: h5py.Dataset, source_ids: np.ndarray, target: h5py.Dataset, target_ids: np.ndarray
) -> None:
    """Copy all rows to where their ids are in the sorted ``target_ids``, in blocks."""
    row_bytes = source.dtype.itemsize * int(np.prod(source.shape[1:], dtype=np.int64))
    block = max(1, _COPY_BYTES // max(1, row_bytes))
    rows = np.argsort(source_ids)
    spots = np.searchsorted(target_ids, source_ids[rows])
    for start, stop in _runs(spots):
        for low in range(start, stop, block):
            high = min(low + block, stop)
            target[spots[low] : spots[high - 1] + 1] = read_rows(source, rows[low:high])


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch of increasing numbers without a gap."""
    if len(numbers) == 0:
        return
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    yield from zip([0, *breaks.tolist()], [*breaks.tolist(), len(numbers)], strict=True)


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
    """Write a tab-separated table, all or nothing; floats keep 9 significant digits.

    Its first line has the checksum of the rest and what the table says of itself.
    """
    text = table.to_csv(sep="\t", index=False, float_format="%.9g")
    write_text(path, text)


def read_table(
    path: str | Path, columns: Sequence[str] = (), *, sep: str = "\t", **options: Any
) -> pd.DataFrame:
    """Read a tab-separated table, or one with another separator, and check that it has the columns.

    Other options are those of `pandas.read_csv`.

    Raises
    ------
    InputError
        If the file is missing or damaged, is not a table or lacks a column.
    """
    _, text = read_text(path)
    try:
        table = pd.read_csv(io.StringIO(text), sep=sep, **options)
    except ValueError as error:  # empty or ragged
        raise InputError(
            path,
            found=f"text that does not parse ({error})",
            expected=f"a {_SEPARATED[sep]}-separated table",
        ) from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            path,
            found=f"columns {listing(table.columns, 12)}",
            expected=f"also {listing(missing, 12)}",
        )
    return table
