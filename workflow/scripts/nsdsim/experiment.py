"""What is shown to whom and when: the design of the simulated experiment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsdrecon.randomness import generator

from .config import SimulationConfig
from .scenes import Scene, sample_scene

_RUNS = 12
# Blank trials at the start and the end of a run, and those strewn in between.
_BLANKS_BEFORE, _BLANKS_AFTER, _BLANKS_BETWEEN = 3, 4, 5


@dataclass(frozen=True)
class Experiment:
    """The design, counted from 0.

    Attributes
    ----------
    image_of_trial : (n_trials,) number of the image in each trial, the same for all subjects.
    nsd_id : (n_subjects, n_images) stimulus that stands behind each image number; the first
        `n_shared` columns are the same for all subjects.
    """

    image_of_trial: np.ndarray
    nsd_id: np.ndarray

    def stimulus_of_trial(self, subject_index: int) -> np.ndarray:
        """(n_trials,) stimulus of each trial of a subject."""
        return self.nsd_id[subject_index, self.image_of_trial]


def design_experiment(config: SimulationConfig) -> Experiment:
    """Design the experiment of a configuration."""
    return Experiment(_order_trials(config), _assign_stimuli(config))


def _order_trials(config: SimulationConfig) -> np.ndarray:
    rng = generator(config.seed, "trials")
    others = rng.permutation(np.arange(config.n_shared, config.n_images))[: config.n_unique]
    repeats = np.ones(config.n_unique, dtype=np.int64)
    to_spare = config.n_trials - config.n_shared * config.max_repeats - config.n_unique
    spare = np.repeat(np.arange(config.n_unique), config.max_repeats - 1)
    np.add.at(repeats, rng.permutation(spare)[:to_spare], 1)
    images = np.concatenate([np.arange(config.n_shared), others])
    repeats = np.concatenate([np.full(config.n_shared, config.max_repeats), repeats])
    # Each presentation has its own stretch of the experiment, so that repeats are spread over it.
    image_of_trial = np.repeat(images, repeats)
    presentation = np.concatenate([np.arange(count) for count in repeats])
    moment = (presentation + rng.random(config.n_trials)) / np.repeat(repeats, repeats)
    return image_of_trial[np.argsort(moment, kind="stable")]


def _assign_stimuli(config: SimulationConfig) -> np.ndarray:
    rng = generator(config.seed, "stimuli")
    stimuli = rng.permutation(config.n_stimuli)
    shared = np.sort(stimuli[: config.n_shared])
    own = stimuli[config.n_shared :].reshape(len(config.subjects), -1)
    return np.stack([np.concatenate([shared, ids]) for ids in own])


def stimulus_pattern(config: SimulationConfig) -> np.ndarray:
    """Which trial slots of each run show a stimulus, bool (n_sessions, runs, slots).

    Runs begin and end with blank trials and have others between stimuli.
    """
    n_runs = min(_RUNS, config.trials_per_session)
    counts = np.array(
        [len(part) for part in np.array_split(range(config.trials_per_session), n_runs)]
    )
    inner = counts.max() + _BLANKS_BETWEEN
    pattern = np.zeros(
        (config.n_sessions, n_runs, _BLANKS_BEFORE + inner + _BLANKS_AFTER), dtype=bool
    )
    rng = generator(config.seed, "pattern")
    for session in range(config.n_sessions):
        for run, count in enumerate(rng.permutation(counts)):
            slots = _BLANKS_BEFORE + rng.permutation(inner)[:count]
            pattern[session, run, slots] = True
    return pattern


def stimulus_scene(config: SimulationConfig, nsd_id: int) -> Scene:
    """The scene of a stimulus."""
    return sample_scene(generator(config.seed, "scene", nsd_id))
