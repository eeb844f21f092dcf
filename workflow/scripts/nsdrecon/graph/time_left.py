"""How long a run still takes, said after every finished job: by expected times, not by count."""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from snakemake.logging import LogEvent

from nsdrecon.graph.plan import PlannedJob, job_edges, measurement
from nsdrecon.graph.planned_jobs import facts
from nsdrecon.graph.schedule import time_to_the_end

# Counts as the time limit, in minutes, of a job that runs beside Snakemake and has none.
SHORT = 5


class TimeLeft(logging.Handler):
    """A handler of Snakemake's log that says after each finished job what the others may take.

    A job is expected to take what jobs of its rule took in this run, or else in an earlier one. One
    of a rule that has not run yet is expected to need as much of its time limit as other rules did.
    What is left is the largest of three: the longest chain of jobs that wait for each other, the
    work of the jobs beside Snakemake over their cores, and that of all jobs over the GPUs. Waiting
    in a cluster's queue is not in it.

    Parameters
    ----------
    jobs
        All jobs of the run by Snakemake's number, those that need not run among them.
    waiting
        Numbers of the jobs that are to run.
    cores
        Cores for the jobs beside Snakemake.
    gpus
        GPUs in use at a time; None: as many as are asked for.
    say
        Called with the line.
    now
        A clock, in seconds.
    """

    def __init__(
        self,
        jobs: Mapping[int, PlannedJob],
        waiting: Iterable[int],
        cores: int,
        gpus: int | None,
        say: Callable[[str], object],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._waiting = set(waiting)
        self._jobs = {number: jobs[number] for number in self._waiting}
        self._cores, self._gpus, self._say, self._now = cores, gpus, say, now
        self._began: dict[int, float] = {}
        self._earlier, self._took = defaultdict(list), defaultdict(list)
        for job in jobs.values():
            if found := measurement(job, Path()):
                self._earlier[job.rule].append(found[0])
        position = {number: place for place, number in enumerate(self._jobs)}
        self._users: list[list[int]] = [[] for _ in position]
        self._makers = [0] * len(position)
        for maker, user in job_edges([*self._jobs.values()]):
            self._users[maker].append(user)
            self._makers[user] += 1

    def emit(self, record: logging.LogRecord) -> None:
        """Take notice of a job's start or end, and speak after Snakemake's own line of progress."""
        event = getattr(record, "event", None)
        try:
            if event == LogEvent.JOB_STARTED:
                self._began |= dict.fromkeys(record.jobs, self._now())
            elif event == LogEvent.JOB_FINISHED:
                self._finish(record.job_id)
            elif event == LogEvent.PROGRESS and self._waiting:
                self._say(self.line())
        except Exception:
            self.handleError(record)  # a log stops no run

    def _finish(self, number: int) -> None:
        job = self._jobs[number]
        # On a cluster the time since it was submitted has the queue in it.
        measured = None if job.local else measurement(job, Path())
        seconds = measured[0] if measured else self._now() - self._began[number]
        self._took[job.rule].append(seconds)
        self._waiting.discard(number)

    def line(self) -> str:
        """What is left, and how much of it is a guess."""
        known = {
            rule: statistics.median(seconds)
            for rule, seconds in {**self._earlier, **self._took}.items()
        }
        new = {self._jobs[number].rule for number in self._waiting} - known.keys()
        guess = f" (guessed from time limits: rules not run before, {len(new)})" if new else ""
        return f"About {_amount(self._seconds(known))} left{guess}"

    def _seconds(self, known: Mapping[str, float]) -> float:
        limits = {job.rule: 60 * (job.runtime or SHORT) for job in self._jobs.values()}
        shares = [known[rule] / limit for rule, limit in limits.items() if rule in known]
        usual = statistics.median(shares)
        cost = []
        for number, job in self._jobs.items():
            seconds = known.get(job.rule, usual * limits[job.rule])
            if job.local and number in self._began:
                seconds = max(seconds - (self._now() - self._began[number]), 0.0)
            cost.append(seconds if number in self._waiting else 0.0)
        jobs = [*zip(self._jobs.values(), cost, strict=True)]
        beside = sum(job.threads * seconds for job, seconds in jobs if job.local)
        with_gpu = sum(job.gpu * seconds for job, seconds in jobs)
        return max(
            *time_to_the_end(self._users, self._makers, cost),
            beside / self._cores,
            with_gpu / self._gpus if self._gpus else 0.0,
        )


def _amount(seconds: float) -> str:
    """A time as a person says it."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def time_left(workflow: object, say: Callable[[str], object]) -> TimeLeft:
    """The handler for a run, from Snakemake's ``workflow``, once it is known which jobs run."""
    resources = workflow.resource_settings
    jobs = {
        job.jobid: PlannedJob.from_mapping(facts(job, job.is_local)) for job in workflow.dag.jobs
    }
    return TimeLeft(
        jobs,
        [job.jobid for job in workflow.dag.needrun_jobs()],
        resources.cores if workflow.local_exec else resources.local_cores or os.cpu_count(),
        workflow.global_resources.get("gpu").value,
        say,
    )
