"""Logging and progress for jobs: one log file a job, readable while it runs."""

from __future__ import annotations

import logging
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)
T = TypeVar("T")


@contextmanager
def job_log(path: str | Path | None, name: str) -> Iterator[logging.Logger]:
    """Log to a file and to standard error for the time of one job.

    The file begins with the job's name, host and Python version, and ends with the time it took
    and the peak memory, or with the traceback of what stopped it. Without a path only standard
    error is used.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8"))
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    logging.captureWarnings(True)
    for library in ("botocore", "urllib3", "httpx", "PIL", "matplotlib", "nibabel"):
        logging.getLogger(library).setLevel(logging.WARNING)
    log = logging.getLogger(f"nsdrecon.{name}")
    start = time.perf_counter()
    log.info("start on %s, Python %s", platform.node(), platform.python_version())
    try:
        yield log
    except BaseException:
        log.exception("stopped after %.1f s", time.perf_counter() - start)
        raise
    else:
        log.info(
            "done in %.1f s, peak memory %.0f MB", time.perf_counter() - start, peak_memory_mb()
        )
    finally:
        logging.captureWarnings(False)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


def peak_memory_mb() -> float:
    """Largest resident set of this process so far, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")  # Linux; getrusage there counts what the parent had as well
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if "VmHWM" in fields:
            return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of packages; ``"not installed"`` where there is none."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


class _LogLines:
    """A file for tqdm that turns every refresh into one line of the log."""

    def __init__(self, log: logging.Logger) -> None:
        self.log = log

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            self.log.info(text)

    def flush(self) -> None:
        """Nothing to do: the log's handlers flush each line."""


def progress(
    items: Iterable[T] | None = None,
    *,
    description: str,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
    unit_scale: bool = False,
) -> tqdm:
    """A tqdm bar: drawn in place on a terminal, otherwise a log line every few seconds.

    Use it around an iterable, or without one as a context manager with ``update(n)``.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=description,
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=unit_scale,
        file=sys.stderr if terminal else _LogLines(logger),
        mininterval=0.1 if terminal else 10.0,
        maxinterval=10.0,
        ascii=not terminal,
        ncols=None if terminal else 90,
        dynamic_ncols=terminal,
    )
