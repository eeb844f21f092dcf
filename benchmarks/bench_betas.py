"""One session's betas: streamed as by the workflow, against nibabel's ``get_fdata()`` and a mask.

Each side runs in a process of its own on the same file, which has the size and about the entropy of
a session of NSD's subject 1. The voxels must be the same. Run with
``python -m benchmarks.bench_betas`` (about three minutes, 3 GB of disk, 5 GB of memory for
nibabel), or with ``--trials 50`` for a quick look.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import fastest, in_own_process, print_sides
from benchmarks.nsd_sized import N_TRIALS, N_VOXELS, VOLUME, volume_header

SIDES = {
    "nibabel": "nibabel get_fdata()[mask], nii.gz",
    "nifti": "nsdrecon extract_session, nii.gz",
    "hdf5": "nsdrecon extract_session, hdf5",
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=N_TRIALS, help="volumes of the session")
    parser.add_argument("--repeats", type=int, default=2, help="runs a side; the fastest counts")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        made = in_own_process(__file__, "write", folder, arguments.trials)
        print(
            f"session of {'x'.join(map(str, VOLUME))} voxels, {arguments.trials} trials, int16: "
            f"nii.gz {made['nifti_mb']:.0f} MB, hdf5 {made['hdf5_mb']:.0f} MB"
        )
        best = fastest(__file__, SIDES, arguments.repeats, folder, arguments.trials)
    if len({found["digest"] for found in best.values()}) != 1:
        raise SystemExit("the sides found different voxels")
    print_sides(SIDES, best)


def _write(folder: Path, n_trials: int) -> dict:
    """A brain of noise, zero around it as in NSD, and a mask of as many voxels as nsdgeneral."""
    import h5py
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    axes = [np.linspace(-1, 1, length) for length in VOLUME]
    radius = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    brain = radius < 1  # about half of the volume
    spread = 500 * np.exp(0.3 * rng.standard_normal(brain.sum()))  # 1.7 % signal change
    mask = np.full(VOLUME, -1, dtype=np.int16)
    inner = np.argsort(np.where(brain, abs(radius - 0.6), np.inf), axis=None)[:N_VOXELS]
    mask.reshape(-1)[inner] = 1
    nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "mask.nii.gz")

    session = np.zeros((n_trials, *VOLUME[::-1]), dtype=np.int16)
    with gzip.open(folder / "betas_session01.nii.gz", "wb", compresslevel=6) as stream:
        stream.write(volume_header(n_trials))
        for trial in range(n_trials):
            noise = rng.standard_normal(brain.sum(), dtype=np.float32) * spread
            session[trial].T[brain] = noise.clip(-32767, 32767)
            stream.write(session[trial])
    with h5py.File(folder / "betas_session01.hdf5", "w") as file:
        stored = file.create_dataset(
            "betas", session.shape, dtype=np.int16, chunks=(n_trials, 1, 1, 1)
        )
        for plane in range(session.shape[1]):
            stored[:, plane] = session[:, plane]
    return {
        name: (folder / f"betas_session01.{ending}").stat().st_size / 1e6
        for name, ending in (("nifti_mb", "nii.gz"), ("hdf5_mb", "hdf5"))
    }


def _read_with_nibabel(folder: Path) -> dict:
    import nibabel as nib
    import numpy as np

    start = time.perf_counter()
    mask = nib.load(folder / "mask.nii.gz").get_fdata() > 0
    betas = nib.load(folder / "betas_session01.nii.gz").get_fdata()[mask]
    seconds = time.perf_counter() - start
    return _result(seconds, np.ascontiguousarray(betas.T, dtype=np.int16))


def _extract(folder: Path, ending: str, n_trials: int) -> dict:
    import h5py
    import pandas as pd

    from nsdrecon.data.session_files import extract_session

    trials = pd.DataFrame({"session": 1, "trial": range(n_trials), "nsd_id": range(n_trials)})
    raw = folder / f"betas_session01.{ending}"
    start = time.perf_counter()
    extract_session(raw, folder / "mask.nii.gz", trials, "subj01", 1, folder / "session.h5")
    seconds = time.perf_counter() - start
    with h5py.File(folder / "session.h5") as file:
        return _result(seconds, file["betas"][()])


def _result(seconds: float, betas) -> dict:
    from nsdrecon.logs import peak_memory_mb

    peak = peak_memory_mb()
    return {
        "seconds": seconds,
        "peak_mb": peak,
        "digest": hashlib.sha256(betas.tobytes()).hexdigest(),
    }


def _run_task(task: str, folder: Path, n_trials: int) -> dict:
    if task == "write":
        return _write(folder, n_trials)
    if task == "nibabel":
        return _read_with_nibabel(folder)
    return _extract(folder, {"nifti": "nii.gz", "hdf5": "hdf5"}[task], n_trials)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in {"write", *SIDES}:
        print(json.dumps(_run_task(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
