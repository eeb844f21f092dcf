"""Whether nodes see the working folder, and whether torch computes on a GPU."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nsdrecon.doctor import probe
from nsdrecon.doctor.findings import Finding, Result
from nsdrecon.graph.plan import Partition

QUEUE_SECONDS = 60
ANSWER_SECONDS = 180
FILE_SECONDS = 15
# What srun says when its patience (--immediate) is over.
BUSY = re.compile("Unable to allocate resources: (Requested nodes are busy|Connection timed out)")
SHARED = (
    "The nodes have to see the working folder and the environment that snakemake runs in, under "
    "the same paths: put both on a file system that they share with this machine."
)
REFUSED = re.compile("Unable to allocate resources|Unable to create")
INSTALL = (
    "Install the build of torch for the CUDA of the GPU's driver into the environment that "
    "snakemake runs in (README, 'On a cluster, with NSD')."
)


def local_torch(device: str) -> Iterator[Finding]:
    """Whether torch computes on the GPU of this machine, if it has one.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``, of the configuration.
    """
    check = "torch on this machine"
    if device == "cpu":
        yield Finding(check, Result.OK, "device: cpu: a GPU is not used")
    elif device == "auto" and not probe.driver():
        yield Finding(check, Result.OK, "no GPU here; models compute on the CPU")
    else:
        yield judged(check, probe.torch_facts(), device)


def judged(check: str, facts: Mapping[str, str | None], device: str) -> Finding:
    """What facts of `probe.torch_facts` mean for a run whose jobs have a GPU."""
    build = f"built for CUDA or ROCm {facts['build']}" if facts["build"] else "built for CPUs alone"
    driver = facts["driver"] or "that is not to be seen"
    found = f"torch {facts['torch']}, {build}; driver {driver}"
    if facts["device"]:
        return Finding(check, Result.OK, f"{found}; computes on {facts['device']}")
    if device == "cpu":
        return Finding(check, Result.OK, f"{found}; device: cpu, so the GPU is not used")
    found = f"{found}; {facts['error']}"
    if facts["build"] and not facts["driver"]:
        remedy = "The job saw no GPU: ask the administrators how jobs are given one (gres)."
        return Finding(check, Result.FAIL, found, remedy)
    return Finding(check, Result.FAIL, found, INSTALL)


def nodes(partitions: Sequence[Partition], options: Sequence[str], device: str) -> list[Finding]:
    """Send a tiny job to every partition, side by side.

    Parameters
    ----------
    partitions
        Those of the profile that the site has.
    options
        Of ``srun``: account, quality of service, reservation.
    device
        ``auto``, ``cpu`` or ``cuda``, of the configuration.

    Returns
    -------
    list of Finding
        For each partition whether its node sees the working folder; for those with GPUs also
        whether torch computes there.
    """
    # A shared file system may hold on to a file for a moment: not worth an error.
    where = {"dir": ".", "prefix": ".doctor-", "ignore_cleanup_errors": True}
    with tempfile.TemporaryDirectory(**where) as folder:
        (Path(folder) / "token").write_text(secrets.token_hex(), encoding="utf-8")
        with ThreadPoolExecutor(max(1, len(partitions))) as pool:
            found = pool.map(lambda one: _node(one, options, device, Path(folder)), partitions)
            return [finding for rows in found for finding in rows]


def _node(one: Partition, options: Sequence[str], device: str, folder: Path) -> list[Finding]:
    check, gpu, place = f"a node of {one.name}", bool(one.max_gpu), folder.absolute().parent
    command = _command(one.name, gpu, options, folder)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            timeout=QUEUE_SECONDS + ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        found = f"its job did not end within {QUEUE_SECONDS + ANSWER_SECONDS} s"
        return [Finding(check, Result.FAIL, found, "Try it by hand: " + " ".join(command))]
    facts = None if done.returncode else _answer(folder, one.name)
    if facts is None:
        return [_without_answer(check, done.returncode, " ".join(done.stderr.split()), place)]
    rows = [Finding(check, Result.OK, f"{facts['node']} reads and writes {place}")]
    if gpu:
        rows.append(judged(f"torch on {one.name}", facts["torch"], device))
    return rows


def _without_answer(check: str, status: int, said: str, place: Path) -> Finding:
    """What it means that a job left no answer."""
    if status and BUSY.search(said):
        found = f"none was free within {QUEUE_SECONDS} s; not looked at"
        return Finding(check, Result.WARN, found, "Ask again later, or let the run try.")
    if status and REFUSED.search(said):
        remedy = "Check account, quality of service and partitions in the profile."
        return Finding(check, Result.FAIL, f"its job was refused: {said[-300:]}", remedy)
    found = f"no answer of its job in {place} (exit status {status}): {said[-300:] or 'silence'}"
    return Finding(check, Result.FAIL, found, SHARED)


def _command(partition: str, gpu: bool, options: Sequence[str], folder: Path) -> list[str]:
    asked = ["--ntasks=1", "--cpus-per-task=1", "--mem=4000", "--time=5", *options]
    asked += ["--gpus=1"] if gpu else []
    srun = ["srun", f"--partition={partition}", f"--immediate={QUEUE_SECONDS}", *asked]
    srun += ["--job-name=nsdrecon-doctor", f"--chdir={Path.cwd()}"]
    # -P: the modules beside the program are not for it.
    program = [sys.executable, "-P", probe.__file__, str(folder.absolute()), partition]
    return [*srun, *program, *(["--torch"] if gpu else [])]


def _environment() -> dict[str, str]:
    """Without what makes srun a step of the job in which snakemake may run itself."""
    own = ("SLURM_", "SRUN_", "SBATCH_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return kept | {key: value for key, value in os.environ.items() if key == "SLURM_CONF"}


def _answer(folder: Path, name: str) -> dict | None:
    """What the job has written, as soon as this machine sees it; None if it never does."""
    path, end = folder / f"{name}.json", time.monotonic() + FILE_SECONDS
    while not path.exists():
        if time.monotonic() > end:
            return None
        time.sleep(0.2)
    facts = json.loads(path.read_text(encoding="utf-8"))
    return facts if facts["token"] == (folder / "token").read_text(encoding="utf-8") else None
