"""Where the bytes of a file come from, what answers mean, and for how long to ask again."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from nsdrecon.errors import InputError

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHUNK = 1 << 18
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
UNREACHABLE_PATIENCE = 20.0


class TransferError(RuntimeError):
    """The network or the server failed for longer than the patience lasts.

    What has arrived is kept; running again continues there.
    """


class Interruption(Exception):
    """A fault that may pass: the request is made again for the bytes that are missing."""


class Unreachable(Interruption):
    """No connection at all: at the very start rather a wrong address than a bad moment."""


class NoRanges(InputError):
    """A server does not give parts of a file, or they are of no use: all of it can be fetched."""


@dataclass(frozen=True)
class Part:
    """A run of bytes: ``length`` bytes from ``source`` at the origin to ``target`` in the file."""

    source: int
    target: int
    length: int


class Source(Protocol):
    """Where the bytes of one version of a file come from.

    Attributes
    ----------
    label
        Its address.
    size
        Its length.
    etag
        What its server calls this version; None if it says nothing.
    workers
        Concurrent requests.
    patience
        Seconds without any byte after which a part is given up.
    """

    label: str
    size: int
    etag: str | None
    workers: int
    patience: float

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the bytes from ``start``, in chunks.

        Raises
        ------
        Interruption
            If the bytes break off, for a cause that may pass.
        NoRanges
            If the server gives only all of the file.
        InputError, TransferError
            For a cause that will not pass.
        """
        ...


def range_header(source: Source, start: int, length: int) -> str | None:
    """What to ask a server for; None for all of the file."""
    return None if (start, length) == (0, source.size) else f"bytes={start}-{start + length - 1}"


def body(
    source: Source,
    start: int,
    length: int,
    *,
    etag: str | None,
    content_range: str | None,
    read: Callable[[int], bytes],
) -> Iterator[bytes]:
    """The bytes that were asked for out of a server's answer, in chunks.

    All answers have to be of one version of the file. That is seen from what each of them says of
    itself: a condition in the request (``If-Match``) is refused, or ignored, by some servers.

    Parameters
    ----------
    source, start, length
        What was asked for.
    etag, content_range
        These headers of the answer, None where it has none; without a range it is all of the file.
    read
        Reads a number of bytes of its body.

    Raises
    ------
    Interruption, NoRanges
        As for `Source.read`.
    TransferError
        If the answer is of another version of the file.
    """
    last = start + length - 1
    same_size = content_range is None or content_range.endswith(f"/{source.size}")
    if etag != source.etag or not same_size:
        raise TransferError(f"{source.label}: the file changed while it was fetched. Run again.")
    if content_range is None:
        if last + 1 < source.size:
            raise NoRanges(
                source.label,
                found="a server that sends all of it",
                expected="a part of the file",
                remedy="Fetch the whole file (of stimuli: nsd.stimuli: whole).",
            )
        for _ in read_chunks(read, start):  # to where the bytes broke off
            pass
    elif content_range != f"bytes {start}-{last}/{source.size}":
        raise Interruption(f"{content_range} in place of bytes {start}-{last}/{source.size}")
    yield from read_chunks(read, length)


def split(size: int, part_size: int) -> list[Part]:
    """Parts of equal size, the last one shorter, that make up a whole file."""
    return [Part(start, start, min(part_size, size - start)) for start in range(0, size, part_size)]


def read_chunks(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """Exactly ``length`` bytes of a stream, in chunks; what it holds beyond them is left.

    Raises
    ------
    Interruption
        If the stream ends early.
    """
    while length:
        chunk = read(min(CHUNK, length))
        if not chunk:
            raise Interruption(f"the answer ended {length} bytes early")
        length -= len(chunk)
        yield chunk


class Patience:
    """The pauses between attempts: doubling, and over when nothing has come for some time.

    Parameters
    ----------
    seconds
        How long to go on without any success.
    label
        What is being fetched, for the error.
    stop
        Set by whoever wants the waiting to end.
    unreachable
        How long to go on if there is no connection at all; default as ``seconds``.
    """

    def __init__(
        self,
        seconds: float,
        label: str,
        stop: threading.Event | None = None,
        unreachable: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.label = label
        self.stop = stop or threading.Event()
        self.unreachable = seconds if unreachable is None else min(unreachable, seconds)
        self.renew()

    def renew(self) -> None:
        """Something came: start counting again."""
        self.since = time.monotonic()
        self.pause = FIRST_PAUSE

    def wait(self, fault: Exception) -> None:
        """Pause before the next attempt.

        Raises
        ------
        TransferError
            If the patience is over.
        """
        limit = self.unreachable if isinstance(fault, Unreachable) else self.seconds
        left = limit - (time.monotonic() - self.since)
        if left <= 0:
            raise TransferError(
                f"{self.label}: nothing arrived for {limit:.0f} s (last fault: {fault}). "
                "Fetch on a node with internet access. What has arrived is kept; run again to "
                "continue there."
            ) from fault
        logger.debug("%s: %s; trying again", self.label, fault)
        self.stop.wait(min(left, self.pause * random.uniform(0.5, 1.5)))
        self.pause = min(2 * self.pause, LONGEST_PAUSE)


def persist(call: Callable[[], T], seconds: float, label: str) -> T:
    """The result of a call, made again after every `Interruption` while the patience lasts."""
    patience = Patience(seconds, label, unreachable=UNREACHABLE_PATIENCE)
    while True:
        try:
            return call()
        except Interruption as fault:
            patience.wait(fault)
