"""Writes the simulated dataset as the NSD bucket holds it, below a root folder.

Three independent parts, so that they can be jobs of their own: the experiment, one subject's
volumes, one session's betas. Each is determined by the configuration alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import scipy.io
from nibabel.openers import ImageOpener

from nsdrecon import layout
from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.randomness import generator
from nsdrecon.store import create_h5, dataset, open_h5
from nsdrecon.whole_files import whole_file

from .brain import Brain, noise_ceiling_snr
from .config import MAX_SUBJECTS, SimulationConfig
from .experiment import Experiment, design_experiment, stimulus_pattern, stimulus_scene
from .image_features import CHANNELS, GRID, channel_maps
from .scenes import Scene, caption_scene, draw_scene, scene_attributes

logger = logging.getLogger(__name__)

IMAGE_SIZE = 425
BETA_SCALE = 300  # int16 = percent signal change x 300
_VOXEL_SIZE = 1.8  # mm
_TRIAL_SPACING = 4 / 3  # seconds, as NSD's volumes say
_CAPTION_TYPE = "<U250"
# Out of ten images, one has three captions and two have four.
_CAPTION_COUNTS = (3, 4, 4, 5, 5, 5, 5, 5, 5, 5)


def write_experiment(
    root: str | Path, config: SimulationConfig, captions: str | Path, features: str | Path
) -> None:
    """Write what all subjects share: design, table of stimuli, stimuli, captions.

    Parameters
    ----------
    root : folder that stands for the bucket.
    config : of the dataset.
    captions : NumPy file of captions; they are no part of the bucket.
    features : HDF5 file, outside of the bucket, for what the brains need to know of the stimuli:
        ``maps`` of `image_features.channel_maps` and ``attributes`` of `scene_attributes`, row i
        for stimulus i.
    """
    root = Path(root)
    experiment = design_experiment(config)
    scenes = [stimulus_scene(config, nsd_id) for nsd_id in range(config.n_stimuli)]
    _write_design(root / layout.DESIGN, config, experiment)
    _write_stimulus_table(root / layout.STIMULUS_TABLE, config, experiment)
    _write_captions(Path(captions), config, scenes)
    _write_stimuli(root / layout.STIMULI, Path(features), config.seed, scenes)
    logger.info(
        "%d stimuli (%d shared), %d trials in %d sessions",
        *(config.n_stimuli, config.n_shared, config.n_trials, config.n_sessions),
    )


def write_subject(
    root: str | Path,
    config: SimulationConfig,
    subject: str,
    features: str | Path,
    *,
    version: str = "betas_fithrf_GLMdenoise_RR",
    space: str = "func1pt8mm",
) -> None:
    """Write one subject's ROI volumes, brain mask and noise ceiling.

    The noise ceiling is computed from the responses of all sessions, as NSD does, not from the
    simulation's true parameters.

    Parameters
    ----------
    root, config : as for `write_experiment`.
    subject : ``subj01``, ``subj02``, ...
    features : written by `write_experiment`.
    version, space : folders of the bucket to write to; the numbers are the same in all.

    Raises
    ------
    InputError
        If the dataset has no such subject or the features are of another dataset.
    """
    root, brain = Path(root), Brain(config, subject)
    anatomy = brain.anatomy
    for name, labels in anatomy.label_volumes().items():
        _write_nifti(root / layout.roi_key(subject, name, space), labels)
    folder = (root / layout.roi_key(subject, space=space)).parent.parent
    _write_nifti(folder / "brainmask.nii.gz", anatomy.brain.astype(np.int16))

    ratios = _noise_ceiling_snr(brain, features)
    path = root / layout.ncsnr_key(subject, version, space)
    for suffix, ratio in zip(("", "_split1", "_split2"), ratios, strict=True):
        volume = np.full(anatomy.shape, np.nan, dtype=np.float32)
        volume[anatomy.brain] = ratio
        _write_nifti(path.with_name(f"ncsnr{suffix}.nii.gz"), volume)


def _noise_ceiling_snr(brain: Brain, features: str | Path) -> np.ndarray:
    """(3, n_brain), see `brain.noise_ceiling_snr`; the median of nsdgeneral goes to the log."""
    signals = read_signals(brain, features)
    numbers = range(1, brain.config.n_sessions + 1)
    betas = [brain.session_betas(signals, session) for session in numbers]
    ratios = noise_ceiling_snr(betas, [brain.trial_stimuli(session) for session in numbers])
    squared = ratios[0][brain.anatomy.general[brain.anatomy.brain]] ** 2
    logger.info(
        "%s: %d voxels in nsdgeneral, median noise ceiling of three trials %.1f %%",
        *(brain.subject, len(squared), 100 * np.nanmedian(squared / (squared + 1 / 3))),
    )
    return ratios


def write_session(
    root: str | Path,
    config: SimulationConfig,
    subject: str,
    session: int,
    features: str | Path,
    *,
    version: str = "betas_fithrf_GLMdenoise_RR",
    space: str = "func1pt8mm",
    formats: Sequence[Literal["nii.gz", "hdf5"]] = ("nii.gz",),
) -> None:
    """Write the single-trial betas of one session.

    Parameters
    ----------
    root, config, subject, features, version, space : as for `write_subject`.
    session : 1-based.
    formats : of the files; both hold the same numbers.

    Raises
    ------
    InputError
        If there is no such subject or session, or the features are of another dataset.
    """
    brain = Brain(config, subject)
    betas = brain.session_betas(read_signals(brain, features), session)
    for extension in formats:
        path = Path(root) / layout.betas_key(subject, session, version, space, extension)
        write_betas(path, brain, betas)


def write_betas(path: Path, brain: Brain, betas: np.ndarray) -> None:
    """Write responses of every voxel of the brain, (n_brain, n_trials), as a volume a trial."""
    volume = np.zeros((*brain.anatomy.shape, betas.shape[1]), dtype=np.int16)
    limits = np.iinfo(np.int16)
    volume[brain.anatomy.brain] = np.clip(np.rint(betas * BETA_SCALE), limits.min, limits.max)
    (_write_nifti if path.suffix == ".gz" else _write_beta_h5)(path, volume)


def read_signals(brain: Brain, features: str | Path) -> np.ndarray:
    """Noise-free responses of a brain to all stimuli, (n_voxels, n_stimuli)."""
    config = brain.config
    with open_h5(features) as file:
        maps, attributes = dataset(file, "maps")[:], dataset(file, "attributes")
        names = [str(name) for name in attributes.attrs["names"]]
        attributes, seed = attributes[:], file.attrs["seed"]
    if (len(maps), seed) != (config.n_stimuli, config.seed):
        raise InputError(
            features,
            found=f"{len(maps)} stimuli of seed {seed}",
            expected=f"{config.n_stimuli} stimuli of seed {config.seed}",
        )
    return brain.signals(maps, attributes, names)


def _write_design(path: Path, config: SimulationConfig, experiment: Experiment) -> None:
    """MATLAB file; all ids count from 1 and are stored in the smallest unsigned integers."""
    variables = {
        "masterordering": experiment.image_of_trial[None, :] + 1,
        "subjectim": experiment.nsd_id + 1,
        "sharedix": experiment.nsd_id[:1, : config.n_shared] + 1,
        "stimpattern": stimulus_pattern(config).astype(np.int64),
    }
    small = {
        name: values.astype(np.min_scalar_type(values.max())) for name, values in variables.items()
    }
    with whole_file(path) as partial:
        scipy.io.savemat(partial, small, do_compression=True, appendmat=False)


def _write_stimulus_table(path: Path, config: SimulationConfig, experiment: Experiment) -> None:
    n_stimuli = config.n_stimuli
    rng = generator(config.seed, "table")
    columns = {
        "cocoId": np.sort(rng.choice(600_000, n_stimuli, replace=False)),
        "cocoSplit": rng.choice(["train2017", "val2017"], n_stimuli, p=[0.9, 0.1]),
        "cropBox": [_crop_box(rng) for _ in range(n_stimuli)],
        "loss": np.round(rng.uniform(0, 0.3, n_stimuli), 6),
        "nsdId": np.arange(n_stimuli),
        "flagged": np.zeros(n_stimuli, dtype=bool),
        "BOLD5000": rng.random(n_stimuli) < 0.06,
        "shared1000": np.isin(np.arange(n_stimuli), experiment.nsd_id[0, : config.n_shared]),
    }
    numbers = range(1, MAX_SUBJECTS + 1)
    trials = {number: _repeat_trials(experiment, number, n_stimuli) for number in numbers}
    for number in numbers:
        assigned = np.zeros(n_stimuli, dtype=np.int64)
        if number <= len(experiment.nsd_id):
            assigned[experiment.nsd_id[number - 1]] = 1
        columns[f"subject{number}"] = assigned
    for number in numbers:
        for repeat, column in enumerate(trials[number].T):
            columns[f"subject{number}_rep{repeat}"] = column
    with whole_file(path) as partial:
        pd.DataFrame(columns).to_csv(partial)  # like the original, with an unnamed index


def _crop_box(rng: np.random.Generator) -> str:
    """Fractions cut off at the top, bottom, left and right: half an oblong image's excess each."""
    excess = round(rng.uniform(0.1, 0.2), 6)
    return str((0, 0, excess, excess) if rng.random() < 0.7 else (excess, excess, 0, 0))


