"""What a run is going to do: its jobs, what they ask for and may cost, and drawings of them.

Jobs are plain records here; a program that asks Snakemake for them is run in a process of its own.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pygraphviz

from nsdrecon.graph import planned_jobs as program
from nsdrecon.graph.schedule import wall_time

GPU_COUNTS = (1, 2, 4, 8)  # for which the wall time is given
_CPU, _GPU, _LOCAL = "#dbe9f6", "#fbd3b0", "#ffffff"
LEGEND = "Boxes: stages. Orange: with a GPU. Blue: CPU node. White: where Snakemake runs."


@dataclass(frozen=True)
class PlannedJob:
    """A job before it runs.

    Parameters
    ----------
    rule, stage : name of the rule, and of the rule file it stands in.
    label : the wildcards, as ``subject=subj01, shard=1-of-8``.
    inputs, outputs : files.
    threads : CPU cores.
    mem_mb, runtime, gpu : memory in MB, time limit in minutes, GPUs; 0 where nothing is asked for.
    local : runs beside Snakemake, not as a job of the cluster.
    benchmark : file of the measured time and memory, None if there is none.
    """

    rule: str
    stage: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    threads: int
    mem_mb: int
    runtime: int
    gpu: int
    local: bool
    benchmark: str | None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> PlannedJob:
        """From a JSON object with these names."""
        values = {field.name: mapping[field.name] for field in fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def planned_jobs(snakefile: str | Path, config: Mapping[str, object]) -> list[PlannedJob]:
    """All jobs of a configuration, as if nothing had been computed.

    Parameters
    ----------
    snakefile
        The Snakefile of the run: the workflow's own, or one that imports it as a module.
    config
        The whole configuration.

    Raises
    ------
    RuntimeError
        If Snakemake cannot plan it; with what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        configfile = Path(folder) / "config.json"
        configfile.write_text(json.dumps(config), encoding="utf-8")
        command = [sys.executable, program.__file__, str(snakefile), str(configfile)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return [PlannedJob.from_mapping(job) for job in json.loads(done.stdout.splitlines()[-1])]


def job_edges(jobs: Sequence[PlannedJob]) -> list[tuple[int, int]]:
    """Pairs (maker, user) of positions in ``jobs``."""
    maker = {path: number for number, job in enumerate(jobs) for path in job.outputs}
    pairs = {
        (maker[path], number)
        for number, job in enumerate(jobs)
        for path in job.inputs
        if path in maker
    }
    return sorted(pairs)


def rule_edges(jobs: Sequence[PlannedJob]) -> list[tuple[str, str]]:
    """Pairs (maker, user) of rules, without those that a longer way implies."""
    after: dict[str, set[str]] = {job.rule: set() for job in jobs}
    for first, second in job_edges(jobs):
        if jobs[second].outputs:  # the target rule makes nothing
            after[jobs[first].rule].add(jobs[second].rule)
    beyond = {rule: _reached(rule, after) for rule in after}
    # Rules can stand in a circle (jobs cannot): within one nothing is implied.
    return sorted(
        (first, second)
        for first, followers in after.items()
        for second in followers
        if first != second
        and not any(
            second in beyond[other] and first not in beyond[other] and other not in beyond[second]
            for other in followers - {second}
        )
    )


def _reached(start: str, after: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = after[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


def mermaid(jobs: Sequence[PlannedJob]) -> str:
    """The graph of the rules as mermaid text: a subgraph a stage, rules with a GPU marked."""
    lines = ["flowchart TB"]
    for stage, rules in _stages(jobs).items():
        # A stage and a rule may have the same name, but no two things in the drawing.
        lines.append(f"  subgraph stage_{stage}[{stage}]")
        lines += [f"    {rule}{':::gpu' if gpu else ''}" for rule, gpu in rules.items()]
        lines.append("  end")
    lines += [f"  {first} --> {second}" for first, second in rule_edges(jobs)]
    lines.append("  classDef gpu fill:#fbd3b0,stroke:#b35806,color:#000")
    return "\n".join(lines) + "\n"


def draw_rules(jobs: Sequence[PlannedJob]) -> bytes:
    """The graph of the rules as SVG: a cluster a stage, rules with a GPU marked."""
    graph = _graph()
    kinds = {job.rule: job for job in jobs}
    for stage, rules in _stages(jobs).items():
        for rule in rules:
            graph.add_node(rule, fillcolor=_colour(kinds[rule]))
        graph.add_subgraph(
            list(rules), name=f"cluster_{stage}", label=stage, style="rounded", color="#9aa4b1"
        )
    graph.add_edges_from(rule_edges(jobs))
    return graph.draw(format="svg", prog="dot")


def draw_jobs(jobs: Sequence[PlannedJob], subject: str) -> bytes:
    """The graph of one subject's jobs as SVG."""
    own = [job for job in jobs if f"subject={subject}" in job.label]
    graph = _graph(rankdir="LR", ranksep="1.2")
    for number, job in enumerate(own):
        rest = job.label.replace(f"subject={subject}", "").strip(", ")
        graph.add_node(number, label=f"{job.rule}\n{rest}".strip(), fillcolor=_colour(job))
    graph.add_edges_from(job_edges(own))
    return graph.draw(format="svg", prog="dot")


def draw_files(jobs: Sequence[PlannedJob], subject: str) -> bytes:
    """The files of every rule as SVG, by the example of a subject's first job of that rule."""
    examples: dict[str, PlannedJob] = {}
    for job in sorted(jobs, key=lambda job: (f"subject={subject}" not in job.label, job.label)):
        examples.setdefault(job.rule, job)
    graph = _graph(rankdir="LR")
    for rule, job in examples.items():
        lines = [rule, "", *_some(job.inputs, "in"), *_some(job.outputs, "out")]
        graph.add_node(rule, label="\\l".join(lines) + "\\l", fillcolor=_colour(job))
    graph.add_edges_from(rule_edges(jobs))
    return graph.draw(format="svg", prog="dot")


@dataclass(frozen=True)
class Partition:
    """A partition of the cluster and its limits; None where there is none."""

    name: str
    max_runtime: float | None = None
    max_mem_mb: float | None = None
    max_threads: float | None = None
    max_gpu: float | None = None

    @classmethod
    def of_profile(cls, partitions: Mapping[str, Mapping[str, float]]) -> list[Partition]:
        """From the section ``partitions`` of a profile's ``partitions.yaml``."""
        names = {field.name for field in fields(cls)}
        return [
            cls(name, **{key: value for key, value in limits.items() if key in names})
            for name, limits in partitions.items()
        ]

    def takes(self, job: PlannedJob) -> bool:
        """Does a job fit? One with a GPU needs GPUs; others stay off nodes that have some."""
        if bool(job.gpu) != bool(self.max_gpu):
            return False
        asked = ((job.runtime, self.max_runtime), (job.mem_mb, self.max_mem_mb))
        asked += ((job.threads, self.max_threads), (job.gpu, self.max_gpu))
        return all(limit is None or amount <= limit for amount, limit in asked)


def partition_of(job: PlannedJob, partitions: Iterable[Partition]) -> str:
    """Name of the first partition that takes a job; ``local`` or ``none``."""
    if job.local:
        return "local"
    return next((one.name for one in partitions if one.takes(job)), "none")


def rule_table(
    jobs: Sequence[PlannedJob], partitions: Sequence[Partition], folder: Path
) -> list[dict[str, object]]:
    """A row a rule: what its jobs ask for, how many there are, and what was measured.

    Parameters
    ----------
    jobs : the planned jobs.
    partitions : of the cluster.
    folder : in which benchmarks are looked for; jobs without one are left out of the medians.
    """
    rows = []
    for stage, rules in _stages(jobs).items():
        for rule in rules:
            own = [job for job in jobs if job.rule == rule]
            measured = [found for job in own if (found := measurement(job, folder))]
            seconds, memory = zip(*measured, strict=True) if measured else ((), ())
            rows.append(
                {
                    "stage": stage,
                    "rule": rule,
                    "partition": partition_of(own[0], partitions),
                    "jobs": len(own),
                    "threads": max(job.threads for job in own),
                    "gpu": max(job.gpu for job in own),
                    "mem_mb": max(job.mem_mb for job in own),
                    "limit_min": max(job.runtime for job in own),
                    "median_s": statistics.median(seconds) if seconds else None,
                    "peak_mb": max(memory) if memory else None,
                }
            )
    return rows


def measurement(job: PlannedJob, folder: Path) -> tuple[float, float] | None:
    """Measured seconds and peak memory (MB) of a job, None before it has run."""
    path = folder / job.benchmark if job.benchmark else None
    if path is None or not path.exists():
        return None
    with path.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    if not rows:
        return None  # its writer was killed
    # A job of a moment has no memory measured.
    peaks = [float(row["max_rss"]) for row in rows if row["max_rss"] not in {"-", "NA"}]
    peak = max(peaks, default=0.0)
    return max(float(row["s"]) for row in rows), peak


def totals(jobs: Sequence[PlannedJob], folder: Path) -> dict[str, object]:
    """The run as a whole: what it asks for at most, and what was measured so far.

    Hours are the sum over jobs of time limit times cores or GPUs. The longest path is the longest
    chain of jobs that wait for each other: the wall time with a node for every job. Of the same
    jobs ``wall_h_N_gpu`` is the wall time with N GPUs and cores enough, by measured times where
    there are some and limits elsewhere: where it no longer falls with N, more shards would help.
    """
    nodes = [job for job in jobs if not job.local]
    found = {number: measurement(job, folder) for number, job in enumerate(jobs)}
    seconds = {number: value[0] for number, value in found.items() if value}
    path = longest_path(jobs, [job.runtime for job in jobs])
    cost = [seconds.get(number, 60.0 * job.runtime) for number, job in enumerate(jobs)]
    gpus, edges = [job.gpu for job in jobs], job_edges(jobs)
    wall = {n: wall_time(edges, cost, gpus, n) / 3600 for n in GPU_COUNTS if n >= max(gpus)}
    return {
        "jobs": len(jobs),
        "jobs_on_nodes": len(nodes),
        "jobs_with_gpu": sum(bool(job.gpu) for job in nodes),
        "core_hours": sum(job.threads * job.runtime for job in nodes) / 60,
        "gpu_hours": sum(job.gpu * job.runtime for job in nodes) / 60,
        "largest_job_gb": max(job.mem_mb for job in nodes) / 1000,
        "longest_path_h": sum(jobs[number].runtime for number in path) / 60,
        "longest_path": " → ".join(_steps(jobs, path)),
        **{f"wall_h_{n}_gpu": hours for n, hours in wall.items()},
        "jobs_measured": len(seconds),
        "core_hours_measured": sum(jobs[n].threads * s for n, s in seconds.items()) / 3600,
        "gpu_hours_measured": sum(jobs[n].gpu * s for n, s in seconds.items()) / 3600,
    }


def format_amount(amount: object) -> str:
    """An amount of :func:`totals` for a person, three digits; text that is no number as it is."""
    try:
        number = float(amount)
    except ValueError:
        return str(amount)
    return f"{number:,.0f}" if number.is_integer() or number >= 100 else f"{number:.3g}"


def longest_path(jobs: Sequence[PlannedJob], cost: Sequence[float]) -> list[int]:
    """Positions of the jobs on the most costly chain, in their order."""
    before: dict[int, list[int]] = defaultdict(list)
    for first, second in job_edges(jobs):
        before[second].append(first)
    best: dict[int, tuple[float, int | None]] = {}

    def settle(number: int) -> float:
        if number not in best:
            ahead = [(settle(first), first) for first in before[number]]
            total, previous = max(ahead, default=(0.0, None))
            best[number] = (total + cost[number], previous)
        return best[number][0]

    end: int | None = max(range(len(jobs)), key=settle)
    path = []
    while end is not None:
        path.append(end)
        end = best[end][1]
    return path[::-1]


def _steps(jobs: Sequence[PlannedJob], path: Sequence[int]) -> list[str]:
    return [jobs[number].rule for number in path if not jobs[number].local]


def _stages(jobs: Iterable[PlannedJob]) -> dict[str, dict[str, bool]]:
    """Rules of every stage, in the order of first use, and whether they ask for a GPU."""
    stages: dict[str, dict[str, bool]] = {}
    for job in jobs:
        if job.outputs:  # the target rule makes nothing
            stages.setdefault(job.stage, {})[job.rule] = bool(job.gpu)
    return stages


def _graph(**attributes: str) -> pygraphviz.AGraph:
    graph = pygraphviz.AGraph(directed=True, strict=True)
    graph.graph_attr.update(bgcolor="transparent", margin="0.1", rankdir="TB")
    graph.graph_attr.update(attributes)
    font = {"fontname": "Helvetica, Arial, sans-serif", "fontsize": "11"}
    graph.graph_attr.update(font)
    graph.node_attr.update(shape="box", style="filled,rounded", color="#5b626c", **font)
    graph.edge_attr.update(color="#5b626c", arrowsize="0.7")
    return graph


def _colour(job: PlannedJob) -> str:
    return _GPU if job.gpu else _LOCAL if job.local else _CPU


def _some(paths: Sequence[str], word: str, most: int = 3) -> list[str]:
    shown = [f"{word}: {path}" for path in paths[:most]]
    more = len(paths) - most
    return [*shown, f"{word}: and {more} more"] if more > 0 else shown
