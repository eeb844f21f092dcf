"""The time left that a run says after each job."""

import logging

import pytest
from snakemake.logging import LogEvent

from nsdrecon.graph.plan import PlannedJob
from nsdrecon.graph.time_left import TimeLeft


def job(rule, inputs="", outputs="", **asked):
    facts = {"threads": 1, "mem_mb": 0, "runtime": 60, "gpu": 0, "local": True}
    facts |= {"stage": "one", "label": "", "benchmark": f"{rule}.tsv"}
    return PlannedJob(rule, inputs=(*inputs,), outputs=(*outputs,), **{**facts, **asked})


class Run:
    """A log of Snakemake with the handler and a clock that stands still by itself."""

    def __init__(self, jobs, cores=2, gpus=None, waiting=None):
        self.now, self.said = 0.0, []
        waiting = range(len(jobs)) if waiting is None else waiting
        handler = TimeLeft(
            dict(enumerate(jobs)), waiting, cores, gpus, self.said.append, lambda: self.now
        )
        self.log = logging.Logger("snakemake")
        self.log.addHandler(handler)

    def start(self, *numbers):
        self._event(LogEvent.JOB_STARTED, jobs=numbers)

    def finish(self, number, after=0.0):
        self.now += after
        self._event(LogEvent.JOB_FINISHED, job_id=number)
        self._event(LogEvent.PROGRESS, done=1, total=2)
        return self.said[-1] if self.said else None

    def _event(self, event, **facts):
        self.log.info(None, extra={"event": event, **facts})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_jobs_take_what_jobs_of_their_rule_took():
    run = Run([job("a") for _ in range(9)])
    run.start(0, 1)
    # Seven jobs of ten minutes on two cores, and one that has been running for ten.
    assert run.finish(0, after=600) == "About 35 min left"
    run.start(2)
    assert run.finish(1, after=300) == "About 41 min left"


def test_the_longest_chain_counts_when_cores_are_many():
    run = Run([job("a", "", "x"), job("a", "x", "y"), job("a", "y", "z"), job("a")], cores=64)
    run.start(0)
    assert run.finish(0, after=3600) == "About 2.0 h left"


def test_gpus_are_shared_and_queues_are_not_in_it(folder):
    (folder / "a.tsv").write_text("s\tmax_rss\n1800\t-\n")
    jobs = [job("a", gpu=1, local=False) for _ in range(9)]
    run = Run(jobs, gpus=2)
    run.start(*range(9))
    assert run.finish(0, after=50_000) == "About 2.0 h left"


def test_an_earlier_run_and_limits_stand_in_for_what_has_not_run(folder):
    (folder / "old.tsv").write_text("s\tmax_rss\n360\t-\n")
    (folder / "killed.tsv").write_text("s\tmax_rss\n")
    jobs = [job("a"), job("old"), job("killed", runtime=600), job("local", runtime=0), job("done")]
    run = Run(jobs, cores=1, waiting=[0, 1, 2, 3])
    run.start(0)
    # Two rules took a tenth of their limits; so do the others: an hour, and half a minute.
    found = run.finish(0, after=360)
    assert found == "About 66 min left (guessed from time limits: rules not run before, 2)"


def test_at_the_end_nothing_is_said():
    run = Run([job("a")])
    run.start(0)
    assert run.finish(0, after=5) is None
