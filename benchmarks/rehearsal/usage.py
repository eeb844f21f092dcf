"""What each rule took, against what it asks for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nsdrecon.graph.plan import PlannedJob, measurement

DONE = re.compile(r"nsdrecon\.(\w+): done in ([\d.]+) s, peak memory (\d+) MB")


@dataclass(frozen=True)
class Usage:
    """A rule's jobs.

    Attributes
    ----------
    rule
        Its name.
    jobs
        How many jobs were measured, and of how many.
    seconds, peak_mb
        Of the longest and of the largest job.
    mem_mb, runtime
        What the rule asks for: memory in MB, minutes; 0 where it asks for nothing.
    """

    rule: str
    jobs: tuple[int, int]
    seconds: float
    peak_mb: float
    mem_mb: int
    runtime: int

    @property
    def faults(self) -> list[str]:
        """What a job took more of than its rule asks for."""
        found = []
        if self.mem_mb and self.peak_mb > self.mem_mb:
            found.append(f"{self.rule}: {self.peak_mb:.0f} MB, asks for {self.mem_mb}")
        if self.runtime and self.seconds > 60 * self.runtime:
            found.append(f"{self.rule}: {self.seconds:.0f} s, asks for {self.runtime} minutes")
        return found


def usage(jobs: Sequence[PlannedJob], folder: Path) -> list[Usage]:
    """A row a rule, in the order of the jobs; rules of which nothing was measured are left out.

    The larger of two measurements counts: what Snakemake saw of a job and its children now and
    then, and what the job's own log says of its process at the end.

    Parameters
    ----------
    jobs
        The planned jobs.
    folder
        In which the run was made.
    """
    logged = _logged(sorted(folder.glob("logs/**/*.log")))
    rows = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        own = [job for job in jobs if job.rule == rule]
        seen = [found for job in own if (found := measurement(job, folder))]
        measured = [*seen, *logged[rule]]
        if measured:
            seconds, memory = zip(*measured, strict=True)
            number = (max(len(seen), len(logged[rule])), len(own))
            asked = (max(job.mem_mb for job in own), max(job.runtime for job in own))
            rows.append(Usage(rule, number, max(seconds), max(memory), *asked))
    return rows


def _logged(paths: Iterable[Path]) -> dict[str, list[tuple[float, float]]]:
    """Seconds and peak memory (MB) of the jobs of each rule, from their logs."""
    found = defaultdict(list)
    for path in paths:
        for rule, seconds, peak in DONE.findall(path.read_text(encoding="utf-8")):
            found[rule].append((float(seconds), float(peak)))
    return found


def table(rows: Iterable[Usage]) -> Iterator[str]:
    """The rows as lines of text."""
    yield f"{'rule':24} {'jobs':>7} {'peak MB':>8} {'asks MB':>8} {'seconds':>8} {'asks min':>8}"
    for row in rows:
        jobs = f"{row.jobs[0]}/{row.jobs[1]}"
        yield (
            f"{row.rule:24} {jobs:>7} {row.peak_mb:8.0f} {row.mem_mb or '-':>8} "
            f"{row.seconds:8.1f} {row.runtime or '-':>8}"
        )
