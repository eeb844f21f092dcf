"""A SLURM cluster of one machine, for the time of a test.

Six virtual nodes: ``cpu1`` to ``cpu4`` in the partition ``cpu``, ``gpu1`` and ``gpu2`` in ``gpu``,
with two GPUs each that are device files and nothing more. Nodes 3 and 4 are the last to be used and
have the feature ``frail``, for tests that take them down. Sizes of the nodes are invented, so that
what the rules ask for full NSD fits. Needs Debian's ``slurm-wlm`` and ``munge``, and root: the
daemons run under their usual names (``/etc/slurm/slurm.conf``, ``/run/munge``), because jobs look
there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

T = TypeVar("T")

CONFIGURATION = Path("/etc/slurm/slurm.conf")
MUNGE = Path("/run/munge")
LOCK = Path("/var/lock/nsdrecon-test-cluster")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "munged")
NODES = {
    "cpu1": "",
    "cpu2": "",
    "cpu3": "Feature=frail Weight=100",
    "cpu4": "Feature=frail Weight=100",
    "gpu1": "Gres=gpu:2",
    "gpu2": "Gres=gpu:2",
}


class Record(NamedTuple):
    """What the scheduler keeps of a job; ``gpus`` were allocated to it, not just asked for.

    ``start`` and ``end`` are local times as text (ISO 8601).
    """

    job: str
    comment: str
    partition: str
    nodes: str
    state: str
    gpus: int
    cpus: int
    memory_mb: int
    limit: str
    folder: str
    start: str
    end: str

    @property
    def rule(self) -> str:
        """Name of the rule (or of the group) that the job ran."""
        return re.sub("^(rule|group)_", "", self.comment).partition("_wildcards_")[0]


def missing() -> str | None:
    """Why no cluster can be started here, None if one can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=_search_path())]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "a cluster can be started by root alone"
    return None


