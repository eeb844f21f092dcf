"""NSD-Imagery and NSD-synthetic of the simulated dataset, in the layout of the real ones.

Their pictures are shared images, under the names of the real targets, or within a wide screen.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
from PIL import Image

from nsdrecon import layout
from nsdrecon.randomness import generator
from nsdrecon.store import open_h5, read_rows
from nsdrecon.whole_files import whole_file

from .brain import Brain
from .config import SimulationConfig
from .experiment import design_experiment
from .files import create_matlab_h5, read_signals, write_betas

_CONCEPTS = tuple("SZMYNF")
_GAIN = {"vis": 1.0, "att": 0.4, "img": 0.4}  # of a picture that is seen, or held in mind
_N_SYNTHETIC, _N_COLOURED, _REPEATS = 8, 4, 2
_SCREEN = (714, 1360)  # pixels, height and width


def write_further_tests(
    root: str | Path, config: SimulationConfig, subjects: list[str], stimuli: str | Path
) -> None:
    """Write pictures, tables of trials and designs of both experiments.

    Parameters
    ----------
    root, config : as for `files.write_experiment`.
    subjects : that the tables are of.
    stimuli : the file of all stimuli.
    """
    root = Path(root)
    shown = _shared(config)
    with open_h5(stimuli) as file:
        pictures = read_rows(file["imgBrick"], shown)
    for key, picture in zip(layout.further_pictures("imagery"), pictures, strict=True):
        with whole_file(root / key) as partial:
            Image.fromarray(picture).save(partial, format="png", compress_level=1)
    for subject in subjects:
        runs = _imagery_runs(config, subject)
        keys = layout.further_tables(subject, "imagery")
        for (run, letters), key in zip(runs.items(), keys, strict=True):
            _write_run(root / key, run, letters)
    design = _synthetic_numbers(config)[None].astype(np.uint16)
    with whole_file(root / layout.SYNTHETIC_DESIGN) as partial:
        scipy.io.savemat(partial, {"masterordering": design}, appendmat=False)
    with create_matlab_h5(root / layout.SYNTHETIC_STIMULI) as file:
        _write_screens(file, pictures[:_N_SYNTHETIC])


def write_further_session(
    root: str | Path,
    config: SimulationConfig,
    subject: str,
    experiment: str,
    features: str | Path,
    key: str,
) -> None:
    """Write the single-trial betas of ``imagery`` or ``synthetic``, under their key.

    Parameters
    ----------
    root, config, subject, features : as for `files.write_session`.
    experiment, key : which experiment, and where its betas are in the bucket.
    """
    brain = Brain(config, subject)
    if experiment == "synthetic":
        numbers = _synthetic_numbers(config) - 1
        gain = (numbers < layout.SYNTHETIC_SHARED).astype(float)
        stimuli = _shared(config)[np.where(gain > 0, numbers, 0)]
    else:
        stimuli, gain = _imagery_events(config, subject)
    betas = brain.further_betas(read_signals(brain, features), stimuli, gain, experiment)
    write_betas(Path(root) / key, brain, betas)


def _shared(config: SimulationConfig) -> np.ndarray:
    """The stimuli that are targets, in the order of the targets."""
    return design_experiment(config).nsd_id[0, : len(layout.further_pictures("imagery"))]


def _imagery_runs(config: SimulationConfig, subject: str) -> dict[str, np.ndarray]:
    """The letter of each trial, (48,), of each run."""
    sets = {name: list(letters) for name, letters in layout.TARGETS.items()}
    sets["C"] = list(_CONCEPTS)
    rng = generator(config.seed, "imagery", subject)
    repeats = layout.IMAGERY_TRIALS // len(_CONCEPTS)
    return {run: rng.permutation(np.repeat(sets[run[3]], repeats)) for run in layout.IMAGERY_RUNS}


def _write_run(path: Path, run: str, letters: np.ndarray) -> None:
    cues = letters.copy()
    if run.startswith("vis"):  # every other picture comes with a letter that is not its own
        cues[::2] = np.roll(letters, 1)[::2]
    number = layout.IMAGERY_RUNS.index(run) + 1
    trials = {"SUBJECT": 1, "SESSION": 1, "RUN": number, "TRIAL": np.arange(1, len(letters) + 1)}
    with whole_file(path) as partial:
        table = pd.DataFrame({**trials, "CONDITION": letters, "CUE": cues})
        table.to_csv(partial, sep="\t", index=False)


def _imagery_events(config: SimulationConfig, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Stimulus and gain of each beta, (720,) both; each trial of attention has two betas."""
    targets = [letter for letters in layout.TARGETS.values() for letter in letters]
    shared = _shared(config)
    stimuli, gains = [], []
    for run, letters in _imagery_runs(config, subject).items():
        pictured = run[3] in layout.TARGETS
        for letter in letters:
            stimuli.append(shared[targets.index(letter)] if pictured else shared[0])
            gains.append(_GAIN[run[:3]] if pictured else 0.0)
            if run.startswith("att"):
                stimuli.append(shared[0])
                gains.append(0.0)
    return np.array(stimuli), np.array(gains)


def _synthetic_numbers(config: SimulationConfig) -> np.ndarray:
    """(n_trials,) 1-based stimulus of each trial; those beyond the shared ones are coloured."""
    coloured = layout.SYNTHETIC_SHARED + np.arange(_N_COLOURED)
    numbers = np.concatenate([np.arange(_N_SYNTHETIC), coloured]) + 1
    return generator(config.seed, "synthetic").permutation(np.repeat(numbers, _REPEATS))


def _write_screens(file: h5py.File, pictures: np.ndarray) -> None:
    """Pictures in the middle of a grey screen, as intensities of light."""
    height, width = _SCREEN
    screens = file.create_dataset("imgBrick", (len(pictures), height, width, 3), np.uint8)
    left = (width - height) // 2
    for row, picture in enumerate(pictures):
        screen = np.full((height, width, 3), 127, dtype=np.uint8)
        screen[:, left : left + height] = Image.fromarray(picture).resize((height, height))
        screens[row] = np.rint(255 * (screen / 255) ** 2)
