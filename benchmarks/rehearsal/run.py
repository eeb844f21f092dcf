"""Runs of the workflow in working directories of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT

OVERLAY = "rehearsal.json"


@dataclass(frozen=True)
class Machine:
    """What a run may use: CPU cores, and memory in MB over all jobs at a time."""

    cores: int
    memory: int


def snakemake(
    folder: Path, config: Mapping[str, object], machine: Machine, *targets: str
) -> subprocess.Popen[str]:
    """A started run; standard error goes to standard output, which can be read line by line.

    Parameters
    ----------
    folder
        Where results go.
    config
        Laid over ``config/config.yaml``.
    machine
        Jobs that together ask for more wait for each other.
    targets
        Files or rules; the default target if there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OVERLAY).write_text(json.dumps(config, indent=1), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(machine.cores)]
    command += ["--snakefile", str(ROOT / "workflow/Snakefile"), "--configfile", OVERLAY]
    command += ["--profile", str(ROOT / "profiles/local")]
    command += ["--resources", "gpu=1", "download=4", f"mem_mb={machine.memory}"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
