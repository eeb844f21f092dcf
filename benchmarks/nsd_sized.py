"""Files of noise that have the sizes and the form of NSD's subject 1, for benchmarks."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

VOLUME = (81, 104, 83)  # subject 1, func1pt8mm
N_SESSIONS, N_TRIALS, N_VOXELS = 37, 750, 15_724
N_SHARED, N_IMAGES, N_STIMULI, SIZE = 1000, 10_000, 73_000, 425
N_TEST, N_TRAIN = 982, 8859
N_SYNTHETIC, N_SYNTHETIC_TRIALS, SCREEN = 284, 744, (714, 1360)
N_SHARDS = 8


def write_session_volume(folder: Path) -> None:
    """A session's volumes, noise within the mask and 0 elsewhere."""
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    mask = np.zeros(VOLUME, dtype=np.int16)
    mask.reshape(-1)[rng.choice(mask.size, N_VOXELS, replace=False)] = 1
    nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "mask.nii.gz")
    with gzip.open(folder / "betas.nii.gz", "wb", compresslevel=1) as stream:
        stream.write(volume_header(N_TRIALS))
        volume = np.zeros(VOLUME, dtype=np.int16)
        for _ in range(N_TRIALS):
            volume[mask > 0] = rng.integers(-3000, 3000, N_VOXELS)
            stream.write(volume.tobytes(order="F"))


def volume_header(n_trials: int) -> bytes:
    """The beginning of a NIfTI file of a session, up to its first volume."""
    import nibabel as nib
    import numpy as np

    header = nib.Nifti1Header()
    header.set_data_shape((*VOLUME, n_trials))
    header.set_data_dtype(np.int16)
    header.set_slope_inter(1, 0)
    header.set_sform(np.eye(4), code="aligned")  # as that of the mask
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return header.binaryblock + bytes(4)


def write_design(folder: Path) -> None:
    """A design with NSD's counts: 9,841 of the 10,000 images are seen in 37 sessions."""
    import numpy as np
    import scipy.io

    from nsdrecon.data.nsd import read_design, trial_table
    from nsdrecon.store import write_table

    rng = np.random.default_rng(0)
    images = np.arange(1, N_IMAGES + 1)
    unseen = np.concatenate([images[N_TEST:N_SHARED], images[N_TEST + N_TRAIN + 18 :]])
    seen = rng.permutation(np.repeat(np.setdiff1d(images, unseen), 3))
    pattern = np.zeros((40, 900), dtype=np.uint8)
    pattern[:, :N_TRIALS] = 1
    shared, *others = np.split(rng.permutation(N_STIMULI) + 1, [N_SHARED])
    own = [rng.permutation(others[0])[: N_IMAGES - N_SHARED] for _ in range(8)]
    scipy.io.savemat(
        folder / "design.mat",
        {
            "masterordering": np.concatenate([seen, np.repeat(unseen, 3)])[None],
            "subjectim": np.stack([np.concatenate([shared, ids]) for ids in own]),
            "sharedix": np.sort(shared)[None],
            "stimpattern": pattern.reshape(40, 12, 75),
        },
    )
    sessions = range(1, N_SESSIONS + 1)
    table = trial_table(read_design(folder / "design.mat"), "subj01", sessions)
    write_table(folder / "trials.tsv", table)


def write_sessions(folder: Path) -> list[str]:
    """The voxels of all sessions, as ``session_betas`` leaves them."""
    from nsdrecon.data.nsd import read_trials

    sessions = read_trials(folder / "trials.tsv").groupby("session")
    return [_write_session(folder, session, rows) for session, rows in sessions]


def write_synthetic(folder: Path) -> tuple[str, str]:
    """The voxels of NSD-synthetic, as ``further_session`` leaves them, and its design."""
    import numpy as np
    import scipy.io

    from nsdrecon.data.further_tests import further_trials

    design = f"{folder}/synthetic.mat"
    numbers = np.random.default_rng(0).integers(1, N_SYNTHETIC + 1, N_SYNTHETIC_TRIALS)
    scipy.io.savemat(design, {"masterordering": numbers[None]})
    return _write_session(folder, "synthetic", further_trials("synthetic", [design])), design


def _write_session(folder: Path, session: int | str, trials) -> str:
    import numpy as np

    from nsdrecon.data.session_files import NSD_UNITS
    from nsdrecon.data.volumes import Voxels
    from nsdrecon.store import create_h5

    index = np.argwhere(np.ones((1, 1, N_VOXELS))).astype(np.int32)
    path = f"{folder}/session-{session}.h5"
    with create_h5(path) as file:
        rng = np.random.default_rng(0)
        betas = rng.integers(-3000, 3000, (len(trials), N_VOXELS), dtype=np.int16)
        file.create_dataset("betas", data=betas, chunks=(len(trials), 64))
        for name in ("nsd_id", "trial"):
            file.create_dataset(name, data=trials[name].to_numpy(dtype=np.int64))
        Voxels(index, (1, 1, N_VOXELS), np.eye(4), "noise").write(file)
        file.attrs.update(subject="subj01", session=session, units=NSD_UNITS)
    return path


