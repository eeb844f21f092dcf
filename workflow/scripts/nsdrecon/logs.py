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
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from nsdrecon import refusals
from nsdrecon.errors import InputError

logger = logging.getLogger(__name__)
T = TypeVar("T")


@contextmanager
def job_log(path: str | Path | None, name: str, *, again: bool = False) -> Iterator[logging.Logger]:
    """Log to a file and to standard error for the time of one job.

    The file begins with the job's name, host and Python version, and ends with the time it took
    and the peak memory, or with what stopped it: one line for wrong input or an interruption, else
    a traceback. On standard error, where jobs side by side share a terminal, each line bears the
    rule and the name of the log, which tells subject and system. Without a path only standard error
    is used.

    A job that wrong input stopped is stopped by it at once when it is tried again in the same run
    (`nsdrecon.refusals`), unless ``again`` says that it may be another then, as a server's answer.
    """
    place = Path(path).stem if path is not None else name
    label = name if place == name else f"{name} {place}"
    handlers = [_handler(logging.StreamHandler(sys.stderr), label.replace("%", "%%"))]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_handler(logging.FileHandler(path, "w", encoding="utf-8"), "%(name)s"))
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    logging.captureWarnings(True)
    for library in ("botocore", "fontTools", "httpx", "matplotlib", "nibabel", "PIL", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
    log = logging.getLogger(f"nsdrecon.{name}")
    start = time.perf_counter()
    log.info("start on %s, Python %s", platform.node(), platform.python_version())
    once = None if again else path
    try:
        if once is not None:
            refusals.repeat(once)
        yield log
    except BaseException as error:
        if once is not None and isinstance(error, InputError):
            refusals.remember(once, error)
        plain = isinstance(error, InputError | KeyboardInterrupt)
        text = f": {str(error) or 'interrupted'}" if plain else ""
        seconds = time.perf_counter() - start
        log.error("stopped after %.1f s%s", seconds, text, exc_info=not plain)
        _say_it_once(error)
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


def _handler(handler: logging.Handler, who: str) -> logging.Handler:
    form = f"%(asctime)s %(levelname)s {who}: %(message)s"
    handler.setFormatter(logging.Formatter(form, "%H:%M:%S"))
    return handler


def _say_it_once(said: BaseException) -> None:
    """Keep Python from writing an error again that ends the process and is in the log already."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if error is not said:
            before(kind, error, trace)

    sys.excepthook = hook


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
        unit=unit,
        unit_scale=unit_scale,
        file=sys.stderr if terminal else _LogLines(logger),
        mininterval=0.1 if terminal else 10.0,
        maxinterval=10.0,
        ascii=not terminal,
        ncols=None if terminal else 90,
        dynamic_ncols=terminal,
    )
