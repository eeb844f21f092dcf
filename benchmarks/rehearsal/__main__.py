"""The full configuration at its true sizes: ``python -m benchmarks.rehearsal``.

Once, model folders with random weights and a simulated NSD are written (about 22 GB). Wrong inputs
are tried: each must end in one clear error. Then ``config/config.yaml`` runs from downloads by
ranges to tables and report, with fewer subjects, sessions, images and steps (about 35 GB of
results), and what each rule took is compared with what it asks for. It fails where a rule takes
more. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from textwrap import shorten

from benchmarks import ROOT
from benchmarks.rehearsal.data import write_nsd
from benchmarks.rehearsal.faults import failures
from benchmarks.rehearsal.models import write_models
from benchmarks.rehearsal.run import Machine, snakemake
from benchmarks.rehearsal.server import FolderServer
from benchmarks.rehearsal.settings import ALSO_DIFFERENT, differences, overlay, whole_config
from benchmarks.rehearsal.usage import table, usage
from nsdrecon.graph.plan import planned_jobs

KINDS = ("build", "faults", "run")


def main(argv: list[str] | None = None) -> None:
    """Build what is missing, try the faults, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "bench/rehearsal")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--memory", type=int, default=20_000, help="MB, over all jobs at a time")
    parser.add_argument("--only", choices=KINDS, help="one part alone; the others are done before")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.chdir(ROOT)
    folder = options.folder.resolve()
    models, nsd = folder / "models", folder / "nsd"
    machine = Machine(options.cores, options.memory)
    wanted = [options.only] if options.only else KINDS
    if "build" in wanted:
        build(models, nsd)
    wrong = list(failures(models, nsd, folder / "faults", machine)) if "faults" in wanted else []
    if "run" in wanted:
        wrong += rehearse(models, nsd, folder / "run", machine)
    if wrong:
        raise SystemExit("; ".join(wrong))


def build(models: Path, nsd: Path) -> None:
    """Write models and data that are not there yet, and the ETags of the bucket."""
    write_models(models)
    write_nsd(nsd)
    with FolderServer(nsd) as server:
        for path in sorted(filter(Path.is_file, (nsd / "bucket").rglob("*"))):
            server.etag_of(path)


def rehearse(models: Path, nsd: Path, folder: Path, machine: Machine) -> list[str]:
    """Run the workflow and compare; what went wrong."""
    import torch

    start = time.monotonic()
    with FolderServer(nsd) as server:
        config = overlay(models, nsd, server.url, gpu=torch.cuda.is_available())
        run = snakemake(folder, config, machine)
        for line in run.stdout:
            print(line, end="", flush=True)
    minutes = (time.monotonic() - start) / 60
    rows = usage(planned_jobs(ROOT / "workflow/Snakefile", whole_config(config)), folder)
    print(f"\nDifferent from config/config.yaml ({minutes:.0f} minutes, this time):")
    for key, full, own in differences(config):
        print(f"  {key}: {shorten(str(full), 90)} -> {shorten(str(own), 90)}")
    print(*(f"  {text}" for text in ALSO_DIFFERENT), "", *table(rows), sep="\n")
    faults = [fault for row in rows for fault in row.faults]
    return faults if run.wait() == 0 else ["the run stopped", *faults]


if __name__ == "__main__":
    sys.exit(main())
