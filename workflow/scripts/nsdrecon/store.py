"""Files that appear whole or not at all, and HDF5 arrays that carry ``nsd_id``.

Every array of images, responses, latents or scores is stored with the ``nsd_id`` of its rows: the
0-based row of the image in the stimulus file. Rows are found by id, never by position.

All that is written has checksums, which are compared when it is read: HDF5's own on its arrays
(fletcher32) and on its structure (the file format of HDF5 1.10), a CRC-32 in the first line of a
table. A file that is made by a job says what it is (`nsdrecon.provenance`).
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from nsdrecon import provenance
from nsdrecon.errors import InputError, listing
from nsdrecon.whole_files import whole_file

ID = "nsd_id"
_COPY_BYTES = 64 * 2**20  # rows that merge_h5 holds at a time
# For single rows: a row of chunks as wide as NSD's latents (23 MB), so that none is read twice.
ROW_CACHE = 32 * 2**20
_PROVENANCE, _CRC32 = "provenance", "crc32"  # attributes of an HDF5 file
_CHECKED = "# crc32 "  # begins a table, before the checksum of all that follows it
_REMEDY = "Remove it and run again."


class _CheckedFile(h5py.File):
    """A file whose datasets are stored in chunks with a checksum each."""

    def create_dataset(
        self,
        name: str,
        shape: tuple[int, ...] | None = None,
        dtype: object = None,
        data: np.ndarray | None = None,
        *,
        chunks: tuple[int, ...] | None = None,
    ) -> h5py.Dataset:
        """Create a dataset as in h5py; ``chunks`` are cut down to its shape."""
        size = np.asarray(data).shape if shape is None else shape
        if 0 in size:
            return super().create_dataset(name, size, dtype, data)
        chunks = tuple(map(min, chunks or _chunks(len(size)), size))
        return super().create_dataset(name, size, dtype, data, chunks=chunks, fletcher32=True)


def _chunks(n_axes: int) -> tuple[int, ...]:
    """What is read at once, at most: of a matrix half a megabyte of float32, of pictures one."""
    if n_axes < 3:
        return ((1 << 16,), (64, 2048))[n_axes - 1]
    return (1,) * max(1, n_axes - 3) + (1 << 16,) * min(3, n_axes - 1)


@contextmanager
def create_h5(path: str | Path) -> Iterator[h5py.File]:
    """A new HDF5 file, open for writing, that appears under its name only when complete."""
    with whole_file(path) as partial, _CheckedFile(partial, "w", libver="v110") as file:
        yield file
        describe(file, path)


def describe(file: h5py.File, path: str | Path) -> None:
    """Let a new file say what it is under its name, and nothing that was copied from another.

    Strings among its attributes are the one thing that HDF5 has no checksum for.
    """
    for name in (_PROVENANCE, _CRC32):
        file.attrs.pop(name, None)
    if (words := provenance.words(path)) is not None:
        file.attrs[_PROVENANCE] = words
    file.attrs[_CRC32] = _checksum(file)


def _checksum(file: h5py.File) -> int:
    """CRC-32 of a file's attributes but for this one."""
    values = {name: np.asarray(value).tolist() for name, value in file.attrs.items()}
    values.pop(_CRC32, None)
    return zlib.crc32(repr(sorted(values.items())).encode())


