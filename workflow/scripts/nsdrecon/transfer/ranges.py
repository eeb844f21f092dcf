"""The images of a few subjects out of the remote stimulus file, by ranged requests.

The stimulus file holds its images in one contiguous, uncompressed HDF5 dataset, so an image is a
run of bytes. Where the dataset begins is read from the file's own header, over the network, and
checked against one image read through HDF5 itself; nothing about it is assumed.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from nsdrecon import store
from nsdrecon.errors import InputError, listing
from nsdrecon.transfer.manifest import Record, record_of
from nsdrecon.transfer.parts import PartialFile, forget, is_here
from nsdrecon.transfer.s3 import Bucket, RemoteObject
from nsdrecon.transfer.sources import NoRanges, Part, Source, persist

logger = logging.getLogger(__name__)

BLOCK = 1 << 14
LONGEST_RANGE = 8 << 20
IMAGES = "images"


class RemoteFile(io.RawIOBase):
    """A read-only, seekable file whose bytes are fetched on demand (for small reads: a header).

    Parameters
    ----------
    source
        Where the bytes come from.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.size = source.size
        self.position = 0
        self.blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def readinto(self, buffer: bytearray) -> int:
        """Fill a buffer from the current position; fewer bytes only at the end of the file."""
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self.size - self.position))
        if length > BLOCK:
            view[:length] = self._fetch(self.position, length)
        else:
            filled = 0
            while filled < length:
                block, start = divmod(self.position + filled, BLOCK)
                data = self._block(block)[start : start + length - filled]
                view[filled : filled + len(data)] = data
                filled += len(data)
        self.position += length
        return length

    def _block(self, index: int) -> bytes:
        if index not in self.blocks:
            start = index * BLOCK
            self.blocks[index] = self._fetch(start, min(BLOCK, self.size - start))
        return self.blocks[index]

    def _fetch(self, start: int, length: int) -> bytes:
        def read() -> bytes:
            return b"".join(self.source.read(start, length))

        return persist(read, self.source.patience, self.source.label)


@dataclass(frozen=True)
class Layout:
    """Where the images of an HDF5 dataset lie in its file.

    Parameters
    ----------
    offset
        First byte of image 0.
    shape
        (n_images, height, width, channels).
    """

    offset: int
    shape: tuple[int, int, int, int]

    @property
    def image_bytes(self) -> int:
        """Bytes of an image (uint8)."""
        return math.prod(self.shape[1:])


def image_layout(dataset: h5py.Dataset, label: str, size: int) -> Layout:
    """Where a dataset's images lie, if they are runs of bytes.

    Parameters
    ----------
    dataset
        Dataset of an open file.
    label
        The file, for errors.
    size
        Bytes of the file.

    Raises
    ------
    InputError
        If the dataset is not contiguous, uncompressed uint8 of shape (n, height, width, 3) that
        lies wholly in the file.
    """
    created = dataset.id.get_create_plist()
    offset = dataset.id.get_offset()
    layouts = {h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.CHUNKED: "chunked"}
    layout = layouts.get(created.get_layout(), "other")
    found = f"{layout} {dataset.dtype} of shape {dataset.shape} at byte {offset} of {size}"
    fits = (
        layout == "contiguous"
        and created.get_external_count() == 0
        and dataset.dtype == np.uint8
        and dataset.ndim == 4
        and dataset.shape[3] == 3
        and offset is not None
        and offset + dataset.size <= size
    )
    if not fits:
        raise NoRanges(
            f"{label}:{dataset.name}",
            found=found,
            expected="contiguous uint8 images of shape (n, height, width, 3)",
            remedy="Fetch the whole file (nsd.stimuli: whole).",
        )
    logger.info("%s:%s is %s", label, dataset.name, found)
    return Layout(offset, dataset.shape)


