"""Run the jobs that some files need, all in one process.

Each job's own script runs on the files, settings and wildcards that Snakemake plans for it. What is
saved is the start of Python, Snakemake and torch for every job, which at the tests' sizes is nearly
all of a run's time. Nothing is removed: temporary files stay.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from types import SimpleNamespace

from forks import forked
from workflow_runs import write_overlays


def run_jobs(project: Path, *targets: str, overlays: tuple[dict | str, ...]) -> None:
    """Make some files of a project, with the project's own code, in a process of its own.

    As in Snakemake, jobs whose files are there and no older than what they are made from do not
    run.
    """
    if forked(_run_jobs, project, write_overlays(project, overlays), targets):
        raise RuntimeError((project / "jobs.log").read_text()[-6000:])


def _run_jobs(project: Path, configfiles: list[str], targets: tuple[str, ...]) -> None:
    os.chdir(project)
    with open("jobs.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from snakemake.api import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
        SnakemakeApi,
    )
    from snakemake.settings.types import RerunTrigger

    with SnakemakeApi(OutputSettings(verbose=False)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(path) for path in configfiles]),
            snakefile=Path("workflow/Snakefile"),
        )
        # There is no public way to ask for the jobs.
        settings = DAGSettings(targets=set(targets), rerun_triggers={RerunTrigger.MTIME})
        planned = workflow.dag(settings).workflow_api._workflow
        planned._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        planned._build_dag()
        for level in planned.dag.toposorted(set(planned.dag.needrun_jobs())):
            for job in level:
                _run(job)


def _run(job) -> None:
    for path in job.output:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    context = SimpleNamespace(
        rule=job.rule.name,
        input=job.input,
        output=job.output,
        params=job.params,
        wildcards=job.wildcards,
        threads=job.threads,
        config=job.rule.workflow.config,
        log=job.log or [None],
    )
    script = Path(str(job.rule.snakefile)).parent / job.rule.script
    runpy.run_path(str(script), init_globals={"snakemake": context})
