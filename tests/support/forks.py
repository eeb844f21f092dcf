"""Python programs in forks of a process that has loaded the large libraries already.

Starting Python, Snakemake and torch takes longer than what most tests ask of them. Jobs of a run
that is started here are forks, too. Those of `workflow_runs.started`, of the runs on SLURM and of
the tests of deployment are not: every rule is also run by a Python of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Nothing of the project is among them, since every run has its own project's code.
_LIBRARIES = [
    "boto3",
    "diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet",
    "matplotlib.pyplot",
    "nibabel",
    "pandas",
    "scipy.io",
    "skimage.metrics",
    "sklearn.cluster",
    "snakemake.cli",
    "threadpoolctl",
    "transformers.models.clip.modeling_clip",
]


def forked(target, *arguments) -> int | None:
    """The exit code of a function that runs in a fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def run_program(
    program: str, *arguments: str, folder: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What ``python program arguments``, or ``snakemake arguments``, does and says in a folder.

    Its environment is ``variables`` alone.
    """
    with tempfile.TemporaryDirectory() as said:
        files = [Path(said) / name for name in ("stdout", "stderr")]
        code = forked(_program, program, arguments, folder, dict(variables), files)
        output, errors = (file.read_text(errors="replace") for file in files)
    return subprocess.CompletedProcess([program, *arguments], code, output, errors)


def _program(
    program: str,
    arguments: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    files: Sequence[Path],
) -> None:
    os.setsid()
    for descriptor, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    # Code of the checkout that is tested is not on the path of a program that is started.
    own = {str(ROOT / part) for part in ("", "tests", "tests/support", "workflow/scripts")}
    sys.path[:] = [path for path in sys.path if path not in own]
    sys.argv[:] = [program, *arguments]
    if program == "snakemake":
        from snakemake.cli import main

        _fork_jobs()
        main()
    else:
        sys.path.insert(0, str(Path(program).resolve().parent))
        runpy.run_path(program, run_name="__main__")


def _fork_jobs() -> None:
    """Let jobs of this Snakemake run in forks of this process, which has no threads yet."""
    from snakemake.benchmark import benchmarked
    from snakemake.script import PythonScript

    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        near.close()
        _serve_jobs(far)
    far.close()
    in_a_new_python = PythonScript.execute_script

    def execute_script(script, path, edit=False):
        if edit or script.conda_env or script.container_img:
            in_a_new_python(script, path, edit)
            return
        here, there = multiprocessing.Pipe()
        socket.send_fds(near, [b"job"], [there.fileno()])
        there.close()
        # As Snakemake tells a program of its own.
        here.send((path, {**os.environ, "OMP_NUM_THREADS": str(script.threads)}))
        with benchmarked(here.recv(), script.bench_record):
            code = here.recv()
        if code:
            raise subprocess.CalledProcessError(code, path)

    PythonScript.execute_script = execute_script


def _serve_jobs(requests: socket.socket) -> None:
    """Fork for every job that is asked for, until Snakemake has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while (request := socket.recv_fds(requests, 16, 1))[0]:
        (descriptor,) = request[1]
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _run_job(Connection(descriptor))
            break
        os.close(descriptor)
    os._exit(0)


def _run_job(asked: Connection) -> None:
    job = multiprocessing.get_context("fork").Process(target=_script, args=asked.recv())
    job.start()
    asked.send(job.pid)
    job.join()
    asked.send(job.exitcode)


def _script(path: str, variables: Mapping[str, str]) -> None:
    from threadpoolctl import threadpool_limits

    os.environ.clear()
    os.environ.update(variables)
    threadpool_limits(int(variables["OMP_NUM_THREADS"]))
    sys.argv[:] = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
