"""Running the workflow in a copy of the project, for tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

from forks import ROOT, run_program

PARTS = ("config", "profiles", "slurm", "workflow")


def copy_project(target: Path) -> Path:
    """The files that a run needs, copied to an empty folder."""
    target.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (target / part).symlink_to(source.readlink())
        elif source.exists():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def snakemake(
    project: Path, *arguments: str, overlays: tuple[dict | str, ...] = ("config/demo.yaml",)
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a project, with configurations laid over config/config.yaml.

    An overlay is a path below the project or a dictionary, later ones over earlier ones.
    """
    _python, _m, program, *words = snakemake_command(
        project, "--cores", "2", *arguments, overlays=overlays
    )
    return run_program(program, *words, folder=project, variables=environment())


def started_jobs(project: Path, *arguments: str, overlays: tuple[dict | str, ...]) -> Counter:
    """How many jobs of each rule a run with the demo's profile starts, or a dry run (-n) would."""
    done = snakemake(project, "--profile", "profiles/demo", *arguments, overlays=overlays)
    assert done.returncode == 0, done.stderr[-6000:]
    said = done.stdout + done.stderr
    table = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)^total", said, flags=re.M | re.S)
    assert bool(table) != ("Nothing to be done" in said)
    lines = table.group(1).splitlines() if table else []
    counts = Counter({rule: int(count) for rule, count in map(str.split, lines)})
    counts.pop("all", None)
    return counts


def started(
    project: Path,
    *arguments: str,
    overlays: tuple[dict | str, ...] = ("config/demo.yaml",),
    **variables: str,
) -> subprocess.Popen[str]:
    """The same, as a program of its own that is still running."""
    return subprocess.Popen(
        snakemake_command(project, "--cores", "2", *arguments, overlays=overlays),
        cwd=project,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def snakemake_command(
    project: Path, *arguments: str, overlays: tuple[dict | str, ...]
) -> list[str]:
    """The command line of a run; writes the overlays that are dictionaries."""
    paths = write_overlays(project, overlays)
    command = [sys.executable, "-m", "snakemake", *arguments]
    return [*command, "--configfile", *paths] if paths else command


def write_overlays(project: Path, overlays: tuple[dict | str, ...]) -> list[str]:
    """Paths of the overlays, below the project; those that are dictionaries are written there."""
    paths = []
    for number, overlay in enumerate(overlays):
        if isinstance(overlay, dict):
            path = project / f"overlay-{number}.yaml"
            path.write_text(yaml.safe_dump(overlay))
            overlay = path.name
        paths.append(overlay)
    return paths


def environment() -> dict[str, str]:
    """The environment of a run, without a profile of the person who runs the tests."""
    return {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"}