class Cluster:
    """A running cluster: its daemons, and what the scheduler knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "log", "dev", "munge"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)

    def start(self) -> None:
        """Bring everything up and wait until all nodes are idle."""
        if CONFIGURATION.exists() or (MUNGE / "munge.socket.2").exists():
            raise RuntimeError(
                f"{CONFIGURATION} or a munge socket exists: is this a node of a cluster?"
            )
        self._write_configuration()
        # srun inside a job loses SLURM_CONF and looks here.
        CONFIGURATION.unlink(missing_ok=True)
        CONFIGURATION.symlink_to(self.folder / "slurm.conf")
        self._start_munge()
        configuration = str(self.folder / "slurm.conf")
        self._start("slurmctld", "slurmctld", "-D", "-f", configuration)
        for node in NODES:
            self._start(node, "slurmd", "-D", "-N", node, "-f", configuration)
        wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), "idle nodes", 300)

    def stop(self) -> None:
        """End what was started, by process, the last one first."""
        command("scancel", "--user", "root", check=False)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if CONFIGURATION.is_symlink():
            CONFIGURATION.unlink()
        (MUNGE / "munge.socket.2").unlink(missing_ok=True)

    def states(self) -> dict[str, str]:
        """State of every node; empty before the controller answers."""
        done = command("sinfo", "-h", "-N", "-o", "%N %T", check=False)
        return dict(line.split() for line in done.splitlines())

    def records(self, folder: Path) -> list[Record]:
        """All jobs of a folder that the controller remembers, finished ones too."""
        lines = command("scontrol", "-d", "-o", "show", "job").splitlines()
        records = [_record(line) for line in lines if line.startswith("JobId=")]
        return [record for record in records if folder == Path(record.folder)]

    def running(self, rule: str, folder: Path) -> Record:
        """The running job of a rule that was started from a folder, as soon as there is one."""

        def find() -> Record | None:
            jobs = [job for job in self.records(folder) if job.rule == rule]
            return next((job for job in jobs if job.state == "RUNNING"), None)

        return wait_until(find, f"a running job of {rule}", 600)

    def take_down(self, node: str) -> None:
        """End a node's daemon without warning; the controller is told, as by an administrator."""
        self.daemons[node].kill()
        command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def _start(self, name: str, *arguments: str) -> None:
        log = (self.folder / "log" / f"{name}.out").open("wb")
        self.daemons[name] = subprocess.Popen(
            arguments,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": _search_path()},
            start_new_session=True,
        )

    def _start_munge(self) -> None:
        key = self.folder / "munge" / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        MUNGE.mkdir(mode=0o755, exist_ok=True)
        self._start(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--seed-file={self.folder / 'munge' / 'seed'}",
            f"--pid-file={self.folder / 'munge' / 'pid'}",
        )
        wait_until((MUNGE / "munge.socket.2").exists, "munge", 60)

    def _write_configuration(self) -> None:
        host = socket.gethostname().partition(".")[0]
        ports = iter(_free_ports(1 + len(NODES)))
        devices = [self.folder / "dev" / f"nvidia{number}" for number in range(2)]
        for device in devices:
            # A device is asked for, a plain file is refused: this one is /dev/null.
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
        lines = [
            "ClusterName=throwaway",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={next(ports)}",
            "SlurmUser=root",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            f"StateSaveLocation={self.folder / 'state'}",
            f"SlurmdSpoolDir={self.folder / 'spool'}/%n",
            f"SlurmctldPidFile={self.folder / 'slurmctld.pid'}",
            f"SlurmdPidFile={self.folder}/%n.pid",
            # Processes are followed without cgroups, so nothing of the machine's set-up matters.
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            "MpiDefault=none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU_Memory",
            "SlurmdParameters=config_overrides",
            "GresTypes=gpu",
            "ReturnToService=2",
            # Finished jobs stay on record for the time of the tests.
            "MinJobAge=7200",
            # A job that lost its node is not started again by SLURM: that is the profile's part.
            "JobRequeue=0",
            "SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0",
            "InactiveLimit=0",
            "KillWait=2",
            "PropagateResourceLimits=NONE",
        ]
        for node, features in NODES.items():
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={next(ports)} "
                f"CPUs=32 RealMemory=128000 State=UNKNOWN {features}"
            )
        lines += [
            "PartitionName=cpu Nodes=cpu[1-4] Default=YES MaxTime=1-00:00:00 State=UP",
            "PartitionName=gpu Nodes=gpu[1-2] Default=NO MaxTime=12:00:00 State=UP",
        ]
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "gres.conf").write_text(
            f"NodeName=gpu[1-2] Name=gpu File={self.folder / 'dev'}/nvidia[0-1]\n"
        )
        (self.folder / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n"
        )


@contextmanager
def throwaway_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster for the time of a block; a second one on the same machine waits for it to end."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def cluster_or_skip(folder: Path) -> Iterator[Cluster]:
    """A throwaway cluster; where none can be started the test is skipped, but never in CI."""
    if reason := missing():
        if os.environ.get("CI"):
            pytest.fail(f"CI without a cluster: {reason}")
        pytest.skip(reason)
    with throwaway_cluster(folder) as cluster:
        yield cluster


def command(*arguments: str, check: bool = True) -> str:
    """Standard output of one of SLURM's programs."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout


def wait_until(found: Callable[[], T], what: str, seconds: float) -> T:
    """The first true value that a function returns, asked again and again."""
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} after {seconds} s")
        time.sleep(0.2)
    return value


def _record(line: str) -> Record:
    """A line of ``scontrol --details --oneliner show job``."""
    fields = dict(re.findall(r"(\S+?)=(\S*)", line))
    gpus = re.fullmatch(r"gpu:(?:\w+:)?(\d+)", fields.get("JOB_GRES", ""))
    return Record(
        job=fields["JobId"],
        comment=fields.get("Comment", ""),
        partition=fields["Partition"],
        nodes=fields["NodeList"],
        state=fields["JobState"],
        gpus=int(gpus.group(1)) if gpus else 0,
        cpus=int(fields["NumCPUs"]),
        memory_mb=int(fields.get("Mem", 0)),
        limit=fields["TimeLimit"],
        folder=fields["WorkDir"],
        start=fields["StartTime"],
        end=fields["EndTime"],
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _search_path() -> str:
    """Daemons live in folders that are not on everybody's path."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
