"""A file fetched in parts: concurrently, continued after any interruption, whole or not at all.

While it is being fetched, the data lie in ``.partial-<name>`` beside the final name, and
``.partial-<name>.journal`` lists the parts that are complete, with their MD5. After a kill, the
next run reads the listed parts back, keeps those that are as the journal says, and fetches the
others. A part that breaks off is continued at the byte where it broke.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.transfer.checksums import new_md5

logger = logging.getLogger(__name__)
T = TypeVar("T")

CHUNK = 1 << 18
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
AGREEMENT_ATTEMPTS = 5
ENTRY = re.compile(r"(\d+) (\d+) (\d+) ([0-9a-f]{32})")
VERIFIERS = 4


class TransferError(RuntimeError):
    """The network or the server failed for longer than the patience lasts.

    What has arrived is kept; running again continues there.
    """


class Interruption(Exception):
    """A fault that may pass: the request is made again for the bytes that are missing."""


class Unreachable(Interruption):
    """No connection at all: at the very start rather a wrong address than a bad moment."""


@dataclass(frozen=True)
class Part:
    """A run of bytes: ``length`` bytes from ``source`` at the origin to ``target`` in the file."""

    source: int
    target: int
    length: int

    def __str__(self) -> str:
        return f"{self.length} bytes from {self.source}"


class Source(Protocol):
    """Where the bytes of a file come from."""

    label: str

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the bytes from ``start``, in chunks.

        Raises
        ------
        Interruption
            If the bytes break off, for a cause that may pass.
        InputError, TransferError
            For a cause that will not pass.
        """
        ...


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


def persist(call: Callable[[], T], patience: Patience) -> T:
    """The result of a call, made again after every `Interruption` while the patience lasts."""
    while True:
        try:
            return call()
        except Interruption as fault:
            patience.wait(fault)


