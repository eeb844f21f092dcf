"""Planning a full run, against Snakemake's own start.

A dry run of ``config/config.yaml`` with all eight subjects and every system; the baseline is
``snakemake --version`` in the same environment. Each side runs in a process of its own, in turn;
the fastest of several counts. Run with ``python -m benchmarks.bench_planning``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks import ROOT, environment

BASELINE = "snakemake --version"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs a side; the fastest counts")
    arguments = parser.parse_args(argv)
    from nsdrecon.systems import registry

    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder) / "everything.yaml"
        everything = {"subjects": list(range(1, 9)), "systems": list(registry().systems)}
        overlay.write_text(yaml.safe_dump(everything))
        plan = ["--cores", "1", "--dry-run", "--quiet", "all", "--directory", folder]
        sides = {BASELINE: ["--version"], "plan": [*plan, "--configfile", str(overlay)]}
        found = {
            side: min(measured(options) for _ in range(arguments.repeats))
            for side, options in sides.items()
        }
    print(f"{'side':20} {'CPU seconds':>12} {'peak MB':>8} {'times':>6}")
    for side, (seconds, peak) in found.items():
        print(f"{side:20} {seconds:12.2f} {peak:8.0f} {seconds / found[BASELINE][0]:6.1f}")


def measured(options: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of one call of snakemake."""
    command = [sys.executable, "-m", "snakemake", *options]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


if __name__ == "__main__":
    main()