def _repeat_trials(experiment: Experiment, subject: int, n_stimuli: int) -> np.ndarray:
    """(n_stimuli, 3): 1-based trials in which each stimulus was shown to a subject; 0 for never."""
    trials = np.zeros((n_stimuli, 3), dtype=np.int64)
    if subject > len(experiment.nsd_id):
        return trials
    shown = np.zeros(n_stimuli, dtype=np.int64)
    for trial, stimulus in enumerate(experiment.stimulus_of_trial(subject - 1), start=1):
        trials[stimulus, shown[stimulus]] = trial
        shown[stimulus] += 1
    return trials


def _write_captions(path: Path, config: SimulationConfig, scenes: Sequence[Scene]) -> None:
    """Unicode array (n_stimuli, 5); missing captions are empty and come last."""
    captions = np.array([caption_scene(scene) for scene in scenes], dtype=_CAPTION_TYPE)
    counts = generator(config.seed, "captions").choice(_CAPTION_COUNTS, len(scenes))
    captions[np.arange(captions.shape[1]) >= counts[:, None]] = ""
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.save(stream, captions, allow_pickle=False)


def _write_stimuli(path: Path, features: Path, seed: int, scenes: Sequence[Scene]) -> None:
    """Draw every stimulus once, into the stimulus file and through the image filters."""
    attributes = [scene_attributes(scene) for scene in scenes]
    n = len(scenes)
    with create_matlab_h5(path) as stimuli, create_h5(features) as derived:
        # Neither chunked nor compressed: image i starts at a fixed offset.
        images = stimuli.create_dataset("imgBrick", (n, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        maps = derived.create_dataset("maps", (n, len(CHANNELS), GRID, GRID), np.float32)
        values = np.array([list(row.values()) for row in attributes], dtype=np.float32)
        derived.create_dataset("attributes", data=values)
        derived["attributes"].attrs["names"] = list(attributes[0])
        derived.attrs["seed"] = seed
        for nsd_id, scene in enumerate(progress(scenes, description="drawing stimuli")):
            image = draw_scene(scene, IMAGE_SIZE)
            images[nsd_id] = image
            maps[nsd_id] = channel_maps(image)


def _write_nifti(path: Path, volume: np.ndarray) -> None:
    """NIfTI as NSD's: the place of the voxels in sform alone, and a slope of 0, which is none."""
    affine = np.diag([_VOXEL_SIZE] * 3 + [1.0])
    affine[:3, 3] = -_VOXEL_SIZE * (np.array(volume.shape[:3]) - 1) / 2
    header = nib.Nifti1Header()
    header.set_data_dtype(volume.dtype)
    header.set_data_shape(volume.shape)
    header.set_sform(affine, code="scanner")
    header.set_zooms([_VOXEL_SIZE] * 3 + [_TRIAL_SPACING] * (volume.ndim - 3))
    header.set_xyzt_units("mm", "sec")
    # nibabel itself would save a slope of 1.
    header["scl_slope"] = 0
    with whole_file(path) as partial, ImageOpener(partial, "wb") as stream:
        header.write_to(stream)
        for part in np.moveaxis(volume, -1, 0):
            stream.write(part.tobytes(order="F"))


def _write_beta_h5(path: Path, volume: np.ndarray) -> None:
    """MATLAB's axis order: (trials, Z, Y, X), one voxel's trials a chunk, not compressed."""
    reversed_axes = volume.transpose()
    with create_matlab_h5(path) as file:
        file.create_dataset("betas", data=reversed_axes, chunks=(reversed_axes.shape[0], 1, 1, 1))


@contextmanager
def create_matlab_h5(path: Path) -> Iterator[h5py.File]:
    """A new file of HDF5's oldest format, as MATLAB writes it."""
    with whole_file(path) as partial, h5py.File(partial, "w", libver="earliest") as file:
        yield file
