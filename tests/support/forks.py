"""Python programs in forks of a process that has loaded the large libraries already.

Starting Python, Snakemake and torch takes longer than what most tests ask of them.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Nothing of the project is among them, since every run has its own project's code.
_LIBRARIES = [
    "diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet",
    "nibabel",
    "pandas",
    "scipy.io",
    "sklearn.cluster",
    "snakemake.cli",
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

        main()
    else:
        sys.path.insert(0, str(Path(program).resolve().parent))
        runpy.run_path(program, run_name="__main__")
