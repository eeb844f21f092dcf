"""The voxels of a mask out of a session's remote HDF5 file, by ranged requests.

NSD's files of betas are uncompressed, and one chunk holds one voxel in all trials, so a voxel is a
run of bytes. Where it lies is in the index of the chunks, a B-tree (version 1) whose nodes lie
between the data. Only the nodes that lead to wanted chunks are fetched, level by level, then the
chunks. They go where they are in the remote file, into a sparse copy of it, from which HDF5 itself
reads the voxels: nothing about the order of chunks or nodes is assumed.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from nsdrecon import store
from nsdrecon.errors import InputError
from nsdrecon.transfer.parts import Fetch, Part, PartialFile
from nsdrecon.transfer.ranges import BLOCK, RemoteFile
from nsdrecon.transfer.s3 import Bucket, ObjectSource, RemoteObject

logger = logging.getLogger(__name__)

# Chosen by measurement (benchmarks/bench_transfer.py): a request costs this process about 2 ms, and
# the delay of the network, which many requests at a time hide.
WORKERS = 32
GAP = 1 << 16
MOST_REQUESTS = 400
LONGEST_RANGE = 1 << 20
NODES_AT_A_TIME = 1 << 10
# Bytes that travel for a byte of NSD's voxels.
OVERHEAD = 3
SIGNATURE = b"TREE"
CHUNK_NODE = 1


@dataclass(frozen=True)
class Index:
    """The chunk index of a dataset, a B-tree of HDF5's version 1.

    Parameters
    ----------
    label
        The file, for errors.
    size
        Bytes of the file.
    base
        Byte of the file that addresses in it count from.
    root
        First byte of the root node.
    node_bytes
        Length of every node.
    chunk
        Shape of a chunk.
    shape
        Shape of the dataset.
    dtype
        Its type.
    """

    label: str
    size: int
    base: int
    root: int
    node_bytes: int
    chunk: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk."""
        return math.prod(self.chunk) * self.dtype.itemsize

    @property
    def node(self) -> np.dtype:
        """A node in the file; child i holds the chunks from key i on that are before key i + 1."""
        key = np.dtype(
            [("bytes", "<u4"), ("filters", "<u4"), ("offset", "<u8", len(self.shape) + 1)]
        )
        head = [("signature", "S4"), ("type", "u1"), ("level", "u1"), ("used", "<u2")]
        siblings = [("left", "<u8"), ("right", "<u8")]
        entry = np.dtype([("key", key), ("child", "<u8")])
        n_entries = (self.node_bytes - np.dtype([*head, *siblings]).itemsize) // entry.itemsize
        return np.dtype([*head, *siblings, ("entries", entry, n_entries), ("last", key)])

    def ranks(self, offset: np.ndarray) -> np.ndarray:
        """Numbers in the order of the index, shape (...), int64: its first axis varies slowest.

        Parameters
        ----------
        offset
            Shape (..., n_axes + 1): indices of the first element of each chunk, and a byte in it.
            The last key of the tree is beyond the last chunk, by one along every axis.
        """
        chunk = np.array([*self.chunk, self.dtype.itemsize])
        number = np.moveaxis(offset.astype(np.int64) // chunk, -1, 0)
        counts = [math.ceil(a / b) + 1 for a, b in zip(self.shape, self.chunk, strict=True)]
        try:
            return np.ravel_multi_index(tuple(number), (*counts, 2))
        except ValueError as error:
            raise self.error("chunks outside of the dataset") from error

    def error(self, found: str) -> InputError:
        """The error for a file that this module does not read."""
        return InputError(
            self.label,
            found=found,
            expected="int16, one uncompressed chunk a voxel, indexed by a B-tree of version 1",
            remedy="Fetch whole volumes (nsd.volumes: whole).",
        )


@contextmanager
def fetched_chunks(
    bucket: Bucket,
    key: str,
    voxel: np.ndarray,
    shape: tuple[int, int, int],
    path: str | Path,
    *,
    dataset: str = "betas",
) -> Iterator[Path]:
    """A sparse copy of a remote session file that holds the voxels of a mask.

    What an interrupted run left is used. The copy is removed when the block ends well; if it does
    not, the next run has nothing to fetch.

    No checksum covers a range of an object. All ranges are of one version (its ETag), TLS vouches
    for the bytes on the way, and without TLS each range is fetched until two fetches agree (which
    doubles the bytes).

    Parameters
    ----------
    bucket
        Where the file is.
    key
        Its key.
    voxel
        Shape (n, 3): the voxels' coordinates i, j, k, each once.
    shape
        Shape (X, Y, Z) of the volume; that of the dataset is (trials, Z, Y, X).
    path
        A name beside which the copy may lie; the copy's name ends like it.
    dataset
        Name of the remote dataset.

    Yields
    ------
    Path
        The copy. Other parts of it than the header and these voxels are not what they should be.

    Raises
    ------
    InputError
        If the file cannot be read, its volume has another shape, a chunk is not a voxel in all
        trials, uncompressed, found by a B-tree of version 1, or the disk is full.
    TransferError
        If the network fails for longer than the patience lasts; running again continues.
    """
    remote = bucket.describe(key)
    source, twice = ObjectSource(bucket, remote), not bucket.encrypted
    stream = _Witness(source, remote.size, bucket.patience, twice)
    index, proof = _read_header(stream, remote, dataset, voxel, shape)
    identity = {"etag": remote.etag, "size": remote.size}
    with PartialFile(path, identity, lambda data: os.truncate(data, remote.size)) as file:
        for number, block in stream.blocks.items():
            file.write(number * BLOCK, block)

        def fetch(starts: np.ndarray, length: int) -> None:
            Fetch(
                source,
                file,
                coalesced(starts[~covered(starts, length, file.md5)], length),
                workers=bucket.workers,
                patience=bucket.patience,
                twice=twice,
            ).run()

        with file.data.open("rb") as copy:
            chunks = _find_chunks(index, copy, voxel, fetch)
            fetch(chunks, index.chunk_bytes)
            found = os.pread(copy.fileno(), index.chunk_bytes, chunks[0])
        if found != proof.tobytes():
            raise index.error(f"other bytes for voxel {voxel[0].tolist()} than HDF5 reads")
        file.share()
        yield file.data
        file.discard()


def covered(starts: np.ndarray, length: int, parts: Iterable[Part]) -> np.ndarray:
    """Which pieces of equal length lie in some parts, shape (n,), bool.

    What was fetched to save requests may hold what is wanted later.
    """
    ranges = sorted((part.target, part.target + part.length) for part in parts)
    first, end = np.array(ranges, np.int64).reshape(-1, 2).T
    end = np.maximum.accumulate(end)
    begins = np.concatenate([[True], first[1:] > end[:-1]])[: len(first)]
    ends = np.concatenate([begins[1:], [True]])[: len(first)]
    run = np.searchsorted(first[begins], starts, side="right") - 1
    return (run >= 0) & (starts + length <= np.append(end[ends], 0)[run])


def coalesced(
    starts: np.ndarray,
    length: int,
    *,
    gap: int = GAP,
    most: int = MOST_REQUESTS,
    longest: int = LONGEST_RANGE,
) -> list[Part]:
    """Ranges that hold some pieces of equal length, near ones in one request.

    Parameters
    ----------
    starts
        Shape (n,): first byte of each piece, in any order.
    length
        Bytes of a piece.
    gap
        Bytes between two pieces that are fetched, though nobody wants them, to save a request.
    most
        Number of requests above which larger gaps are fetched, too.
    longest
        Most bytes in a request: longer runs are cut.
    """
    starts = np.unique(starts)
    gaps = np.diff(starts) - length
    if len(gaps) >= most:
        gap = max(gap, int(np.partition(gaps, -most)[-most]))
    runs = np.split(starts, np.flatnonzero(gaps > gap) + 1) if len(starts) else []
    return [
        Part(start, start, min(longest, end - start))
        for first, end in ((int(run[0]), int(run[-1]) + length) for run in runs)
        for start in range(first, end, longest)
    ]


class _Witness(RemoteFile):
    """A remote file that notes first byte and length of the nodes of chunk indices read from it."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.nodes: list[tuple[int, int]] = []

    def readinto(self, buffer: bytearray) -> int:
        """As `RemoteFile.readinto`."""
        start, view = self.position, memoryview(buffer).cast("B")
        length = super().readinto(buffer)
        if bytes(view[:5]) == SIGNATURE + bytes([CHUNK_NODE]):
            self.nodes.append((start, length))
        return length


def _read_header(
    stream: _Witness,
    remote: RemoteObject,
    name: str,
    voxel: np.ndarray,
    shape: tuple[int, int, int],
) -> tuple[Index, np.ndarray]:
    """Where the index is; and the first voxel in all trials, as HDF5 reads it.

    HDF5 does not say where an index is, but reads its root before anything else of it.
    """
    try:
        with h5py.File(stream, "r") as file:
            betas = store.dataset(file, name)
            n_filters = betas.id.get_create_plist().get_nfilters()
            found = f"{betas.dtype} of shape {betas.shape}, chunks {betas.chunks}, "
            found += f"{n_filters} filters"
            layout = (file.userblock_size, 0, 0, betas.chunks, betas.shape, betas.dtype)
            index = Index(remote.label, remote.size, *layout)
            one_voxel = betas.ndim == 4 and betas.chunks == (len(betas), 1, 1, 1)
            if betas.dtype.kind != "i" or betas.dtype.itemsize != 2 or not one_voxel or n_filters:
                raise index.error(found)
            if betas.shape[:0:-1] != tuple(shape):
                raise InputError(
                    remote.label,
                    found=f"a volume of {betas.shape[:0:-1]}",
                    expected=f"{tuple(shape)} as in the mask",
                )
            i, j, k = voxel[0].tolist()
            proof = betas[:, k, j, i]
            sizes = file.id.get_create_plist().get_sizes()
    except OSError as error:
        raise InputError(
            remote.label, found=f"data that do not read ({error})", expected="a complete HDF5 file"
        ) from error
    if not stream.nodes or sizes != (8, 8):
        raise index.error(f"{found}, no such index")
    root, node_bytes = stream.nodes[0]
    logger.info("%s:%s is %s, its index at byte %d", remote.label, name, found, root)
    return replace(index, root=root, node_bytes=node_bytes), proof.astype(betas.dtype)


def _find_chunks(
    index: Index, copy: BinaryIO, voxel: np.ndarray, fetch: Callable[[np.ndarray, int], None]
) -> np.ndarray:
    """First byte of each voxel's chunk, shape (n,), fetching the nodes that lead to it."""
    zero = np.zeros((len(voxel), 1), np.int64)
    wanted, place = np.unique(
        index.ranks(np.hstack([zero, voxel[:, ::-1], zero])), return_inverse=True
    )
    nodes = np.array([index.root])  # is here: HDF5 read it
    level = int(_read_nodes(index, copy, nodes)["level"][0])
    ranks, starts = _children(index, copy, nodes, level, wanted)
    while level:
        fetch(starts, index.node_bytes)
        level -= 1
        ranks, starts = _children(index, copy, starts, level, wanted)
    if not np.array_equal(np.sort(ranks), wanted):
        missing = np.setdiff1d(wanted, ranks)
        raise index.error(f"no chunk for {len(missing)} of {len(wanted)} voxels, or several")
    return starts[np.argsort(ranks)][place]


def _children(
    index: Index, copy: BinaryIO, nodes: np.ndarray, level: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and first bytes of those children of nodes that are, or lead to, wanted chunks."""
    ranks, starts = [], []
    for batch in np.split(nodes, range(NODES_AT_A_TIME, len(nodes), NODES_AT_A_TIME)):
        read = _read_nodes(index, copy, batch)
        number, used = np.arange(read["entries"].shape[1] + 1), read["used"][:, np.newaxis]
        sound = (
            (read["signature"] == SIGNATURE)
            & (read["type"] == CHUNK_NODE)
            & (read["level"] == level)
            & (read["used"] < len(number))
        )
        if not sound.all():
            raise index.error(f"no node of level {level} at byte {batch[~sound][0]}")
        key = np.concatenate([read["entries"]["key"], read["last"][:, np.newaxis]], axis=1)
        # What lies behind the last key in use is not defined.
        rank = index.ranks(np.where((number <= used)[..., np.newaxis], key["offset"], 0))
        least, key = rank[:, :-1], key[:, :-1]
        beyond = rank[:, 1:] if level else least + 1
        chosen = (number[:-1] < used) & (
            np.searchsorted(wanted, least) < np.searchsorted(wanted, beyond)
        )
        length = index.node_bytes if level else index.chunk_bytes
        start = read["entries"]["child"][chosen]
        if (start > np.uint64(index.size - index.base - length)).any():
            raise index.error("chunks or nodes outside of the file")
        if not level and ((key["bytes"] != length) | (key["filters"] != 0))[chosen].any():
            raise index.error("chunks of other lengths, or filtered")
        ranks.append(least[chosen])
        starts.append(start.astype(np.int64) + index.base)
    return np.concatenate(ranks), np.concatenate(starts)


def _read_nodes(index: Index, copy: BinaryIO, starts: np.ndarray) -> np.ndarray:
    """Nodes of the index, shape (n,), of type `Index.node`."""
    data = [os.pread(copy.fileno(), index.node_bytes, start) for start in starts.tolist()]
    return np.frombuffer(b"".join(data), index.node)
