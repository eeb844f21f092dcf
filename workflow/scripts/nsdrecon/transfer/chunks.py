"""The voxels of a mask out of a session's remote HDF5 file, by ranged requests.

NSD's files of betas are uncompressed, and one chunk holds one voxel in all trials, so a voxel is a
run of bytes. Where it lies is in the index of the chunks, a B-tree (version 1) whose nodes lie
between the data. Only the nodes that lead to wanted chunks are fetched, level by level, then the
chunks: nothing about the order of chunks or nodes is assumed. Of a file of another layout all has
to be fetched.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import h5py
import numpy as np

from nsdrecon import store
from nsdrecon.errors import InputError
from nsdrecon.transfer.parts import fetch_parts
from nsdrecon.transfer.ranges import RemoteFile
from nsdrecon.transfer.s3 import Bucket
from nsdrecon.transfer.sources import NoRanges, Part, Source

logger = logging.getLogger(__name__)

# Chosen by measurement (benchmarks/bench_transfer.py): a request costs this process about 2 ms, and
# the delay of the network, which many requests at a time hide.
WORKERS = 32
GAP = 1 << 16
MOST_REQUESTS = 1000
LONGEST_RANGE = 1 << 20
# Bytes that travel for a byte of NSD's voxels.
OVERHEAD = 2
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
    level
        Its level; that of the nodes whose children are chunks is 0.
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
    level: int
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
            raise self.refusal("chunks outside of the dataset") from error

    def refusal(self, found: str) -> NoRanges:
        """What to raise for a file whose voxels this module does not find."""
        return NoRanges(
            self.label,
            found=found,
            expected="one uncompressed chunk a voxel, indexed by a B-tree of version 1",
        )


def read_voxels(
    bucket: Bucket,
    key: str,
    voxel: np.ndarray,
    shape: tuple[int, int, int],
    n_trials: int,
) -> np.ndarray:
    """Betas of one session at some voxels, out of its remote HDF5 file.

    No checksum covers a range of an object. All ranges are of one version (its ETag), and TLS
    vouches for the bytes on the way; a server of one's own without TLS has to be trusted.

    Parameters
    ----------
    bucket
        Where the file is.
    key
        Its key.
    voxel
        Shape (n_voxels, 3): the voxels' coordinates i, j, k, each once.
    shape
        Shape (X, Y, Z) of the volume; that of the dataset is (n_trials, Z, Y, X).
    n_trials
        How many trials the session has by the experiment's design.

    Returns
    -------
    Shape (n_trials, n_voxels), int16.

    Raises
    ------
    NoRanges
        If the server does not give parts of the file, or a chunk is not a voxel in all trials,
        uncompressed, found by a B-tree of version 1: the whole file can still be read.
    InputError
        If the file cannot be had, is damaged, or holds another volume or other numbers.
    TransferError
        If the network fails for longer than the patience lasts.
    """
    remote = bucket.describe(key)
    index, proof = _read_header(remote, voxel, (*shape, n_trials))
    zero = np.zeros((len(voxel), 1), np.int64)
    wanted = index.ranks(np.hstack([zero, voxel[:, ::-1], zero]))
    order = np.argsort(wanted)
    starts = np.array([index.root])
    for level in range(index.level, -1, -1):
        nodes = fetch_pieces(remote, starts, index.node_bytes).view(index.node)[:, 0]
        ranks, starts = _children(index, nodes, starts, level, wanted[order])
    if not np.array_equal(np.sort(ranks), wanted[order]):
        missing = np.setdiff1d(wanted, ranks)
        raise index.refusal(f"no chunk for {len(missing)} of {len(wanted)} voxels, or several")
    betas = np.empty((n_trials, len(voxel)), np.int16)
    chunks = fetch_pieces(remote, starts[np.argsort(ranks)], index.chunk_bytes)
    betas[:, order] = chunks.view(index.dtype).T
    if not np.array_equal(betas[:, 0], proof):
        raise index.refusal(f"other numbers for voxel {voxel[0].tolist()} than HDF5 reads")
    return betas


class _Memory:
    """Bytes in memory, as a `parts.Sink`."""

    def __init__(self, size: int) -> None:
        self.data = np.empty(size, np.uint8)

    def write(self, offset: int, data: bytes) -> None:
        """Take bytes."""
        self.data[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def finish(self, part: Part, md5: str) -> None:
        """Nothing to note: what is in memory is fetched in one go."""


def fetch_pieces(source: Source, starts: np.ndarray, length: int) -> np.ndarray:
    """Pieces of equal length of a remote file, near ones in one request.

    Parameters
    ----------
    source
        Where the bytes come from.
    starts
        Shape (n,): first byte of each piece, in any order.
    length
        Bytes of a piece.

    Returns
    -------
    Shape (n, length), uint8.
    """
    parts = coalesced(starts, length)
    memory = _Memory(sum(part.length for part in parts))
    fetch_parts(source, parts, memory)
    first = np.array([part.source for part in parts])
    target = np.array([part.target for part in parts])
    run = np.searchsorted(first, starts, side="right") - 1
    places = target[run] + starts - first[run]
    return np.stack([memory.data[place : place + length] for place in places.tolist()])


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

    Returns
    -------
    list of Part
        In the order of the remote file; their targets follow each other without gaps.
    """
    starts = np.unique(starts)
    gaps = np.diff(starts) - length
    if len(gaps) >= most:
        gap = max(gap, int(np.partition(gaps, -most)[-most]))
    parts, target = [], 0
    for run in np.split(starts, np.flatnonzero(gaps > gap) + 1):
        end = int(run[-1]) + length
        for start in range(int(run[0]), end, longest):
            parts.append(Part(start, target, min(longest, end - start)))
            target += parts[-1].length
    return parts


