"""All scores of one layer of features: this project's, against ``np.corrcoef`` of the stack.

The scores are those of an evaluation: two-way identification and identification within a category,
of a system and of its shuffled floor. The baseline is the published evaluation's way, once for each
order: correlate everything with everything, take the block of ground truths against
reconstructions, compare with its diagonal. This project reads all four from one matrix. Each side
runs in a process of its own on the same float32 features and may use all cores. The scores must be
the same. Run with
``python -m benchmarks.bench_evaluation`` (982 images, the 139,968 features of AlexNet's second
layer: about a minute, 6 GB of memory for the baseline), or with ``--features 20000`` for a quick
look.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import fastest, in_own_process, print_sides

N_IMAGES = 982
N_FEATURES = 139_968
SIDES = {"corrcoef": "np.corrcoef of the stack", "nsdrecon": "nsdrecon: one matrix"}
TOLERANCE = 1e-6


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--features", type=int, default=N_FEATURES)
    parser.add_argument("--repeats", type=int, default=3, help="runs a side; the fastest counts")
    arguments = parser.parse_args(argv)
    print(f"{arguments.images} images x {arguments.features:,} features, float32")
    with tempfile.TemporaryDirectory() as folder:
        sizes = folder, arguments.images, arguments.features
        in_own_process(__file__, "write", *sizes)
        best = fastest(__file__, SIDES, arguments.repeats, *sizes)
    pairs = zip(best["corrcoef"]["scores"], best["nsdrecon"]["scores"], strict=True)
    error = max(abs(one - other) for one, other in pairs)
    if error > TOLERANCE:
        raise SystemExit(f"the scores differ by up to {error:.2g}")
    print_sides(SIDES, best)
    mean = sum(best["corrcoef"]["scores"][: arguments.images]) / arguments.images
    print(f"mean two-way identification {mean:.4f}; largest difference of a score {error:.1g}")


def _write(folder: Path, n_images: int, n_features: int) -> dict:
    """Features as after a ReLU, of images that resemble each other more or less, as photographs do.

    Each feature is a mixture of 50 properties of the image and noise of its own; a reconstruction
    has a part of its image's properties.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    properties = rng.standard_normal((n_images, 50), dtype=np.float32)
    decoded = 0.3 * properties + rng.standard_normal(properties.shape, dtype=np.float32)
    mixing = rng.standard_normal((50, n_features), dtype=np.float32) / np.float32(50**0.5)
    for name, content in (("truth", properties), ("made", decoded)):
        table = content @ mixing
        table += rng.standard_normal(table.shape, dtype=np.float32)
        np.save(folder / f"{name}.npy", np.maximum(table, 0, out=table))
    return {}


def _corrcoef(truth, made, order, category) -> list[float]:
    import numpy as np

    n_images, scores = len(truth), []
    same = category[:, None] == category
    for reconstructions in (made, made[order]):
        correlation = np.corrcoef(truth, reconstructions)[:n_images, n_images:]
        told_apart = correlation < np.diag(correlation)
        scores += (told_apart.sum(axis=0) / (n_images - 1)).tolist()
        scores += ((told_apart & same).sum(axis=0) / (same.sum(axis=0) - 1)).tolist()
    return scores


def _nsdrecon(truth, made, order, category) -> list[float]:
    from nsdrecon.evaluation.similarity import (
        correlation_matrix,
        identification_within_category,
        two_way_identification,
    )

    correlation, scores = correlation_matrix(truth, made), []
    for matrix in (correlation, correlation[:, order]):
        scores += two_way_identification(matrix).tolist()
        scores += identification_within_category(matrix, category).tolist()
    return scores


def _score(side: str, folder: Path) -> dict:
    import numpy as np

    from nsdrecon.logs import peak_memory_mb

    truth, made = (np.load(folder / f"{name}.npy") for name in ("truth", "made"))
    run = {"corrcoef": _corrcoef, "nsdrecon": _nsdrecon}[side]
    order, category = np.roll(np.arange(len(truth)), 1), np.arange(len(truth)) % 20
    # Imports and thread pools are not what is measured.
    run(truth[:40], made[:40], np.arange(40), category[:40])
    start = time.perf_counter()
    scores = run(truth, made, order, category)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": peak_memory_mb(), "scores": scores}


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("write", *SIDES):
        task, where, n_images, n_features = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
        result = _write(where, n_images, n_features) if task == "write" else _score(task, where)
        print(json.dumps(result))
    else:
        main()
