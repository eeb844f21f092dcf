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
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.transfer.checksums import new_md5
from nsdrecon.transfer.sources import (
    CHUNK,
    Interruption,
    NoRanges,
    Part,
    Patience,
    Source,
    split,
)
from nsdrecon.whole_files import whole_file

logger = logging.getLogger(__name__)
T = TypeVar("T")

ENTRY = re.compile(r"(\d+) (\d+) (\d+) ([0-9a-f]{32})")
VERIFIERS = 4


class Sink(Protocol):
    """Where parts go."""

    def write(self, offset: int, data: bytes) -> None:
        """Take bytes (from any thread)."""
        ...

    def finish(self, part: Part, md5: str) -> None:
        """Note that a part is complete (from any thread)."""
        ...


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
            self._file = self._open()
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

    def fetch(self, source: Source, parts: Sequence[Part]) -> None:
        """Fetch those of some parts that are not here; errors as for `fetch_parts`.

        Raises
        ------
        InputError
            If the disk has no room for them.
        """
        missing = [part for part in parts if part not in self.md5]
        needed = sum(part.length for part in missing)
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise disk_full(self.path, f"{free / 1e9:.3f} GB free", needed)
        here = sum(part.length for part in parts) - needed
        logger.info("%s: %.1f MB are here, %.1f MB to fetch", self.path, here / 1e6, needed / 1e6)
        fetch_parts(source, missing, self)

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

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.data, flags, 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise InputError(
                self.data,
                found="a symbolic link",
                expected="no file, or what an interrupted run left",
                remedy="Remove it.",
            ) from error

    def _claim(self) -> None:
        """Lock the data, where the file system has locks."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = False
        except BlockingIOError:
            taken = True
        except OSError as error:
            logger.warning("%s: no locks on this file system (%s)", self.data, error)
            taken = False
        # Another process may have given the file its final name before we had the lock.
        if taken or not (
            self.data.exists() and os.path.samestat(os.fstat(self._file), self.data.stat())
        ):
            raise InputError(
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
        lines = [f"{self.identity}\n", *(_entry(part, md5) for part, md5 in self.md5.items())]
        with whole_file(self.journal) as fresh:
            fresh.write_text("".join(lines), encoding="ascii")

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


def is_here(path: Path, is_whole: Callable[[Path], bool]) -> bool:
    """Whether a file is there under its final name already, and is what is wanted."""
    if not (path.is_file() and is_whole(path)):
        return False
    logger.info("%s: is there already", path)
    data, journal = _partial(path)
    if not data.exists():  # a kill just after the file got its name leaves the journal
        journal.unlink(missing_ok=True)
    return True


def forget(path: Path) -> None:
    """Remove what was fetched of a file that is there now."""
    for left in _partial(path):
        left.unlink(missing_ok=True)


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


def fetch_parts(source: Source, parts: Sequence[Part], sink: Sink) -> None:
    """Fetch parts concurrently; one bar counts their bytes.

    Parameters
    ----------
    source
        Where the bytes come from.
    parts
        What is to be fetched.
    sink
        Where it goes.

    Raises
    ------
    InputError, NoRanges
        If the source refuses.
    TransferError
        If the source fails for longer than the patience lasts.
    """
    total = sum(part.length for part in parts)
    stop, lock, start = threading.Event(), threading.Lock(), time.monotonic()
    name = source.label.rpartition("/")[2]
    bar = progress(description=name, total=total, unit="B", unit_scale=True)

    def arrived(n: int) -> None:
        with lock:
            bar.update(n)

    with bar, ThreadPoolExecutor(source.workers) as pool:
        futures = [pool.submit(_fetch, source, part, sink, stop, arrived) for part in parts]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    rate = total / 1e6 / max(time.monotonic() - start, 1e-3)
    logger.info("%s: fetched %.1f MB, %.1f MB/s", source.label, total / 1e6, rate)


def _fetch(
    source: Source,
    part: Part,
    sink: Sink,
    stop: threading.Event,
    arrived: Callable[[int], None],
) -> None:
    """Fetch a part, continuing it where it breaks off."""
    got, md5, patience = 0, new_md5(), Patience(source.patience, source.label, stop)
    while got < part.length:
        if stop.is_set():  # another part failed: nobody waits for this one
            return
        try:
            for chunk in source.read(part.source + got, part.length - got):
                if stop.is_set():
                    return
                sink.write(part.target + got, chunk)
                md5.update(chunk)
                got += len(chunk)
                arrived(len(chunk))
                patience.renew()
        except Interruption as fault:
            patience.wait(fault)
    sink.finish(part, md5.hexdigest())


def fetch_file(
    source: Source,
    path: str | Path,
    parts: Sequence[Part],
    *,
    identity: object,
    checksum: str | None,
    intact: Callable[[PartialFile], bool],
    conclude: Callable[[Path], T],
) -> T:
    """Fetch a whole file and give it its name if it is intact.

    Parameters
    ----------
    source, parts
        As for `fetch_parts`; a server without ranges is asked for all of the file at once.
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
        If the source refuses, the disk is full, or the file is not intact: it is then forgotten.
    TransferError
        If the source fails for longer than the patience lasts.
    """
    with PartialFile(path, identity, lambda data: os.truncate(data, source.size)) as file:
        try:
            file.fetch(source, parts)
        except NoRanges as refusal:
            logger.warning("%s It is fetched in one piece.", refusal)
            file.fetch(source, split(source.size, source.size))
        if not intact(file):
            file.discard()
            raise InputError(
                source.label,
                found="another checksum",
                expected=checksum,
                remedy="Run again to fetch it anew. If this stays, the file at the source is not "
                "the one that was expected there.",
            )
        concluded = conclude(file.data)
        file.commit()
    return concluded