class _Witness(RemoteFile):
    """A remote file that notes the nodes of chunk indices read from it.

    Attributes
    ----------
    nodes
        First byte, level and length of each.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.nodes: list[tuple[int, int, int]] = []

    def readinto(self, buffer: bytearray) -> int:
        """As `RemoteFile.readinto`."""
        start, view = self.position, memoryview(buffer).cast("B")
        length = super().readinto(buffer)
        if bytes(view[:5]) == SIGNATURE + bytes([CHUNK_NODE]):
            self.nodes.append((start, view[5], length))
        return length


def _read_header(
    remote: Source, voxel: np.ndarray, expected: tuple[int, ...]
) -> tuple[Index, np.ndarray]:
    """Where the index is; and the first voxel in all trials, as HDF5 reads it.

    HDF5 does not say where an index is, but reads its root before anything else of it.
    """
    stream = _Witness(remote)
    try:
        with h5py.File(stream, "r") as file:
            betas = store.dataset(file, "betas")
            if (
                betas.shape[::-1] != expected
                or betas.dtype.kind != "i"
                or betas.dtype.itemsize != 2
            ):
                raise InputError(
                    remote.label,
                    found=f"{betas.dtype} of shape {betas.shape}",
                    expected=f"int16 of shape {expected[::-1]} as by mask and design",
                )
            n_filters = betas.id.get_create_plist().get_nfilters()
            layout = (file.userblock_size, 0, 0, 0, betas.chunks, betas.shape, betas.dtype)
            index = Index(remote.label, remote.size, *layout)
            if betas.chunks != (len(betas), 1, 1, 1) or n_filters:
                raise index.refusal(f"chunks {betas.chunks}, {n_filters} filters")
            i, j, k = voxel[0].tolist()
            proof = betas[:, k, j, i]
            sizes = file.id.get_create_plist().get_sizes()
    except OSError as error:
        raise InputError(
            remote.label, found=f"data that do not read ({error})", expected="a complete HDF5 file"
        ) from error
    if not stream.nodes or sizes != (8, 8):
        raise index.refusal("no such index")
    root, level, node_bytes = stream.nodes[0]
    index = replace(index, root=root, level=level, node_bytes=node_bytes)
    if index.node.itemsize != node_bytes:
        raise index.refusal(f"nodes of {node_bytes} bytes")
    logger.info("%s of shape %s, index at byte %d", index.dtype, index.shape, root)
    return index, proof


def _children(
    index: Index, nodes: np.ndarray, starts: np.ndarray, level: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and first bytes of those children of nodes that are, or lead to, wanted chunks.

    Parameters
    ----------
    index
        Whose nodes they are.
    nodes
        Shape (n,), of type `Index.node`.
    starts
        Shape (n,): their first bytes.
    level
        Their level; 0 is that of the chunks.
    wanted
        Ranks of the wanted chunks, ascending.
    """
    number, used = np.arange(nodes["entries"].shape[1] + 1), nodes["used"][:, np.newaxis]
    sound = (
        (nodes["signature"] == SIGNATURE)
        & (nodes["type"] == CHUNK_NODE)
        & (nodes["level"] == level)
        & (nodes["used"] < len(number))
    )
    if not sound.all():
        raise index.refusal(f"no node of level {level} at byte {starts[~sound][0]}")
    key = np.concatenate([nodes["entries"]["key"], nodes["last"][:, np.newaxis]], axis=1)
    # What lies behind the last key in use is not defined.
    rank = index.ranks(np.where((number <= used)[..., np.newaxis], key["offset"], 0))
    least, key = rank[:, :-1], key[:, :-1]
    beyond = rank[:, 1:] if level else least + 1
    chosen = (number[:-1] < used) & (
        np.searchsorted(wanted, least) < np.searchsorted(wanted, beyond)
    )
    length = index.node_bytes if level else index.chunk_bytes
    start = nodes["entries"]["child"][chosen]
    if (start > np.uint64(index.size - index.base - length)).any():
        raise index.refusal("chunks or nodes outside of the file")
    if not level and ((key["bytes"] != length) | (key["filters"] != 0))[chosen].any():
        raise index.refusal("chunks of other lengths, or filtered")
    return least[chosen], start.astype(np.int64) + index.base
