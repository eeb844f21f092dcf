"""Files and folders that appear whole or not at all. Imports nothing heavy."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".partial-"
_DRAWN = r"[a-z0-9_]{8}"  # what tempfile puts between prefix and suffix
_KEPT = ".whole-"
_MARK = r"[0-9a-f]{16}"
WHOLE = "all files are whole: "
"""In a job's log, before the fingerprint of what it was given and what it made."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that becomes ``path`` when the block ends well.

    The temporary file has the same suffixes (libraries choose formats by them). It is flushed to
    disk and renamed over the final name; if the block raises, it is removed and ``path`` is as it
    was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=f"-{path.name}", dir=path.parent)
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
def whole_folder(path: str | Path) -> Iterator[Path]:
    """The same for a folder: a temporary one, empty, that takes the place of what ``path`` was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=f"-{path.name}", dir=path.parent))
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def keep_whole(outputs: Iterable[str], log: str | Path) -> None:
    """Keep what a job had finished when its run was killed, before Snakemake took note of it.

    Snakemake removes the outputs of such a job and starts it again. It then finds them by second
    names, and takes them if nothing has changed since: not what it is given, nor code, settings and
    versions, and if they are the same files of the same size (`nsdrecon.job`). A folder cannot have
    a second name; it gets another.

    Parameters
    ----------
    outputs
        All files of the job, which are there.
    log
        Its log, which says at its end that they are whole.
    """
    found = re.findall(f"{WHOLE}({_MARK})$", Path(log).read_text(encoding="utf-8"), re.MULTILINE)
    for path in map(Path, outputs if found else ()):
        other = path.with_name(f"{_KEPT}{found[-1]}-{path.name}")
        with suppress(OSError):  # not every file system has hard links
            path.rename(other) if path.is_dir() else other.hardlink_to(path)


def kept(path: str | Path) -> dict[str, Path]:
    """Fingerprint to second name of a file that `keep_whole` kept."""
    return {found[1]: other for other, found in _beside(path, f"{re.escape(_KEPT)}({_MARK})")}


def remove_leftovers(paths: Iterable[str | Path], untouched_s: float = 0) -> list[Path]:
    """Remove what killed jobs left of files, and say what that was.

    Parameters
    ----------
    paths
        The files.
    untouched_s
        Seconds for which nobody must have written to what is removed: the job of a Snakemake that
        was killed goes on where it runs, such as on a node of a cluster.
    """
    removed = []
    latest = time.time() - untouched_s
    for path in paths:
        # Second names of what is not there are left to its job.
        kept = f"|{re.escape(_KEPT)}{_MARK}" if Path(path).exists() else ""
        for other, _ in _beside(path, f"({re.escape(_PREFIX)}{_DRAWN}{kept})"):
            if other.stat().st_mtime <= latest:
                remove(other)
                removed.append(other)
    return removed


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _beside(path: str | Path, prefix: str) -> list[tuple[Path, re.Match[str]]]:
    """Hidden files beside a file that have its name after a prefix."""
    path = Path(path)
    pattern = re.compile(f"{prefix}-{re.escape(path.name)}")
    others = path.parent.glob(".*") if path.parent.is_dir() else ()
    return [(other, found) for other in others if (found := pattern.fullmatch(other.name))]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
