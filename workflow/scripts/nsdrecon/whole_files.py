"""Files that appear whole or not at all. Imports nothing heavy."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".partial-"
_DRAWN = r"[a-z0-9_]{8}"  # what tempfile puts between prefix and suffix


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
    for path in map(Path, paths):
        pattern = re.compile(f"{re.escape(_PREFIX)}{_DRAWN}-{re.escape(path.name)}")
        for other in path.parent.glob(f"{_PREFIX}*") if path.parent.is_dir() else ():
            if pattern.fullmatch(other.name) and other.stat().st_mtime <= latest:
                other.unlink()
                removed.append(other)
    return removed


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
