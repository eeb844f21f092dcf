"""Run every benchmark, one after the other: ``python -m benchmarks [NAME ...]``.

Each prints its ratios and the peak memory of both sides; each can be run alone with settings of its
own, for instance ``python -m benchmarks.bench_ridge --help``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Run the named benchmarks (default: all); the number of those that failed."""
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args().names or known
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    failures = 0
    for name in names:
        print(f"\n== {name} ==", flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}"]
        failures += subprocess.run(command, check=False, cwd=FOLDER.parent).returncode != 0
    slow = [sys.executable, "-m", "pytest", "-q", "-m", "slow"]
    if names == known:
        print("\n== full-size models, as tests ==", flush=True)
        failures += subprocess.run(slow, check=False, cwd=FOLDER.parent).returncode != 0
    return failures


if __name__ == "__main__":
    sys.exit(main())