def image_parts(
    nsd_id: np.ndarray, remote: Layout, local: Layout, longest: int = LONGEST_RANGE
) -> list[Part]:
    """The ranges that hold some images, neighbours in one request.

    Parameters
    ----------
    nsd_id
        Shape (n,), sorted: rows of the remote dataset; row i of the local one is ``nsd_id[i]``.
    remote, local
        Where the images lie, and where they go.
    longest
        Most bytes in a request (but at least one image).

    Returns
    -------
    list of Part
        Exactly the bytes of the images: at many concurrent requests, a request costs less time
        than the bytes of an image nobody wants.
    """
    size = remote.image_bytes
    most = max(1, longest // size)
    parts = []
    breaks = np.flatnonzero(np.diff(nsd_id) != 1) + 1
    for run in np.split(np.arange(len(nsd_id)), breaks):
        for row in run[::most]:
            n = min(most, int(run[-1]) + 1 - int(row))
            source = remote.offset + int(nsd_id[row]) * size
            parts.append(Part(source, local.offset + int(row) * size, n * size))
    return parts


def download_stimuli_by_ranges(
    bucket: Bucket,
    key: str,
    nsd_id: Sequence[int] | np.ndarray,
    path: str | Path,
    *,
    record: str | Path | None = None,
) -> Record:
    """Fetch some images of the remote stimulus file into a local HDF5 file.

    The local file holds ``nsd_id`` (n,), sorted, and ``images`` (n, height, width, 3), uint8,
    identical to those rows of the remote dataset. What an interrupted run left is used; a file
    with the same images of the same version is kept.

    No checksum covers a range of an object. All ranges are of one version (its ETag), and TLS
    vouches for the bytes on the way; a server of one's own without TLS has to be trusted.

    Parameters
    ----------
    bucket
        Where the stimulus file is.
    key
        Its key.
    nsd_id
        Shape (n,): the images, 0-based rows, in any order, each once.
    path
        The local file.
    record
        Table to write the record to.

    Returns
    -------
    Record
        What was fetched; its checksum is the SHA-256 of the local file.

    Raises
    ------
    InputError
        If the file cannot be read, its layout does not allow ranges, an id is not in it, or the
        disk is full.
    TransferError
        If the network fails for longer than the patience lasts; running again continues.
    """
    path = Path(path)
    nsd_id = np.sort(store.unique_ids(np.asarray(nsd_id), path))
    if not len(nsd_id):
        raise InputError(path, found="no nsd_id", expected="at least one image")
    remote = bucket.describe(key)

    if not is_here(path, lambda data: _holds(data, remote, nsd_id)):
        _fetch(remote, nsd_id, path)
    found = record_of(path, remote.label, table=record)
    forget(path)
    return found


def _fetch(remote: RemoteObject, nsd_id: np.ndarray, path: Path) -> None:
    """Fetch images into a file that has room for them, then copy them to one with checksums."""
    origin = _read_layout(remote, nsd_id)
    identity = {"etag": remote.etag, "nsd_id": nsd_id.tolist()}
    create = partial(_create, nsd_id=nsd_id, shape=origin.shape, remote=remote)
    with PartialFile(path, identity, create) as file:
        # The lock on the file is ours, and HDF5's would be a second one.
        with h5py.File(file.data, "r", locking=False) as local:
            target = image_layout(local[IMAGES], str(file.data), file.data.stat().st_size)
        file.fetch(remote, image_parts(nsd_id, origin, target))
    store.merge_h5([file.data], path, [IMAGES])


def remote_layout(bucket: Bucket, key: str) -> Layout:
    """Where the images of the remote stimulus file lie; errors as `download_stimuli_by_ranges`."""
    return _read_layout(bucket.describe(key), np.array([0]))


def _read_layout(remote: RemoteObject, nsd_id: np.ndarray) -> Layout:
    """The layout in the remote header, proven on one image read through HDF5."""
    stream = RemoteFile(remote)
    try:
        file = h5py.File(stream, "r")
    except OSError as error:
        raise InputError(remote.label, found=f"no HDF5 ({error})", expected="HDF5") from error
    with file:
        images = store.dataset(file, "imgBrick")
        layout = image_layout(images, remote.label, remote.size)
        outside = nsd_id[nsd_id >= layout.shape[0]]
        if len(outside):
            raise InputError(
                remote.label,
                found=f"{layout.shape[0]} images, none for nsd_id {listing(outside)}",
                expected="an image for every id",
            )
        first = int(nsd_id[0])
        stream.seek(layout.offset + first * layout.image_bytes)
        if stream.read(layout.image_bytes) != images[first].tobytes():
            raise NoRanges(
                remote.label,
                found=f"other bytes for nsd_id {first} than HDF5 reads",
                expected=f"images from byte {layout.offset} on",
                remedy="Fetch the whole file (nsd.stimuli: whole).",
            )
    return layout


def _create(path: Path, nsd_id: np.ndarray, shape: tuple[int, ...], remote: RemoteObject) -> None:
    """A file with room for the images at its end, allocated but not written.

    ``shape`` is that of all stimuli.
    """
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w", locking=False) as file:
        file.attrs["source"] = remote.label
        file.attrs["etag"] = remote.etag
        file.attrs["n_stimuli"] = shape[0]
        file[store.ID] = nsd_id
        space = h5py.h5s.create_simple((len(nsd_id), *shape[1:]))
        h5py.h5d.create(file.id, IMAGES.encode(), h5py.h5t.NATIVE_UINT8, space, plan)


def _holds(path: Path, remote: RemoteObject, nsd_id: np.ndarray) -> bool:
    """Whether a file has these images of this version of the object."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("etag") == remote.etag and np.array_equal(
                file[store.ID][()], nsd_id
            )
    except (OSError, KeyError):
        return False
