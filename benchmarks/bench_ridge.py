"""Ridge regression to many targets: against scikit-learn, and at the size of NSD.

1. Text tokens (77 x 128 targets, 2,400 images, 4,200 voxels): scikit-learn's ``Ridge`` fitted for
   each token, as published, and once for all targets, against the dual form that the workflow uses.
   Each side fits, predicts and scores; the predictions must agree.
2. Files as in the workflow (8,859 images, 15,724 voxels, 91,168 targets, 982 test images, times
   ``--size``): Gram matrix, weights, predictions from weights.
   scikit-learn cannot run there on a common machine: its arrays are added up instead.

Each side runs in a process of its own. Run with ``python -m benchmarks.bench_ridge`` (files at a
fifth of the size), or with ``--full`` (20 GB of disk, 6 GB of memory).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import found_device, in_own_process

if TYPE_CHECKING:
    import numpy as np

ALPHA = 60_000.0  # published, for CLIP vision features
N_TOKENS, TOKEN_SIZE = 77, 128
TOKEN_SIZES = {"n_train": 2400, "n_voxels": 4200, "n_targets": N_TOKENS * TOKEN_SIZE, "n_test": 240}
NSD_SIZES = {"n_train": 8859, "n_voxels": 15_724, "n_targets": 91_168, "n_test": 982}
TOKEN_SIDES = {
    "sklearn_tokens": "scikit-learn Ridge, a fit a token",
    "sklearn_once": "scikit-learn Ridge, one fit",
    "dual": "dual ridge, one fit",
}
FILE_SIDES = {
    "gram": "Gram matrix",
    "spectrum": "Gram matrix and eigenvectors",
    "weights": "weights, scores",
    "weights_loo": "weights, scores, alpha of 8 by LOO",
    "predict": "predictions from weights",
    "regions": "20 regions, each alone and without",
}
NEEDED = ("gram", "weights", "predict")
N_REGIONS = 20


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=0.2, help="of the files, relative to NSD")
    parser.add_argument("--full", action="store_true", help="files at the size of NSD")
    parser.add_argument("--token-size", type=float, default=1, help="of the first part")
    parser.add_argument(
        "--repeats", type=int, default=2, help="runs of our sides; the fastest counts"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default=found_device(), help="of our sides")
    parser.add_argument(
        "--needed", action="store_true", help="just what every system needs, of the second part"
    )
    arguments = parser.parse_args(argv)
    if arguments.device == "cpu":
        for way, rate in _in_own_process("rates", Path(), {}, arguments).items():
            print(f"product of two float32 matrices by {way}: {rate:.0f} GFLOP/s")
    if not arguments.needed:
        with tempfile.TemporaryDirectory() as folder:
            bench_tokens(Path(folder), _scaled(TOKEN_SIZES, arguments.token_size), arguments)
    with tempfile.TemporaryDirectory() as folder:
        size = 1 if arguments.full else arguments.size
        bench_files(Path(folder), _scaled(NSD_SIZES, size), arguments)


def bench_tokens(folder: Path, sizes: dict[str, int], arguments: argparse.Namespace) -> None:
    """Part 1: print time, memory and ratios of each side against both forms of scikit-learn."""
    print(f"\n{_describe(sizes)}; fit + predict + score, {arguments.threads} threads")
    _in_own_process("write_tokens", folder, sizes, arguments)
    found = {}
    for side in TOKEN_SIDES:
        repeats = 1 if side == "sklearn_tokens" else arguments.repeats
        runs = [_in_own_process(side, folder, sizes, arguments) for _ in range(repeats)]
        found[side] = min(runs, key=lambda run: run["seconds"])
    print(
        f"{'':36} {'seconds':>8} {'CPU s':>8} {'peak MB':>8} {'vs tokens':>10} {'vs one fit':>10}"
    )
    for side, run in found.items():
        tokens, once = (found[base]["seconds"] for base in ("sklearn_tokens", "sklearn_once"))
        print(
            f"{TOKEN_SIDES[side]:36} {run['seconds']:8.2f} {run['cpu_seconds']:8.1f} "
            f"{run['peak_mb']:8.0f} {tokens / run['seconds']:9.1f}x {once / run['seconds']:9.1f}x"
        )
    errors = _in_own_process("compare_tokens", folder, sizes, arguments)
    for side, error in errors.items():
        print(f"{TOKEN_SIDES[side]}: largest error {error:.1e} of the predictions' std")
    if max(errors.values()) > 1e-4:
        raise SystemExit("the sides predict differently")


def bench_files(folder: Path, sizes: dict[str, int], arguments: argparse.Namespace) -> None:
    """Part 2: print time and memory of each step, and what scikit-learn would need."""
    print(f"\n{_describe(sizes)}; from files to files, {arguments.threads} threads")
    _in_own_process("write_files", folder, sizes, arguments)
    print(f"{'':36} {'seconds':>8} {'CPU s':>8} {'peak MB':>8}")
    seconds = {}
    for side, label in FILE_SIDES.items():
        if arguments.needed and side not in NEEDED:
            continue
        run = _in_own_process(side, folder, sizes, arguments)
        seconds[side] = run["seconds"]
        print(f"{label:36} {run['seconds']:8.2f} {run['cpu_seconds']:8.1f} {run['peak_mb']:8.0f}")
    print(f"Gram matrix + weights: {seconds['gram'] + seconds['weights']:.1f} s")
    if "regions" in seconds:
        whole = sum(seconds[side] for side in NEEDED)
        print(f"regions against all voxels decoded once: {seconds['regions'] / whole:.2f}x")
    n, p, t = (sizes[name] for name in ("n_train", "n_voxels", "n_targets"))
    arrays = {"X, centred X": 2 * n * p, "Y, centred Y, dual weights": 3 * n * t, "weights": p * t}
    needed = {name: 8 * count / 1e9 for name, count in arrays.items()}
    print(
        f"scikit-learn's Ridge, one fit in float64, holds at once: "
        f"{', '.join(f'{name} {size:.1f} GB' for name, size in needed.items())}; "
        f"in all {sum(needed.values()):.1f} GB"
    )


def _scaled(sizes: dict[str, int], factor: float) -> dict[str, int]:
    scaled = {name: max(2, round(size * factor)) for name, size in sizes.items()}
    if sizes is TOKEN_SIZES:
        scaled["n_targets"] = N_TOKENS * max(1, round(TOKEN_SIZE * factor))
    return scaled


def _describe(sizes: dict[str, int]) -> str:
    n, p, t, m = (f"{sizes[name]:,}" for name in ("n_train", "n_voxels", "n_targets", "n_test"))
    return f"{n} training images, {p} voxels, {t} targets, {m} test images"


def _in_own_process(
    task: str, folder: Path, sizes: dict[str, int], arguments: argparse.Namespace
) -> dict:
    """Run one of the tasks below in a new process; what it returns."""
    threads = str(arguments.threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    return in_own_process(
        __file__,
        task,
        folder,
        json.dumps(sizes),
        arguments.device,
        **limits,
        PYTHONWARNINGS="ignore",
    )


class _Stopwatch:
    """Wall clock and CPU time of a block, and the peak memory of the process after it."""

    def __enter__(self) -> _Stopwatch:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self.wall
        self.cpu = time.process_time() - self.cpu

    def result(self) -> dict[str, float]:
        from nsdrecon.logs import peak_memory_mb

        return {"seconds": self.wall, "cpu_seconds": self.cpu, "peak_mb": peak_memory_mb()}


def _rates(_folder: Path, _sizes: dict[str, int], _device: str) -> dict:
    """How fast the processor multiplies, by the library that PyTorch brings and by ours."""
    import torch

    from nsdrecon.ridge.linalg import product

    matrix = torch.ones(4096, 4096)
    found = {}
    for way, multiply in (("PyTorch", torch.matmul), ("nsdrecon", product)):
        multiply(matrix, matrix)
        runs = []
        for _ in range(3):
            with _Stopwatch() as watch:
                multiply(matrix, matrix)
            runs.append(watch.wall)
        found[way] = 2 * len(matrix) ** 3 / min(runs) / 1e9
    return found


def _write_tokens(folder: Path, sizes: dict[str, int], _device: str) -> dict:
    """Responses that carry a part of the targets, float32."""
    import numpy as np

    rng = np.random.default_rng(0)
    n = sizes["n_train"] + sizes["n_test"]
    x = rng.standard_normal((n, sizes["n_voxels"]), dtype=np.float32)
    weights = rng.standard_normal((sizes["n_voxels"], sizes["n_targets"]), dtype=np.float32)
    y = x @ weights / np.float32(sizes["n_voxels"] ** 0.5)
    y += rng.standard_normal(y.shape, dtype=np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    return {}


def _run_tokens(side: str, folder: Path, sizes: dict[str, int], device: str) -> dict:
    """Fit, predict and score one side; its predictions go to a file."""
    import numpy as np
    from sklearn.metrics import r2_score

    dtype = np.float64 if side.startswith("sklearn") else np.float32
    split = sizes["n_train"]
    # As large beside the Gram matrix whatever the size: else predictions of few voxels hardly vary,
    # and float32's rounding of their mean is large beside their spread.
    alpha = ALPHA * sizes["n_voxels"] / TOKEN_SIZES["n_voxels"]
    x, y = (np.load(folder / f"{name}.npy").astype(dtype) for name in "xy")
    train, test = (x[:split], y[:split]), (x[split:], y[split:])
    if side.startswith("sklearn"):
        from sklearn.linear_model import Ridge

        n_fits = N_TOKENS if side == "sklearn_tokens" else 1
        models = [(Ridge(alpha), part) for part in np.split(np.arange(y.shape[1]), n_fits)]
    else:
        models = [(_DualRidge(alpha, device), np.arange(y.shape[1]))]
        models[0][0].fit(x[:20], y[:20])  # starts the threads, or the GPU
    predictions = np.empty_like(test[1])
    with _Stopwatch() as watch:
        scores = []
        for model, part in models:
            columns = slice(part[0], part[-1] + 1)
            model.fit(train[0], train[1][:, columns])
            predictions[:, columns] = model.predict(test[0])
            scores.append(r2_score(test[1][:, columns], predictions[:, columns]))
    np.save(folder / f"{side}.npy", predictions)
    return watch.result() | {"r2": float(np.mean(scores))}


class _DualRidge:
    """The workflow's ridge on arrays in memory."""

    def __init__(self, alpha: float, device: str) -> None:
        self.alpha, self.device = alpha, device

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        import torch

        from nsdrecon.ridge.dual import OneAlpha, gram_matrix
        from nsdrecon.ridge.linalg import product

        self.x_mean, self.y_mean = x.mean(axis=0), y.mean(axis=0)
        features = torch.from_numpy(x - self.x_mean).to(self.device)
        targets = torch.from_numpy(y - self.y_mean).to(self.device)
        solver = OneAlpha(gram_matrix([features]), self.alpha)
        self.weights = product(solver.operator(features.T), targets)

    def predict(self, x: np.ndarray) -> np.ndarray:
        import torch

        from nsdrecon.ridge.linalg import product

        features = torch.from_numpy(x - self.x_mean).to(self.device)
        return product(features, self.weights).cpu().numpy() + self.y_mean


