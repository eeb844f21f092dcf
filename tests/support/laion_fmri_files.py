"""A copy of LAION-fMRI's bucket, and what comes under its agreement, with other contents."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image

from brought_files import Simulated
from own_files import AFFINE, OwnFiles

ROOT = "laion-fmri"
GLMSINGLE = "derivatives/glmsingle-tedana/sub-01"
R2 = "task-images_space-T1w_stat-rsquare_desc-R2mean_statmap.nii.gz"
SECTION = {
    "source": "local",
    "root": ROOT,
    "mask": f"derivatives/glmsingle-tedana/sub-{{subject:02d}}/sub-{{subject:02d}}_{R2}",
    "pictures": f"{ROOT}/stimuli/task-images_stimuli.h5",
    "splits": f"{ROOT}/splits/sub-{{subject:02d}}",
}
N_EDGE = 5  # voxels that are no numbers in the first session


def name_of(row: int) -> str:
    """The label of a picture."""
    return f"shared_4rep_LAION_cluster_{row}_i0.jpg"


def write_simulated(project: Path) -> dict:
    """Write the simulated experiment of a project; returns section ``laion-fmri``."""
    found = Simulated(project)
    edge = np.argwhere(~found.inside)[:: len(found.inside)][:N_EDGE]
    mask = found.inside.astype(np.float32)
    mask[tuple(edge.T)] = 0.5
    volumes = {}
    for session in found.sessions:
        volumes[session] = found.volumes(session) / np.float32(300)
        volumes[session][tuple(edge.T)] = np.nan if session == 1 else 1.0
    with h5py.File(found.stimuli) as file:
        pictures = file["imgBrick"][()]
    write(project / ROOT, found.trials, volumes, mask, found.mask.affine, pictures, found.captions)
    return SECTION


def write_own(project: Path, own: OwnFiles) -> dict:
    """Write a person's files in this form; returns section ``laion-fmri``."""
    volumes = own.volumes()
    by_session = {
        session: volumes[..., rows.to_numpy()]
        for session, rows in own.trials.groupby("session").groups.items()
    }
    trials = own.trials.assign(nsd_id=own.trials["image"])
    captions = own.captions[["caption"]].to_numpy()
    mask = own.mask.astype(np.float32)
    write(project / ROOT, trials, by_session, mask, AFFINE, own.pictures, captions)
    return SECTION


def write(
    root: Path,
    trials: pd.DataFrame,
    volumes: dict[int, np.ndarray],
    mask: np.ndarray,
    affine: np.ndarray,
    pictures: np.ndarray,
    captions: np.ndarray,
) -> None:
    """Write everything of one subject.

    ``trials`` has ``session``, ``nsd_id`` (a picture's row) and ``split``: ``train``, ``test``, the
    name of a further test set, or nothing; ``volumes`` are (x, y, z, trials) of each session.
    """
    for session, shown in trials.groupby("session"):
        stem = f"sub-01_ses-{session:02d}_task-images"
        place = root / GLMSINGLE / f"ses-{session:02d}/func"
        place.mkdir(parents=True)
        table = pd.DataFrame({"session": f"ses-{session:02d}", "run": "run-01"}, index=shown.index)
        table = table.assign(beta_index=range(len(shown)), label=shown["nsd_id"].map(name_of))
        path = place / f"{stem}_desc-SingletrialBetas_trials.tsv"
        table.to_csv(path, sep="\t", index=False)
        image = nib.Nifti1Image(volumes[session].astype(np.float32), affine)
        stem += "_space-T1w_stat-effect_desc-SingletrialBetas_statmap"
        nib.save(image, place / f"{stem}.nii.gz")
    nib.save(nib.Nifti1Image(mask, affine), root / GLMSINGLE / f"sub-01_{R2}")
    _write_pictures(root / "stimuli", pictures)
    _write_captions(root / "stimuli", captions)
    _write_splits(root / "splits/sub-01", trials)


def _write_pictures(place: Path, pictures: np.ndarray) -> None:
    place.mkdir()
    names = pd.Series(range(len(pictures)), name="image_name").map(name_of)
    names.to_frame().assign(dataset="LAION").to_csv(place / "task-images_metadata.csv", index=False)
    with h5py.File(place / "task-images_stimuli.h5", "w") as file:
        packed = file.create_dataset("images", len(pictures), dtype=h5py.vlen_dtype(np.uint8))
        for row, picture in enumerate(pictures):
            encoded = io.BytesIO()
            # Without loss, unlike JPEG, so that the pictures can be compared.
            Image.fromarray(picture).save(encoded, "png", compress_level=1)
            packed[row] = np.frombuffer(encoded.getvalue(), dtype=np.uint8)


def _write_captions(place: Path, captions: np.ndarray) -> None:
    rows = [
        (name_of(row), number, "human", text)
        for row, texts in enumerate(captions)
        for number, text in enumerate(texts, start=1)
        if text
    ]
    rows += [(name_of(row), 0, "ai", "what a model says") for row in range(len(captions))]
    table = pd.DataFrame(rows, columns=["image_name", "caption_idx", "source", "caption"])
    path = place / "task-images_desc-captions.csv"
    table.sample(frac=1, random_state=0).to_csv(path, index=False)


def _write_splits(place: Path, trials: pd.DataFrame) -> None:
    place.mkdir(parents=True)
    images = {
        split: sorted(map(name_of, rows["nsd_id"].unique()))
        for split, rows in trials.groupby("split")
    }
    train = images.pop("train")
    for split, test in images.items():
        variants = [{"variant_id": 0, "train_ids": train, "test_ids": test}]
        name = "tau" if split == "test" else split
        (place / f"{name}.json").write_text(json.dumps({"name": name, "variants": variants}))
