"""What a cluster does to jobs: cancelled, their node gone, out of time, failed once, or Snakemake
itself interrupted or killed. Each time the run ends with the same results.

The last job of a finished run is to be done again, with the one before it. It is struck when its
first output has its final name and its second has not. All faults happen side by side, each in a
folder of its own.
"""

import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slurm_cluster import cluster_or_skip, command, wait_until
from tiny_runs import OVERLAYS
from workflow_runs import environment, snakemake_command

FAULTS = Path(__file__).parent / "support/faults"
FIRST, LAST = "results/demo/subj01/betas/test.h5", "results/demo/subj01/betas/train.h5"
SESSION = "results/demo/subj01/betas/sessions/02.h5"
OTHER_SESSION = "results/demo/subj01/betas/sessions/01.h5"
# Temporary: removed when its voxels were cut out, so it is made again for the session.
VOLUME = (
    "resources/simulated/demo/nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR/"
    "betas_session02.nii.gz"
)
OPTIONS = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10")
OPTIONS += ("--max-jobs-per-timespan", "100/1s")  # which a run that ends waits for once more


class Run:
    """Snakemake at work in a copy of a finished run, whose last two jobs are to be done again."""

    def __init__(self, cluster, finished, folder, fault):
        self.cluster = cluster
        self.folder = folder
        shutil.copytree(finished, folder, symlinks=True)
        for name in (FIRST, LAST, SESSION):
            (folder / name).unlink()
        (folder / "fault.txt").write_text(f"{fault} {LAST}")
        self.wanted = {name: (finished / name).read_bytes() for name in (FIRST, LAST, SESSION)}

    def start(self, *arguments):
        line = (LAST, "--profile", "slurm", *OPTIONS, *arguments)
        # Its own process group: an interrupt of this process alone, as by kill -INT.
        with (self.folder / "snakemake.log").open("ab") as log:
            self.process = subprocess.Popen(
                snakemake_command(self.folder, *line, overlays=OVERLAYS),
                cwd=self.folder,
                env={**environment(), "PYTHONPATH": str(FAULTS)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def struck(self):
        """The scheduler's record of the job that waits in the middle of its work."""
        wait_until((self.folder / "waiting").exists, "waiting job", 900)
        return self.cluster.running("average_betas", self.folder)

    def finish(self):
        assert self.process.wait(900) == 0, (self.folder / "snakemake.log").read_text()[-4000:]
        return self

    def jobs(self, rule="average_betas"):
        """The scheduler's records of a rule's jobs, in their order."""
        found = [record for record in self.cluster.records(self.folder) if record.rule == rule]
        return sorted(found, key=lambda record: int(record.job))

    def logs(self):
        """SLURM's logs of the jobs that read all sessions, in their order."""
        found = (self.folder / "logs/_slurm").rglob("*.log")
        numbers = [record.job for record in self.jobs()]
        return sorted((log for log in found if log.stem in numbers), key=lambda log: int(log.stem))

    def unfinished(self):
        """Ids of the jobs that have not ended."""
        going = {"PENDING", "RUNNING", "COMPLETING"}
        return {r.job for r in self.cluster.records(self.folder) if r.state in going}

    def check(self, states):
        """Same results, nothing done twice that was finished, and what became of the jobs."""
        for name, content in self.wanted.items():
            assert (self.folder / name).read_bytes() == content, name
        written = (self.folder / "written.txt").read_text().split()
        assert sorted(written) == sorted([VOLUME, SESSION, FIRST, FIRST, LAST, LAST])
        assert [record.state for record in self.jobs()] == states


def cancelled(run):
    run.start()
    command("scancel", run.struck().job)
    run.finish().check(["CANCELLED", "COMPLETED"])


def node_down(run):
    run.start("--set-resources", "average_betas:constraint=frail")
    node = run.struck().nodes
    run.cluster.take_down(node)
    run.finish().check(["NODE_FAIL", "COMPLETED"])
    assert run.jobs()[1].nodes != node


def out_of_time(run):
    run.start("--set-resources", "average_betas:runtime=attempt")
    run.struck()
    run.finish().check(["TIMEOUT", "COMPLETED"])
    assert [record.limit for record in run.jobs()] == ["00:01:00", "00:02:00"]


def failed_once(run):
    run.start().finish().check(["FAILED", "COMPLETED"])
    first, second = run.jobs()
    assert second.memory_mb == 2 * first.memory_mb


def interrupted(run):
    run.start().struck()
    run.process.send_signal(signal.SIGINT)
    # It ends after the status query it waits for; the plugin asks less and less often.
    assert run.process.wait(900) != 0
    assert not (run.folder / LAST).exists()
    run.start().finish().check(["CANCELLED", "COMPLETED"])


def killed(run):
    run.start()
    orphan = run.struck()
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert not (run.folder / LAST).exists()
    # What the killed run left behind: a lock, and a job that goes on.
    run.start("--unlock").finish()
    run.start().finish()
    (run.folder / "released").touch()
    wait_until(lambda: orphan.job not in run.unfinished(), "end of the job left behind", 300)
    run.check(["COMPLETED", "COMPLETED"])


def wrong_input(run):
    """Asked for three times, tried once; when it is mended, in another run, once more."""
    path = run.folder / OTHER_SESSION
    content, dates = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(content[:-64])
    os.utime(path, ns=dates)
    run.start()
    assert run.process.wait(900) != 0
    first, *others = (log.read_text() for log in run.logs())
    assert "not tried again" not in first
    assert len(others) == 2
    assert all("It was not tried again in this run." in text for text in others)
    assert all(f"{OTHER_SESSION}: found" in text for text in (first, *others))
    path.write_bytes(content)
    os.utime(path, ns=dates)
    run.start().finish()
    assert [record.state for record in run.jobs()] == ["FAILED"] * 3 + ["COMPLETED"]
    assert (run.folder / LAST).read_bytes() == run.wanted[LAST]


SCENARIOS = {
    "out of time": (out_of_time, "wait"),
    "cancelled by hand": (cancelled, "wait"),
    "its node taken down": (node_down, "wait"),
    "failed once": (failed_once, "fail"),
    "snakemake interrupted": (interrupted, "wait"),
    "snakemake killed": (killed, "wait"),
    "wrong input": (wrong_input, "none"),
}


@pytest.fixture(scope="module")
def outcomes(tiny, tmp_path_factory):
    """What came of each scenario; all of them share the cluster."""
    folder = tmp_path_factory.mktemp("faults")
    with (
        cluster_or_skip(folder / "slurm") as cluster,
        ThreadPoolExecutor(len(SCENARIOS)) as threads,
    ):
        futures = {}
        for number, (name, (scenario, fault)) in enumerate(SCENARIOS.items()):
            run = Run(cluster, tiny, folder / str(number), fault)
            futures[name] = threads.submit(scenario, run)
        return {name: future.exception() for name, future in futures.items()}


@pytest.mark.parametrize("name", SCENARIOS)
def test_run_ends_with_the_same_results_after(name, outcomes):
    if outcomes[name]:
        raise outcomes[name]