def _compare_tokens(folder: Path, _sizes: dict[str, int], _device: str) -> dict:
    import numpy as np

    baseline = np.load(folder / "sklearn_tokens.npy")
    std = baseline.std(axis=0)
    return {
        side: float(np.max(np.abs(np.load(folder / f"{side}.npy") - baseline) / std))
        for side in TOKEN_SIDES
        if side != "sklearn_tokens"
    }


def _write_files(folder: Path, sizes: dict[str, int], _device: str) -> dict:
    """Betas and latents that share 256 dimensions, block by block, in the workflow's formats."""
    import h5py
    import nibabel as nib
    import numpy as np

    from nsdrecon.data.volumes import Voxels

    rng = np.random.default_rng(0)
    n, n_train, p, t = (
        sizes["n_train"] + sizes["n_test"],
        sizes["n_train"],
        sizes["n_voxels"],
        sizes["n_targets"],
    )
    shared = rng.standard_normal((n, 256), dtype=np.float32)
    nsd_id = rng.permutation(n)
    split = {"train": np.s_[:n_train], "test": np.s_[n_train:]}
    voxels = Voxels(np.argwhere(np.ones((1, 1, p))), (1, 1, p), np.eye(4), "simulated")
    files = {name: h5py.File(folder / f"{name}.h5", "w") for name in (*split, "latents")}
    for name, rows in split.items():
        files[name]["nsd_id"] = nsd_id[rows]
        files[name].attrs.update(subject="simulated", units="percent signal change")
        voxels.write(files[name])
        shape = (len(nsd_id[rows]), p)
        chunks = (min(2048, shape[0]), min(256, p))
        files[name].create_dataset("betas", shape, dtype=np.float32, chunks=chunks)
    files["latents"]["nsd_id"] = nsd_id[split["train"]]
    files["latents"].attrs.update(feature="vdvae", shape=(t,))
    files["latents"].create_dataset("latents", (n_train, t), dtype=np.float32)
    for start in range(0, p, 2048):
        columns = slice(start, min(start + 2048, p))
        betas = _mixed(rng, shared, columns.stop - start, noise=2)
        for name, rows in split.items():
            files[name]["betas"][:, columns] = betas[rows]
    for start in range(0, t, 2048):
        columns = slice(start, min(start + 2048, t))
        latents = _mixed(rng, shared, columns.stop - start, noise=0.5)
        files["latents"]["latents"][:, columns] = latents[:n_train]
    for file in files.values():
        file.close()
    # Each voxel is in four regions, as with NSD's areas, eccentricities, categories and streams.
    for volume in range(4):
        labels = np.arange(p) * N_REGIONS // 4 // p + 1 + volume
        image = nib.Nifti1Image(labels.astype(np.int16).reshape(1, 1, p), np.eye(4))
        nib.save(image, folder / f"labels{volume}.nii.gz")
    return {}