class PartialFile:
    """A file that is not complete yet, and the journal of its complete parts.

    Use it as a context manager. Leaving it without `commit` keeps both files for the next run.

    Parameters
    ----------
    path
        The final name.
    identity
        What is fetched (size, version, ...), as JSON values. Data left by a run with another
        identity are discarded.
    create
        Fills the empty file at a path to its full size.

    Attributes
    ----------
    md5
        MD5 of each complete part.

    Raises
    ------
    InputError
        If another process is fetching the same file, or the disk is full.
    """

    def __init__(self, path: str | Path, identity: object, create: Callable[[Path], None]) -> None:
        self.path = Path(path)
        self.data, self.journal = _partial(self.path)
        self.identity = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self.create = create
        self.md5: dict[Part, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> PartialFile:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._disk_errors():
            self._file = os.open(self.data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._claim()
                self._read_journal()
                self._keep_intact()
            except BaseException:
                os.close(self._file)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes at an offset (from any thread)."""
        view = memoryview(data)
        with self._disk_errors():
            while view:
                written = os.pwrite(self._file, view, offset)
                view, offset = view[written:], offset + written

    def finish(self, part: Part, md5: str) -> None:
        """Enter a part as complete (from any thread)."""
        with (
            self._lock,
            self._disk_errors(),
            self.journal.open("a", encoding="ascii") as journal,
        ):
            journal.write(_entry(part, md5))
            self.md5[part] = md5

    def share(self) -> None:
        """Let readers that lock a file, as HDF5 does, open the data; still one process fetches."""
        if not self._lock_file(fcntl.LOCK_SH):
            raise self._taken()

    def commit(self) -> None:
        """Give the file its final name.

        Do this last, checksums and records included: when a job fails, Snakemake removes its files,
        but does not know of those that do not have their names yet.
        """
        with self._disk_errors():
            os.fsync(self._file)
        self.data.replace(self.path)
        self.journal.unlink()

    def discard(self) -> None:
        """Forget everything that was fetched."""
        self.journal.unlink()
        self.data.unlink()

    def _claim(self) -> None:
        # Another process may have given the file its final name before we had the lock.
        if not (
            self._lock_file(fcntl.LOCK_EX)
            and self.data.exists()
            and os.path.samestat(os.fstat(self._file), self.data.stat())
        ):
            raise self._taken()

    def _lock_file(self, kind: int) -> bool:
        """Whether the lock is ours, or there are no locks on this file system."""
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            logger.warning("%s: no locks on this file system (%s)", self.data, error)
        return True

    def _taken(self) -> InputError:
        return InputError(
            self.path,
            found="another process that is fetching it",
            expected="one process a file",
            remedy="Wait for it, or stop it.",
        )

    def _read_journal(self) -> None:
        # A kill between the last two steps of `commit` leaves the journal alone.
        if self.journal.exists() and os.fstat(self._file).st_size:
            lines = self.journal.read_text("ascii", errors="replace").splitlines()
            if lines[:1] == [self.identity]:
                entries = filter(None, map(ENTRY.fullmatch, lines[1:]))
                self.md5 = {Part(*map(int, entry.groups()[:3])): entry[4] for entry in entries}
                return
            logger.info("%s: what is there belongs to another version, starting anew", self.data)
        self.journal.unlink(missing_ok=True)
        os.ftruncate(self._file, 0)
        self.create(self.data)

    def _keep_intact(self) -> None:
        """Of the parts in the journal keep those whose bytes on disk still have their MD5."""
        listed = list(self.md5)
        with ThreadPoolExecutor(VERIFIERS) as pool:
            found = list(pool.map(self._md5_on_disk, listed))
        self.md5 = {
            part: md5 for part, md5 in zip(listed, found, strict=True) if md5 == self.md5[part]
        }
        fresh = self.journal.with_name(f"{self.journal.name}.new")
        lines = [f"{self.identity}\n", *(_entry(part, md5) for part, md5 in self.md5.items())]
        fresh.write_text("".join(lines), encoding="ascii")
        fresh.replace(self.journal)

    def _md5_on_disk(self, part: Part) -> str:
        digest = new_md5()
        for offset in range(0, part.length, CHUNK):
            length = min(CHUNK, part.length - offset)
            digest.update(os.pread(self._file, length, part.target + offset))
        return digest.hexdigest()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise disk_full(self.path, error.strerror) from error


def _entry(part: Part, md5: str) -> str:
    return f"{part.source} {part.target} {part.length} {md5}\n"


def put_aside(path: str | Path) -> None:
    """Give a file, if it is there, a second name: `taken_back` finds it when it was removed."""
    path = Path(path)
    if not path.is_file():
        return
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(path)
    except OSError as error:
        logger.warning("%s: no second name on this file system (%s)", path, error)


def taken_back(
    path: Path, is_whole: Callable[[Path], bool], conclude: Callable[[Path], T]
) -> T | None:
    """Use the file that is there already, under its name or put aside; otherwise forget it.

    Parameters
    ----------
    path
        The final name.
    is_whole
        Whether a file is what is wanted.
    conclude
        What is to be done with it before it gets its name.

    Returns
    -------
    What ``conclude`` returned; None if there is no such file.
    """
    aside = _aside(path)
    for there in (path, aside):
        if there.is_file() and is_whole(there):
            logger.info("%s: is whole", there)
            concluded = conclude(there)
            there.replace(path)
            break
    else:
        concluded = None
    aside.unlink(missing_ok=True)
    data, journal = _partial(path)
    if not data.exists():  # a kill just after the file got its name leaves the journal
        journal.unlink(missing_ok=True)
    return concluded


def _aside(path: Path) -> Path:
    return path.with_name(f".aside-{path.name}")


def _partial(path: Path) -> tuple[Path, Path]:
    """Names of what is there of a file that is not complete, and of the journal."""
    data = path.with_name(f".partial-{path.name}")
    return data, data.with_name(f"{data.name}.journal")


def disk_full(path: Path, found: str, needed: int | None = None) -> InputError:
    """The error for a disk without room."""
    return InputError(
        path,
        found=found,
        expected="room for the whole file" if needed is None else f"{needed / 1e9:.3f} GB free",
        remedy="Make room (or raise the quota) and run again: what has arrived is kept.",
    )


class Fetch:
    """Fetching parts of a file.

    Parameters
    ----------
    source
        Where the bytes come from.
    partial
        The open file they go to.
    parts
        What is to be fetched: all parts of the file, or those of one stage.
    workers
        Concurrent requests.
    patience
        Seconds without any byte after which a part is given up.
    twice
        Fetch each part until two fetches agree, for a source that nothing else vouches for.
    """

    def __init__(
        self,
        source: Source,
        partial: PartialFile,
        parts: Sequence[Part],
        *,
        workers: int,
        patience: float,
        twice: bool = False,
    ) -> None:
        self.source = source
        self.partial = partial
        self.parts = parts
        self.workers = workers
        self.patience = patience
        self.twice = twice

    def run(self) -> None:
        """Fetch what is missing.

        Raises
        ------
        InputError
            If the source refuses, or the disk is full.
        TransferError
            If the source fails for longer than the patience lasts.
        """
        missing = [part for part in self.parts if part not in self.partial.md5]
        needed = sum(part.length for part in missing)
        free = shutil.disk_usage(self.partial.path.parent).free
        if needed > free:
            raise disk_full(self.partial.path, f"{free / 1e9:.3f} GB free", needed)
        here = self.total - needed
        logger.info(
            "%s: %.1f MB, %.1f MB of them here", self.source.label, self.total / 1e6, here / 1e6
        )
        start = time.monotonic()
        with closing(self._concurrently(missing, self._fetch)) as finished:
            for _ in finished:
                pass
        rate = needed / 1e6 / max(time.monotonic() - start, 1e-3)
        logger.info("%s: fetched %.1f MB, %.1f MB/s", self.source.label, needed / 1e6, rate)

    def repair(self, intact: Callable[[], bool]) -> bool:
        """Find parts that arrived damaged, by fetching all again, until the file is intact.

        A checksum of the whole file does not say which part is wrong, but a part of which two
        fetches differ may be. Second fetches are only compared, not written; a part that differs
        is fetched until two fetches in a row agree.

        Parameters
        ----------
        intact
            Whether the file has its checksum.

        Returns
        -------
        bool
            Whether it became intact.
        """
        logger.warning("%s: wrong checksum, comparing with a second fetch", self.source.label)
        with closing(self._concurrently(self.parts, self._read)) as compared:
            for part, md5 in compared:
                if md5 == self.partial.md5[part]:
                    continue
                logger.warning("%s: two fetches of %s differ", self.source.label, part)
                self._fetch(part, threading.Event(), twice=True)
                if intact():
                    return True
        return False

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(part.length for part in self.parts)

    def _concurrently(
        self, parts: Sequence[Part], one: Callable[..., str]
    ) -> Iterator[tuple[Part, str]]:
        """Each part and its MD5, in the order they complete; one bar counts their bytes."""
        stop, lock = threading.Event(), threading.Lock()
        here = self.total - sum(part.length for part in parts)
        bar = progress(
            description=self.partial.path.name,
            total=self.total,
            initial=here,
            unit="B",
            unit_scale=True,
        )

        def arrived(n: int) -> None:
            with lock:
                bar.update(n)

        with bar, ThreadPoolExecutor(self.workers) as pool:
            futures = {pool.submit(one, part, stop, arrived): part for part in parts}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _fetch(
        self,
        part: Part,
        stop: threading.Event,
        arrived: Callable[[int], None] | None = None,
        twice: bool = False,
    ) -> str:
        """Write a part to the file and enter it as complete; its MD5."""
        md5 = self._read(part, stop, arrived, write=True)
        if twice or self.twice:
            md5 = self._agree(part, stop, md5)
        self.partial.finish(part, md5)
        return md5

    def _agree(self, part: Part, stop: threading.Event, md5: str) -> str:
        """Fetch a part again until two fetches in a row agree; their MD5."""
        for _ in range(AGREEMENT_ATTEMPTS):
            if self._read(part, stop) == md5:
                return md5
            logger.warning("%s: two fetches of %s differ", self.source.label, part)
            md5 = self._read(part, stop, write=True)
        raise TransferError(
            f"{self.source.label}: no two of {AGREEMENT_ATTEMPTS} fetches of the same bytes "
            "agree. Use HTTPS, or find what damages the data on the way."
        )

    def _read(
        self,
        part: Part,
        stop: threading.Event,
        arrived: Callable[[int], None] | None = None,
        write: bool = False,
    ) -> str:
        """Read a part, continuing it where it breaks off; its MD5."""
        got, md5 = 0, new_md5()
        patience = Patience(self.patience, self.source.label, stop)
        while got < part.length:
            try:
                for chunk in self.source.read(part.source + got, part.length - got):
                    if stop.is_set():
                        raise _Stopped
                    if write:
                        self.partial.write(part.target + got, chunk)
                    if arrived:
                        arrived(len(chunk))
                    md5.update(chunk)
                    got += len(chunk)
                    patience.renew()
            except Interruption as fault:
                patience.wait(fault)
                if stop.is_set():
                    raise _Stopped from fault
        return md5.hexdigest()


def fetch_file(
    source: Source,
    path: str | Path,
    parts: Sequence[Part],
    *,
    identity: object,
    checksum: str | None,
    intact: Callable[[PartialFile], bool],
    conclude: Callable[[Path], T],
    workers: int,
    patience: float,
    twice: bool,
) -> T:
    """Fetch a whole file and give it its name if it is intact.

    Parameters
    ----------
    source, parts, workers, patience, twice
        As for `Fetch`.
    path, identity
        As for `PartialFile`.
    checksum
        What the file should have, for the error.
    intact
        Whether the complete file is as it should be.
    conclude
        What is to be done with the data before they get their name.

    Returns
    -------
    What ``conclude`` returned.

    Raises
    ------
    InputError
        If the source refuses, the disk is full, or the file is not intact after a second fetch of
        every part.
    TransferError
        If the source fails for longer than the patience lasts.
    """
    size = sum(part.length for part in parts)
    with PartialFile(path, identity, lambda data: os.truncate(data, size)) as file:
        fetch = Fetch(source, file, parts, workers=workers, patience=patience, twice=twice)
        fetch.run()
        if not (intact(file) or fetch.repair(lambda: intact(file))):
            file.discard()
            raise InputError(
                source.label,
                found="another checksum, also after fetching it a second time",
                expected=checksum,
                remedy="What is at the source is not what was expected there.",
            )
        concluded = conclude(file.data)
        file.commit()
    return concluded


class _Stopped(Exception):
    """Another part failed, or the file is complete: nobody waits for this part."""
