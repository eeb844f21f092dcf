"""Files with checksums, which are compared when they are read, and which say what they are.

Arrays have HDF5's own checksums (fletcher32), and so has the structure of their files (the format
of HDF5 1.10); that of a table is in its first line. What a file that a job makes says of itself is
in `nsdrecon.provenance`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nsdrecon import provenance
from nsdrecon.errors import InputError
from nsdrecon.whole_files import whole_file

# For single rows: a row of chunks as wide as NSD's latents (23 MB), so that none is read twice.
ROW_CACHE = 32 * 2**20
OF_ITSELF = frozenset({"provenance", "crc32"})
"""Attributes in which an HDF5 file speaks of itself, and not of what is in it."""
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
        **compression: object,
    ) -> h5py.Dataset:
        """Create a dataset as in h5py; ``chunks`` are cut down to its shape."""
        size = np.asarray(data).shape if shape is None else shape
        if 0 in size:
            return super().create_dataset(name, size, dtype, data)
        chunks = tuple(map(min, chunks or _chunks(len(size)), size))
        return super().create_dataset(
            name, size, dtype, data, chunks=chunks, fletcher32=True, **compression
        )


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
    for name in OF_ITSELF:
        file.attrs.pop(name, None)
    if (words := provenance.words(path)) is not None:
        file.attrs["provenance"] = words
    file.attrs["crc32"] = _checksum(file)


def _checksum(file: h5py.File) -> int:
    """CRC-32 of a file's attributes but for this one."""
    values = {name: np.asarray(value).tolist() for name, value in file.attrs.items()}
    values.pop("crc32", None)
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
            if file.attrs.get("crc32", checksum := _checksum(file)) != checksum:
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
        words, _ = read_text(path)
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
        if "provenance" not in file.attrs:
            raise InputError(
                path,
                found="nothing of where its data come from",
                expected="an attribute 'provenance'",
                remedy=_REMEDY,
            )
        return provenance.parsed(file.attrs["provenance"], path)


def write_text(path: str | Path, text: str) -> None:
    """Write a table's text, all or nothing, below a line with its checksum and what it is."""
    rest = f"{provenance.words(path) or ''}\n{text}".encode()
    with whole_file(path) as partial:
        partial.write_bytes(f"{_CHECKED}{zlib.crc32(rest):08x} ".encode() + rest)


def read_text(path: str | Path) -> tuple[str | None, str]:
    """What a table says of itself, None if it lacks the line for it, and its text."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a table")
    content = path.read_bytes()
    if not content.startswith(_CHECKED.encode()):
        try:
            return None, content.decode()
        except UnicodeDecodeError as error:
            found = f"text that does not parse ({error})"
            raise InputError(path, found=found, expected="a table in UTF-8") from error
    try:
        checksum, _, rest = content.removeprefix(_CHECKED.encode()).partition(b" ")
        if checksum.decode() == f"{zlib.crc32(rest):08x}":
            words, _, text = rest.decode().partition("\n")
            return words, text
        found = "text that its checksum does not fit"
    except UnicodeDecodeError as error:
        found = f"text that does not parse ({error})"
    raise InputError(path, found=found, expected="the table as it was written", remedy=_REMEDY)
