"""A simulated NSD in which every size of subject 1's files is the real one.

Volumes, masks, design, table of stimuli, captions and the file of stimuli are as large as NSD's and
laid out like them. Two sessions hold responses; few images are shown in them, each more often than
in NSD, so that few images pass the models. Only these have pictures: the rest of the file of
stimuli is a hole on the disk.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import scipy.io

from benchmarks.nsd_sized import N_IMAGES, N_STIMULI, N_TRIALS, SIZE, write_stimuli
from nsdrecon import layout
from nsdrecon.logs import progress
from nsdrecon.randomness import generator
from nsdrecon.whole_files import whole_file
from nsdsim.anatomy import Anatomy, brain_mask
from nsdsim.scenes import Scene, caption_scene, draw_scene, sample_scene

SUBJECT = "subj01"
SHAPES = {1: (81, 104, 83), 2: (82, 106, 84)}
SESSIONS = (1, 2)
# The images that all subjects see are the test images, 4 instead of 1,000, shown three times each,
# which the analysis of repeats asks for.
N_TEST, TEST_REPEATS = 4, 3
N_TRAIN = 93
CAPTIONS = "captions.npy"
OTHER_MASK = "nsdgeneral_of_subj02.nii.gz"
_GRID = 5  # cells across a picture whose mean colours drive the voxels


def write_nsd(folder: Path) -> None:
    """The bucket, below ``folder/bucket``, and beside it captions and another subject's mask."""
    target = folder / "bucket"
    if target.exists():
        return
    partial = folder / ".bucket"
    shutil.rmtree(partial, ignore_errors=True)
    seen = write_design(partial / layout.DESIGN)
    scenes = {nsd_id: sample_scene(generator(0, "scene", nsd_id)) for nsd_id in np.unique(seen)}
    write_table(partial / layout.STIMULUS_TABLE, partial / layout.DESIGN)
    write_captions(folder / CAPTIONS, scenes)
    pictures = write_pictures(partial / layout.STIMULI, scenes)
    write_volumes(partial, folder / OTHER_MASK)
    drive = _drive(pictures)
    for session, shown in zip(SESSIONS, np.split(seen, len(SESSIONS)), strict=True):
        write_session(partial, session, np.stack([drive[nsd_id] for nsd_id in shown]))
    partial.rename(target)


def write_design(path: Path) -> np.ndarray:
    """The design, in doubles as MATLAB stores numbers; the stimuli of the sessions' trials."""
    rng = generator(0, "design")
    n_trials = len(SESSIONS) * N_TRIALS
    images = np.arange(N_TEST + N_TRAIN)
    trained = np.resize(images[N_TEST:], n_trials - N_TEST * TEST_REPEATS)
    first = rng.permutation([*np.repeat(images[:N_TEST], TEST_REPEATS), *trained])
    others = np.setdiff1d(np.arange(N_IMAGES), images)
    later = np.resize(rng.permutation(others), 3 * N_IMAGES - n_trials)
    ordering = np.concatenate([first, later])
    stimuli = rng.permutation(N_STIMULI)
    own = [rng.permutation(stimuli[N_TEST:])[: N_IMAGES - N_TEST] for _ in range(8)]
    subjects = np.stack([np.concatenate([stimuli[:N_TEST], ids]) for ids in own])
    pattern = np.zeros((layout.SESSIONS[1], 12 * 75))
    pattern[:, :N_TRIALS] = 1
    variables = {
        "masterordering": ordering[None] + 1.0,
        "subjectim": subjects + 1.0,
        "sharedix": np.sort(stimuli[:N_TEST])[None] + 1.0,
        "stimpattern": pattern.reshape(-1, 12, 75),
    }
    with whole_file(path) as partial:
        scipy.io.savemat(partial, variables, do_compression=True, appendmat=False)
    return subjects[layout.subject_number(SUBJECT) - 1, first]


def write_table(path: Path, design: Path) -> None:
    """The table of stimuli that goes with a design, with NSD's columns."""
    stored = scipy.io.loadmat(design)
    ordering, subjects = (stored[name].astype(int) - 1 for name in ("masterordering", "subjectim"))
    rng = generator(0, "table")
    columns = {
        "cocoId": np.sort(rng.choice(600_000, N_STIMULI, replace=False)),
        "cocoSplit": rng.choice(["train2017", "val2017"], N_STIMULI, p=[0.9, 0.1]),
        "cropBox": [f"(0, 0, {excess}, {excess})" for excess in rng.uniform(0.1, 0.2, N_STIMULI)],
        "loss": rng.uniform(0, 0.3, N_STIMULI),
        "nsdId": np.arange(N_STIMULI),
        "flagged": False,
        "BOLD5000": rng.random(N_STIMULI) < 0.06,
        "shared1000": np.isin(np.arange(N_STIMULI), stored["sharedix"] - 1),
    }
    for number, images in enumerate(subjects, start=1):
        columns[f"subject{number}"] = np.isin(np.arange(N_STIMULI), images).astype(int)
    for number, images in enumerate(subjects, start=1):
        shown = pd.Series(images[ordering[0]])
        repeat = shown.groupby(shown).cumcount()
        for column in range(3):
            trials = np.zeros(N_STIMULI, dtype=int)
            chosen = np.flatnonzero(repeat == column)
            trials[shown[chosen]] = chosen + 1
            columns[f"subject{number}_rep{column}"] = trials
    with whole_file(path) as partial:
        pd.DataFrame(columns).to_csv(partial)