def _mixed(rng, shared, n_columns: int, noise: float):
    import numpy as np

    weights = rng.standard_normal((shared.shape[1], n_columns), dtype=np.float32)
    mixed = shared @ weights / np.float32(shared.shape[1] ** 0.5)
    return mixed + np.float32(noise) * rng.standard_normal(mixed.shape, dtype=np.float32)


def _run_files(side: str, folder: Path, _sizes: dict[str, int], device: str) -> dict:
    """One step of the workflow's regression."""
    from nsdrecon.brain.region_decoding import decode_regions
    from nsdrecon.regions import Region
    from nsdrecon.ridge.decoding import predict
    from nsdrecon.ridge.fitting import fit_weights
    from nsdrecon.ridge.responses import prepare_gram

    grid = [100, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    path = {name: folder / f"{name}.h5" for name in ("train", "test", "latents", *FILE_SIDES)}
    gram = path["gram"]
    training = (path["train"], path["latents"])
    volumes = {f"labels{number}": folder / f"labels{number}.nii.gz" for number in range(4)}
    steps = {
        "gram": lambda: prepare_gram(path["train"], gram, device=device, eigenvectors=False),
        "spectrum": lambda: prepare_gram(path["train"], path["spectrum"], device=device),
        "weights": lambda: fit_weights(
            gram, *training, path["weights"], alpha=ALPHA, device=device
        ),
        "weights_loo": lambda: fit_weights(
            path["spectrum"],
            *training,
            path["weights_loo"],
            alpha="loo",
            alpha_grid=grid,
            device=device,
        ),
        "predict": lambda: predict(path["weights"], path["test"], path["predict"], device=device),
        "regions": lambda: decode_regions(
            *(gram, path["train"], {"vdvae": path["latents"]}),
            [
                Region(f"{volume} {label}", volume, (number + label,))
                for number, volume in enumerate(volumes)
                for label in range(1, N_REGIONS // 4 + 1)
            ],
            volumes,
            alpha_grid=grid,
            resamples=10_000,
            seed=0,
            device=device,
        ),
    }
    with _Stopwatch() as watch:
        steps[side]()
    result = watch.result()
    if side == "weights_loo":
        path[side].unlink()
    return result


def _run_task(task: str, *arguments: object) -> dict:
    tasks = {
        "rates": _rates,
        "write_tokens": _write_tokens,
        "compare_tokens": _compare_tokens,
        "write_files": _write_files,
    }
    if task in tasks:
        return tasks[task](*arguments)
    return (_run_tokens if task in TOKEN_SIDES else _run_files)(task, *arguments)


if __name__ == "__main__":
    if len(sys.argv) == 5 and not sys.argv[1].startswith("-"):
        name, place, sizes_text, where = sys.argv[1:]
        print(json.dumps(_run_task(name, Path(place), json.loads(sizes_text), where)))
    else:
        main()
