"""Speed and memory against named baselines, both sides in one run. See ``python -m benchmarks``."""

import os
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"


def environment(**more: str) -> dict[str, str]:
    """Environment of a side's own process.

    OpenBLAS chooses its kernels by itself: a choice made outside, for an older release or another
    processor, would slow one side down.
    """
    chosen = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: value for name, value in os.environ.items() if name not in chosen}
    root = str(SCRIPTS.parents[1])
    return {**kept, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), root]), **more}
