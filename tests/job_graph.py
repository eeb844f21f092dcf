"""The jobs that Snakemake plans for a configuration, with their files.

Run as a script in a project's folder it prints them as JSON: Snakemake keeps state between calls,
so every plan gets a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from snakemake.api import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SnakemakeApi,
)


class Job(NamedTuple):
    """A planned job: its rule, its files and its resources."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict
    resources: dict


def planned_jobs(project: Path, configfiles: Iterable[str | Path] = ()) -> list[Job]:
    """All jobs of a project's default target, as if nothing had been computed."""
    command = [sys.executable, __file__, *map(str, configfiles)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [Job(*fields) for fields in json.loads(done.stdout.splitlines()[-1])]


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


def _print_jobs(configfiles: list[str]) -> None:
    with SnakemakeApi(OutputSettings(verbose=False)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(path) for path in configfiles]),
            snakefile=Path("workflow/Snakefile"),
        )
        # There is no public way to ask for the jobs.
        planned = workflow.dag(DAGSettings(forceall=True)).workflow_api._workflow
        planned._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        planned._build_dag()
        jobs = [
            Job(
                job.rule.name,
                tuple(map(str, job.input)),
                tuple(map(str, job.output)),
                {key: repr(value) for key, value in job.params.items()},
                {key: value for key, value in job.resources.items() if isinstance(value, int)},
            )
            for job in planned.dag.jobs
        ]
    print(json.dumps(jobs))


if __name__ == "__main__":
    _print_jobs(sys.argv[1:])
