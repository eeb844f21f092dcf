"""Which run it is: the state of the code, when and for how long it was computed, and on what."""

from __future__ import annotations

import csv
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_DEVICE = re.compile(r" nsdrecon\.devices: device: (\w+) \((.*)\)$", re.MULTILINE)
_FORMAT = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Measured:
    """What the benchmark files of a run say.

    Parameters
    ----------
    jobs
        How many there are.
    hours
        Sum of their times.
    begin, end
        When the first of them began and the last one ended.
    """

    jobs: int
    hours: float
    begin: datetime
    end: datetime

    def __str__(self) -> str:
        days = f"{self.begin.astimezone():{_FORMAT}} to {self.end.astimezone():{_FORMAT}}"
        return f"{days}; {self.jobs} measured jobs took {self.hours:.2g} h together"


def measured(folder: str | Path) -> Measured | None:
    """Read the benchmark files below a folder; None where there are none."""
    spans = []
    for path in Path(folder).rglob("*.tsv"):
        with path.open(encoding="utf-8") as stream:
            seconds = [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
        if seconds:  # else its writer was killed
            spans.append((path.stat().st_mtime, max(seconds)))
    if not spans:
        return None
    begin = datetime.fromtimestamp(min(end - seconds for end, seconds in spans)).astimezone()
    end = datetime.fromtimestamp(max(end for end, _ in spans)).astimezone()
    return Measured(len(spans), sum(seconds for _, seconds in spans) / 3600, begin, end)


def devices_used(logs: str | Path) -> list[str]:
    """The kinds of devices that the jobs' logs name: names of GPUs, or the CPU."""
    paths = Path(logs).rglob("*.log")
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    found = {match.groups() for text in texts for match in _DEVICE.finditer(text)}
    return sorted({"CPU" if kind == "cpu" else name for kind, name in found})


def code_version(folder: str | Path) -> str:
    """The commit of the clone that a folder lies in, marked where files were changed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown, since the workflow is no clone"
    return f"commit {done.stdout.strip()}"