def write_glmsingle(folder: Path) -> dict[str, str]:
    """A session's volumes as GLMsingle's outputs, with a design; the settings that name them."""
    import numpy as np

    paths = {
        "betas": folder / "outputs.npy",
        "trials": folder / "onsets.npy",
        "test": folder / "test.tsv",
    }
    np.save(paths["betas"], {"betasmd": np.ones((*VOLUME, N_TRIALS), dtype=np.float32)})
    np.save(paths["trials"], np.eye(N_TRIALS, dtype=np.uint8))
    paths["test"].write_text("image\n0\n", encoding="utf-8")
    return {name: str(path) for name, path in paths.items()}


def write_regions(folder: Path, names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The voxels' noise ceiling, and volumes of labels in which each voxel has one of eight."""
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    values = {name: rng.integers(0, 8, (1, 1, N_VOXELS), dtype=np.int16) for name in names}
    values["ncsnr"] = rng.random((1, 1, N_VOXELS), dtype=np.float32)
    paths = {name: f"{folder}/{name}.nii.gz" for name in values}
    for name, path in paths.items():
        nib.save(nib.Nifti1Image(values[name], np.eye(4)), path)
    return paths.pop("ncsnr"), paths


def noise_features(nsd_id, images, *, folder: str, batch_size: int, device: str):
    """Stands for the encoder of a feature space of 8,192 values."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((len(nsd_id), 8192), dtype=np.float32)


def write_stimuli(
    folder: Path,
    name: str = "nsd_stimuli.hdf5",
    n: int = N_STIMULI,
    size: tuple[int, int] = (SIZE, SIZE),
) -> str:
    """A file of stimuli, NSD's by default, without content: a hole on the disk."""
    import h5py

    path = f"{folder}/{name}"
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((n, *size, 3))
        h5py.h5d.create(file.id, b"imgBrick", h5py.h5t.STD_U8LE, space, layout)
    return path


def ids_of(path: str):
    from nsdrecon.store import read_ids

    return read_ids(path)


def write_latents(path: Path, nsd_id, shape: tuple[int, ...]) -> str:
    """A feature space of noise, in blocks."""
    import numpy as np

    from nsdrecon.store import create_h5

    rng = np.random.default_rng(0)
    width = int(np.prod(shape))
    with create_h5(path) as file:
        file.create_dataset("nsd_id", data=np.sort(nsd_id))
        file.attrs.update(subject="subj01", feature="noise", shape=shape)
        stored = file.create_dataset("latents", (len(nsd_id), width), np.float32)
        for start in range(0, len(nsd_id), 512):
            rows = min(512, len(nsd_id) - start)
            stored[start : start + rows] = rng.standard_normal((rows, width), dtype=np.float32)
    return str(path)


def write_shards(
    folder: Path,
    name: str,
    n_images: int,
    shape: tuple[int, ...],
    n_shards: int = N_SHARDS,
    nsd_id: Sequence[int] | None = None,
) -> list[str]:
    """Shards of pictures or latents, of the first images unless ids are given."""
    import numpy as np

    from nsdrecon.store import create_h5

    rng = np.random.default_rng(0)
    paths = []
    for number, ids in enumerate(
        np.array_split(range(n_images) if nsd_id is None else nsd_id, n_shards)
    ):
        paths.append(f"{folder}/{name}-{number}.h5")
        with create_h5(paths[-1]) as file:
            file.create_dataset("nsd_id", data=ids)
            file.attrs.update(subject="subj01", system="noise")
            if name == "images":
                file.create_dataset(
                    name, data=rng.integers(0, 256, (len(ids), *shape), dtype=np.uint8)
                )
            else:
                file.create_dataset(
                    name, data=rng.standard_normal((len(ids), *shape), dtype=np.float32)
                )
    return paths


def write_scores(path: Path, subject: str, system: str, metrics: Sequence[dict]) -> str:
    """Scores of noise, with the columns of an evaluation."""
    import numpy as np
    import pandas as pd

    from nsdrecon.metrics import IDENTIFICATION, from_params
    from nsdrecon.store import write_table

    rng = np.random.default_rng(zlib.crc32(f"{subject} {path.name}".encode()))
    rows = [from_params(row) for row in metrics]
    names = [row.name for row in rows]
    names += [row.within_category().name for row in rows if row.score == IDENTIFICATION]
    values = {name: rng.integers(0, N_TEST, N_TEST) / (N_TEST - 1) for name in names}
    labels = {"subject": subject, "system": system, "protocol": "brain-diffuser", "sample": 0}
    table = pd.DataFrame({"nsd_id": np.arange(N_TEST), **labels, **values, "undefined": ""})
    write_table(path, table)
    return str(path)


def write_categories(folder: Path) -> str:
    import numpy as np
    import pandas as pd

    from nsdrecon.store import write_table

    ids = np.arange(N_TEST)
    write_table(folder / "clusters.tsv", pd.DataFrame({"nsd_id": ids, "category": ids % 20}))
    return f"{folder}/clusters.tsv"