def write_captions(path: Path, scenes: dict[int, Scene]) -> None:
    """Five captions of each stimulus; those without a scene have another's."""
    known = {nsd_id: caption_scene(scene) for nsd_id, scene in scenes.items()}
    captions = np.resize(np.array(list(known.values()), dtype="<U250"), (N_STIMULI, 5))
    captions[list(known)] = list(known.values())
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.save(stream, captions, allow_pickle=False)


def write_pictures(path: Path, scenes: dict[int, Scene]) -> dict[int, np.ndarray]:
    """The file of all stimuli, with the pictures of the scenes; returns these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = {nsd_id: draw_scene(scene, SIZE) for nsd_id, scene in scenes.items()}
    with h5py.File(write_stimuli(path.parent), "r+") as file:
        for nsd_id, picture in pictures.items():
            file["imgBrick"][nsd_id] = picture
    return pictures


def write_volumes(root: Path, other_mask: Path) -> None:
    """Masks, brain and noise ceiling of subject 1, and the mask of subject 2."""
    anatomy, other = (
        Anatomy(SHAPES[number], layout.VOXELS[number], (0, "anatomy", number)) for number in (1, 2)
    )
    for name, labels in anatomy.label_volumes().items():
        _write_nifti(root / layout.roi_key(SUBJECT, name), labels)
    _write_nifti(other_mask, other.label_volumes()["nsdgeneral"])
    ratio = np.full(anatomy.shape, np.nan, dtype=np.float32)
    ratio[anatomy.brain] = generator(0, "ncsnr").lognormal(-1, 0.5, anatomy.brain.sum())
    _write_nifti(root / layout.ncsnr_key(SUBJECT), ratio)


def write_session(root: Path, session: int, drive: np.ndarray) -> None:
    """A session's betas as NSD's HDF5: a chunk a voxel, in all trials, uncompressed.

    Parameters
    ----------
    root
        Folder that stands for the bucket.
    session
        1-based.
    drive
        (n_trials, n_features): what the picture of each trial drives voxels with.
    """
    shape = SHAPES[layout.subject_number(SUBJECT)]
    inside = np.flatnonzero(brain_mask(shape).transpose())
    tuning = generator(0, "tuning").standard_normal((drive.shape[1], len(inside)), np.float32)
    noise = generator(0, "noise", session)
    path = root / layout.betas_key(SUBJECT, session, extension="hdf5")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver="earliest") as file:
        whole = (len(drive), *shape[::-1])
        betas = file.create_dataset("betas", whole, np.int16, chunks=(len(drive), 1, 1, 1))
        first = 0
        planes = range(shape[2])
        for k in progress(planes, description=f"session {session}", unit="plane"):
            size = shape[0] * shape[1]
            values = np.zeros((len(drive), size), dtype=np.int16)
            here = inside[(inside >= k * size) & (inside < (k + 1) * size)] - k * size
            signal = drive @ tuning[:, first : first + len(here)]
            first += len(here)
            percent = 0.5 + 0.5 * signal + noise.standard_normal(signal.shape, np.float32)
            values[:, here] = np.rint(300 * percent)
            betas[:, k] = values.reshape(len(drive), shape[1], shape[0])


def _drive(pictures: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Standardised mean colours of the cells of each picture, with a norm of about 1."""
    cell = SIZE // _GRID
    means = np.stack(
        [
            picture.reshape(_GRID, cell, _GRID, cell, 3).mean(axis=(1, 3)).reshape(-1)
            for picture in pictures.values()
        ]
    )
    scored = (means - means.mean(axis=0)) / means.std(axis=0) / np.sqrt(means.shape[1])
    return dict(zip(pictures, scored.astype(np.float32), strict=True))


def _write_nifti(path: Path, values: np.ndarray) -> None:
    affine = np.diag([1.8, 1.8, 1.8, 1.0])
    with whole_file(path) as partial:
        nib.save(nib.Nifti1Image(values, affine), partial)
