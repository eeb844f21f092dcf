"""The partitions that a profile names, and the planned jobs, against the partitions of the site."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from nsdrecon.doctor.findings import Finding, Result
from nsdrecon.errors import InputError, listing
from nsdrecon.graph.plan import Partition, PlannedJob

UNITS = {
    "max_runtime": "minutes",
    "max_mem_mb": "MB of memory",
    "max_threads": "CPUs",
    "max_gpu": "GPUs",
}


@dataclass(frozen=True)
class SitePartition:
    """A partition as the scheduler describes it.

    Parameters
    ----------
    limits
        What one job can have of it at most; of GPUs all there are.
    state
        ``UP`` if it starts jobs.
    n_nodes
        How many nodes it has.
    n_ready
        How many of them are in use or could be.
    """

    limits: Partition
    state: str
    n_nodes: int
    n_ready: int

    @property
    def starts_jobs(self) -> bool:
        """Whether a job that is sent now has a chance to run."""
        return self.state == "UP" and self.n_ready > 0


def profile_partitions(path: str | Path | None) -> list[Partition]:
    """The partitions of a profile's ``partitions.yaml``.

    Raises
    ------
    InputError
        If it is not named or missing, or has no partitions.
    """
    if path is None:
        raise InputError(
            "slurm-partition-config",
            found="no file",
            expected="the file of the site's partitions",
            remedy="Name it in the profile, as profiles/slurm/config.yaml does.",
        )
    try:
        section = yaml.safe_load(Path(path).read_text(encoding="utf-8"))["partitions"]
        return Partition.of_profile(section)
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            path,
            found=f"nothing to read ({type(error).__name__}: {error})",
            expected="a section 'partitions' with the limits of each",
            remedy="Keep the form of profiles/slurm/partitions.yaml.",
        ) from error


def site_partitions() -> dict[str, SitePartition]:
    """The partitions of the SLURM that this machine belongs to, by name.

    Raises
    ------
    InputError
        If its programs are not here, or its controller does not answer.
    """
    return parse_partitions(
        _said("scontrol", "-o", "show", "partition"),
        _said("sinfo", "-h", "-N", "-o", "%R|%c|%m|%G|%T"),
    )


def parse_partitions(partitions: str, nodes: str) -> dict[str, SitePartition]:
    """The same, from what ``scontrol`` and ``sinfo`` say.

    Parameters
    ----------
    partitions
        A line a partition: ``PartitionName=cpu MaxTime=1-00:00:00 State=UP ...``.
    nodes
        A line a partition and node: name of the partition, CPUs, MB of memory, generic resources,
        state; between them ``|``.
    """
    rows = [line.split("|") for line in nodes.splitlines()]
    found = {}
    for line in partitions.splitlines():
        facts = dict(re.findall(r"(\S+?)=(\S*)", line))
        name = facts["PartitionName"]
        own = [row for row in rows if row[0] == name]
        limits = Partition(
            name,
            max_runtime=_minutes(facts.get("MaxTime", "UNLIMITED")),
            max_mem_mb=_least(facts.get("MaxMemPerNode"), [row[2] for row in own]),
            max_threads=_least(facts.get("MaxCPUsPerNode"), [row[1] for row in own]),
            max_gpu=sum(_gpus(row[3]) for row in own),
        )
        ready = [row for row in own if not re.search("down|drain|fail|unk|maint", row[4])]
        found[name] = SitePartition(limits, facts.get("State", "UP"), len(own), len(ready))
    return found


def partitions(named: Sequence[Partition], site: Mapping[str, SitePartition]) -> Iterator[Finding]:
    """Whether the site has the partitions that a profile names, and as large as it says."""
    for one in named:
        check = f"partition {one.name}"
        if one.name not in site:
            yield Finding(
                check,
                Result.FAIL,
                f"this SLURM has no such partition, but {listing(site, 20)}",
                "Put the names and limits of your partitions into the profile's partitions.yaml.",
            )
        else:
            yield _fault(check, one, site[one.name]) or _fits(check, site[one.name])


def _fault(check: str, one: Partition, site: SitePartition) -> Finding | None:
    if site.state != "UP":
        remedy = "Name another partition, or ask the administrators when it starts jobs again."
        return Finding(check, Result.FAIL, f"its state is {site.state}: no job starts", remedy)
    if one.max_gpu and not site.limits.max_gpu:
        remedy = "Leave max_gpu out in partitions.yaml, and name the partition that has GPUs."
        return Finding(check, Result.FAIL, "none of its nodes offers a GPU (gres)", remedy)
    if not site.n_ready:
        found = f"all of its {site.n_nodes} nodes are down or drained: jobs would wait"
        return Finding(check, Result.WARN, found, "Ask the administrators, or wait.")
    above = [
        f"{limit:g} {UNITS[name]} in partitions.yaml, {own:g} there"
        for name in UNITS
        if (limit := getattr(one, name)) is not None
        and (own := getattr(site.limits, name)) is not None
        and limit > own
    ]
    if above:
        remedy = "Put the partition's own limits into partitions.yaml: jobs above them are refused."
        return Finding(check, Result.WARN, "; ".join(above), remedy)
    return None


def _fits(check: str, site: SitePartition) -> Finding:
    facts = [f"{site.n_ready} of {site.n_nodes} nodes ready; at most"]
    for name, unit in UNITS.items():
        limit = getattr(site.limits, name)
        if name != "max_gpu" or limit:
            facts.append(f"{'unlimited' if limit is None else format(limit, 'g')} {unit},")
    return Finding(check, Result.OK, " ".join(facts).rstrip(","))


def jobs(
    planned: Sequence[PlannedJob],
    changes: Mapping[str, Mapping[str, int]],
    named: Sequence[Partition],
    site: Mapping[str, SitePartition],
    attempts: int,
) -> Iterator[Finding]:
    """Whether every job of a run fits into a partition, at its first and at its last attempt.

    Parameters
    ----------
    planned
        All jobs of the run; those that never leave this machine are passed.
    changes
        What the profile sets for rules (``set-resources``, ``set-threads``): fields of a job.
    named
        The partitions of the profile.
    site
        Those of the site.
    attempts
        How often a job is tried; each time it asks for more memory and time.
    """
    check = "jobs and partitions"
    real = [_lower(one, site[one.name].limits) for one in named if one.name in site]
    on_nodes = [job for job in planned if not job.local]
    first, last = (
        _unplaced([_asked(job, attempt, changes.get(job.rule, {})) for job in on_nodes], real)
        for attempt in (1, attempts)
    )
    remedy = (
        "Name a partition that takes them in partitions.yaml, or lower what the rules ask for "
        "(set-resources, set-threads in the profile)."
    )
    if first:
        found = f"fit into no partition: {listing(first.values(), 10)}"
        yield Finding(check, Result.FAIL, found, remedy)
    elif last:
        found = f"attempt {attempts} would fit into no partition: {listing(last.values(), 10)}"
        yield Finding(check, Result.WARN, found, remedy)
    else:
        found = f"all {len(on_nodes)} jobs fit, with what they ask for at attempt {attempts} too"
        yield Finding(check, Result.OK, found)


def _asked(job: PlannedJob, attempt: int, changes: Mapping[str, int]) -> PlannedJob:
    """A job with what an attempt asks for; what a profile sets does not grow."""
    grown = {"mem_mb": attempt * job.mem_mb, "runtime": attempt * job.runtime}
    return replace(job, **(grown | dict(changes)))


def _unplaced(jobs: Iterable[PlannedJob], real: Sequence[Partition]) -> dict[str, str]:
    """The rules with jobs that no partition takes, with what such a job asks for."""
    return {
        job.rule: f"{job.rule} ({job.mem_mb} MB, {job.runtime} min, {job.threads} CPUs"
        + (f", {job.gpu} GPU)" if job.gpu else ")")
        for job in jobs
        if not any(one.takes(job) for one in real)
    }


def _lower(one: Partition, other: Partition) -> Partition:
    """The limits that hold where both do."""
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in UNITS}
    # Without a word of GPUs in the profile, jobs with a GPU do not go there.
    gpus = min(one.max_gpu or 0, other.max_gpu or 0)
    limits = {
        name: min((limit for limit in pair if limit is not None), default=None)
        for name, pair in pairs.items()
    }
    return Partition(one.name, **{**limits, "max_gpu": gpus})


def _said(*command: str) -> str:
    if not shutil.which(command[0]):
        raise InputError(
            "SLURM",
            found=f"no program {command[0]} on this machine",
            expected="a login node of the cluster",
            remedy="Run there, or use --profile profiles/local on a workstation.",
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise InputError(
            " ".join(command[:2]),
            found=done.stderr.strip() or f"exit status {done.returncode}",
            expected="an answer of SLURM's controller",
            remedy="Try it by hand; ask the administrators if it does not answer.",
        )
    return done.stdout


def _minutes(text: str) -> float | None:
    """Minutes of ``1-00:00:00`` or ``12:00:00``; None where there is no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + minutes + seconds / 60


def _least(limit: str | None, sizes: Iterable[str]) -> float | None:
    """The largest node's size, or a partition's lower limit; None if neither is known."""
    known = [max(numbers)] if (numbers := [float(size.rstrip("+")) for size in sizes]) else []
    if limit and limit.isdigit():
        known.append(float(limit))
    return min(known, default=None)


def _gpus(gres: str) -> int:
    """GPUs of a node, from ``gpu:2``, ``gpu:a100:4(S:0-1),nvme:1`` or ``(null)``."""
    found = re.findall(r"(?:^|,)gpu:(?:[^:,()]+:)?(\d+)", gres)
    return sum(map(int, found))