@contextmanager
def open_h5(path: str | Path, cache_bytes: int = 2**20) -> Iterator[h5py.File]:
    """An existing HDF5 file, open for reading.

    Parameters
    ----------
    path
        The file.
    cache_bytes
        Memory that each of its datasets may take for chunks that were read before.

    Raises
    ------
    InputError
        If the file is missing, truncated or not HDF5; if a read in the block fails and the file
        turns out to be damaged; or if the block looks for something that the file does not have.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="an HDF5 file")
    try:
        file = h5py.File(path, "r", rdcc_nbytes=cache_bytes, rdcc_nslots=10_007)
    except (OSError, RuntimeError) as error:
        size = path.stat().st_size
        raise _damaged(path, f"{size} bytes that do not open ({error})") from error
    with file:
        try:
            if file.attrs.get(_CRC32, checksum := _checksum(file)) != checksum:
                raise _damaged(path, "attributes that their checksum does not fit")
            yield file
        except InputError:
            raise
        except Exception as error:
            # Several files may be open: only a damaged one is named.
            if (found := _damage(file)) is not None:
                raise _damaged(path, found) from error
            if isinstance(error, KeyError) and "Unable to synchronously open" in str(error):
                raise _damaged(path, error.args[0]) from error
            raise


def _damaged(path: str | Path, found: object) -> InputError:
    return InputError(path, found=found, expected="a complete HDF5 file", remedy=_REMEDY)


def _damage(file: h5py.File) -> str | None:
    """What does not read in an open file; None if all does. Only data with checksums are read."""
    try:
        dict(file.attrs)
        for values in file.values():
            if isinstance(values, h5py.Dataset) and values.fletcher32:
                for chunk in values.iter_chunks():
                    values[chunk]
    except Exception as error:  # whatever the library makes of damaged bytes
        return f"data that do not read ({error})"
    return None


def read_provenance(path: str | Path) -> dict[str, Any] | None:
    """What an array or a table of results says of itself (`nsdrecon.provenance`).

    Returns
    -------
    None of a file of another kind, and of a table that says nothing of itself.

    Raises
    ------
    InputError
        If it is damaged, or an array that says nothing of itself, or a table without a checksum.
    """
    path = Path(path)
    if path.suffix == ".tsv":
        words, _ = _read_text(path)
        if words is None:
            raise InputError(
                path,
                found="no checksum in its first line",
                expected="the table as it was written",
                remedy=_REMEDY,
            )
        return provenance.parsed(words, path) if words else None
    if path.suffix != ".h5":
        return None
    with open_h5(path) as file:
        if _PROVENANCE not in file.attrs:
            raise InputError(
                path,
                found="nothing of where its data come from",
                expected=f"an attribute {_PROVENANCE!r}",
                remedy=_REMEDY,
            )
        return provenance.parsed(file.attrs[_PROVENANCE], path)


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
    with open_h5(path, ROW_CACHE) as file:
        values = dataset(file, name)
        found = unique_ids(dataset(file, ID)[()], path)
        if len(values) != len(found):
            raise InputError(path, found=f"{len(values)} rows of {name!r}", expected=len(found))
        return values[()] if nsd_id is None else read_rows(values, rows_of(nsd_id, found, path))


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
    return {k: v for k, v in file.attrs.items() if k not in {_PROVENANCE, _CRC32}}


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
    rest = f"{provenance.words(path) or ''}\n{text}".encode()
    with whole_file(path) as partial:
        partial.write_bytes(f"{_CHECKED}{zlib.crc32(rest):08x} ".encode() + rest)


def read_table(path: str | Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a tab-separated table and check that it has the columns.

    Raises
    ------
    InputError
        If the file is missing or damaged, is not a table or lacks a column.
    """
    _, text = _read_text(path)
    try:
        table = pd.read_csv(io.StringIO(text), sep="\t")
    except ValueError as error:  # empty or ragged
        raise InputError(
            path, found=f"text that does not parse ({error})", expected="a tab-separated table"
        ) from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            path,
            found=f"columns {listing(table.columns, 12)}",
            expected=f"also {listing(missing, 12)}",
        )
    return table


def _read_text(path: str | Path) -> tuple[str | None, str]:
    """What a table says of itself, None if it lacks the line for it, and its text."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a tab-separated table")
    content = path.read_bytes()
    try:
        if not content.startswith(_CHECKED.encode()):
            return None, content.decode()
        checksum, _, rest = content.removeprefix(_CHECKED.encode()).partition(b" ")
        if checksum.decode() == f"{zlib.crc32(rest):08x}":
            words, _, text = rest.decode().partition("\n")
            return words, text
        found = "text that its checksum does not fit"
    except UnicodeDecodeError as error:
        found = f"text that does not parse ({error})"
    raise InputError(path, found=found, expected="the table as it was written", remedy=_REMEDY)
