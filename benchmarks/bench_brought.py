"""What the rules that read a user's own files take, at NSD's size, against what they ask for.

As `bench_sizes`, with the files of one subject brought in the form of ``dataset.kind: prepared``: a
session's volumes, pictures and a table of trials; responses of all sessions for the noise ceiling.
A session of GLMsingle's own ``.npy`` is beside it, since a pickled array is read whole.

Run with ``python -m benchmarks.bench_brought`` (two minutes on two cores, 4 GB of disk).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import asked_for, full_config
from benchmarks.bench_sizes import Job, compare
from benchmarks.nsd_sized import (
    N_SESSIONS,
    write_design,
    write_glmsingle,
    write_session_volume,
    write_sessions,
    write_stimuli,
)
from nsdrecon.datasets import READERS


def main(argv: list[str] | None = None) -> None:
    """Print a row a job; fails if a rule asks for less than it takes."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = _write(folder)
        changes = {
            "dataset": {"kind": "prepared"},
            "prepared": settings,
            "evaluation": {"categories": None, "holdout": []},
        }
        config = full_config(changes) | {"subjects": [1], "systems": ["vdvae"], "oracles": []}
        compare(_jobs(folder, config["prepared"]), asked_for(config))


def _write(folder: Path) -> dict[str, object]:
    """The files, and the section of the configuration that names them."""
    from nsdrecon.data.nsd import read_trials
    from nsdrecon.store import write_table

    write_session_volume(folder)
    write_design(folder)
    trials = read_trials(folder / "trials.tsv")
    for session in range(1, N_SESSIONS + 1):
        (folder / f"betas{session:02d}.nii.gz").symlink_to(folder / "betas.nii.gz")
    write_table(folder / "own.tsv", trials.assign(image=trials["nsd_id"]))
    return {
        "trials": f"{folder}/own.tsv",
        "betas": f"{folder}/betas{{session:02d}}.nii.gz",
        "scale": 300,
        "mask": f"{folder}/mask.nii.gz",
        "pictures": write_stimuli(folder),
    }


def _jobs(folder: Path, settings: dict[str, object]) -> Iterator[Job]:
    prepared, glmsingle = (
        next(reader for reader in READERS if reader.kind == kind)
        for kind in ("prepared", "glmsingle")
    )
    own = {key: settings[key] for key in prepared.settings} | {"tests": []}
    trials = f"{folder}/trials.tsv"
    outputs = own | {"column": "image", "ignored": []} | write_glmsingle(folder)
    readers = {
        "GLMsingle .npy": (glmsingle.place, outputs, 1, [1]),
        "nii.gz": (prepared.place, own, 1, list(range(1, N_SESSIONS + 1))),
    }
    for share, reader in readers.items():
        yield Job(
            "read_session",
            {
                "betas": reader[1]["betas"].format(session=1),
                "mask": settings["mask"],
                "trials": trials,
            },
            [f"{folder}/session.h5"],
            {"reader": reader},
            {"subject": "subj01", "session": "01"},
            share,
        )
    Path(outputs["betas"]).unlink()
    pictures = {"pictures": settings["pictures"]}
    params = {"pictures": prepared.pictures}
    yield Job("read_train_pictures", {**pictures, "trials": trials}, [f"{folder}/train.h5"], params)
    yield Job(
        "read_test_pictures",
        {**pictures, "trials": [trials]},
        [f"{folder}/test.h5"],
        params,
        {"tested": "test"},
    )
    yield Job(
        "noise_ceiling",
        {"sessions": write_sessions(folder), "trials": trials},
        [f"{folder}/ncsnr.nii.gz"],
        {"sessions": list(range(1, N_SESSIONS + 1))},
    )


if __name__ == "__main__":
    main()
