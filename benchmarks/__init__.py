"""Speed and memory against named baselines, both sides in one run. See ``python -m benchmarks``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "tools")]


def environment(**more: str) -> dict[str, str]:
    """Environment of a side's own process.

    OpenBLAS chooses its kernels by itself: a choice made outside, for an older release or another
    processor, would slow one side down.
    """
    chosen = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: value for name, value in os.environ.items() if name not in chosen}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(ROOT)]), **more}


def found_device() -> str:
    """``cuda`` where torch sees a GPU, otherwise ``cpu``: what a benchmark runs on by default."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def in_own_process(script: str, *arguments: object, **variables: str) -> dict:
    """Run a benchmark's file in a new process: what it prints last, as JSON.

    Raises
    ------
    SystemExit
        If it fails; with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise SystemExit(f"{Path(script).stem} {arguments[0]} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def fastest(script: str, sides: Iterable[str], repeats: int, *arguments: object) -> dict[str, dict]:
    """Run the sides of a benchmark in turn, several times; of each what its fastest run says."""
    runs = [
        (side, in_own_process(script, side, *arguments)) for _ in range(repeats) for side in sides
    ]
    return {
        side: min((found for name, found in runs if name == side), key=lambda run: run["seconds"])
        for side in sides
    }


def print_sides(titles: Mapping[str, str], best: Mapping[str, dict]) -> None:
    """A table of time and memory against the first side's."""
    baseline = next(iter(best.values()))
    print(f"{'side':36} {'seconds':>8} {'peak MB':>8} {'times faster':>13} {'less memory':>12}")
    for side, found in best.items():
        faster = baseline["seconds"] / found["seconds"]
        smaller = baseline["peak_mb"] / found["peak_mb"]
        print(
            f"{titles[side]:36} {found['seconds']:8.2f} {found['peak_mb']:8.0f} "
            f"{faster:13.1f} {smaller:12.1f}"
        )


def full_config(changes: Mapping[str, Mapping[str, object]] | None = None) -> dict:
    """The configuration of a full run, complete, with some settings of its sections changed."""
    import yaml

    from nsdrecon.settings import complete_settings, read_schema
    from nsdrecon.systems import registry

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    for section, values in (changes or {}).items():
        config.setdefault(section, {}).update(values)
    complete_settings(
        config, read_schema(ROOT / "workflow/schemas/config.schema.yaml", registry([]))
    )
    return config


def asked_for(config: Mapping[str, object]) -> dict[str, tuple[int, int]]:
    """Memory (MB) and time limit (minutes) of each rule's first attempt."""
    from nsdrecon.graph.plan import planned_jobs

    jobs = planned_jobs(ROOT / "workflow/Snakefile", config)
    return {job.rule: (job.mem_mb, job.runtime) for job in jobs}
