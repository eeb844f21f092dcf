"""The jobs that Snakemake plans for a configuration, with their files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from forks import run_program


class Job(NamedTuple):
    """A planned job: its rule, files, params and resources, whether it never leaves the machine on
    which Snakemake runs, its wildcards as text, and the values of params that count for a rerun."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict
    resources: dict
    local: bool
    label: str
    counted: frozenset[str]


def planned_jobs(project: Path, configfiles: Iterable[str | Path] = ()) -> list[Job]:
    """All jobs of a project's default target, as if nothing had been computed."""
    done = run_program(
        "workflow/scripts/nsdrecon/graph/planned_jobs.py",
        "workflow/Snakefile",
        *map(str, configfiles),
        folder=project,
        variables=os.environ,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [
        Job(
            job["rule"],
            tuple(job["inputs"]),
            tuple(job["outputs"]),
            job["params"],
            {name: job[name] for name in ("threads", "mem_mb", "runtime", "gpu")},
            job["local"],
            job["label"],
            frozenset(job["counted"]),
        )
        for job in json.loads(done.stdout.splitlines()[-1])
    ]


def ancestors(jobs: Iterable[Job], output: str) -> set[str]:
    """Every file that one output is made from, directly or not."""
    makers = {path: job for job in jobs for path in job.outputs}
    found: set[str] = set()
    waiting = [output]
    while waiting:
        job = makers.get(waiting.pop())
        for path in job.inputs if job else ():
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The jobs, each after those whose files it is made from."""
    makers = {path: job for job in jobs for path in job.outputs}
    graph = {job.outputs: {makers[p].outputs for p in job.inputs if p in makers} for job in jobs}
    by_outputs = {job.outputs: job for job in jobs}
    return [by_outputs[outputs] for outputs in TopologicalSorter(graph).static_order()]
