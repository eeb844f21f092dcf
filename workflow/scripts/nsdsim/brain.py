"""How the simulated brains respond: tuning of voxels, signals and single-trial betas.

Voxels respond to what is in the picture. V1 to hV4 have receptive fields in which they weigh local
luminance, colour and contrast energy, all computed from the pixels. High-level areas respond to
what the scene means: category, objects, light, animacy, with a selectivity that goes with their
region, and a little to pixels. Nothing here knows of any model that is used for decoding.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nsdrecon.errors import InputError
from nsdrecon.randomness import generator

from .anatomy import EARLY_AREAS, FLOC_REGIONS, STREAMS, Anatomy
from .config import SimulationConfig
from .experiment import design_experiment
from .image_features import CHANNELS, COLOUR_CHANNELS, ENERGY_CHANNELS, FIELD_OF_VIEW, GRID
from .sampling import KIND_SPECS

logger = logging.getLogger(__name__)

# Receptive field size: standard deviation = offset + slope x eccentricity, degrees.
_FIELD_SIZES = {"V1": (0.3, 0.10), "V2": (0.4, 0.15), "V3": (0.5, 0.22), "hV4": (0.8, 0.32)}
# Share of the signal's variance that is semantic.
_SEMANTIC_SHARE_OF_AREA = {"V1": 0.0, "V2": 0.0, "V3": 0.05, "hV4": 0.25}
_SEMANTIC_SHARE_OF_STREAM = {
    "midventral": 0.55,
    "midlateral": 0.5,
    "midparietal": 0.45,
    "ventral": 0.9,
    "lateral": 0.85,
    "parietal": 0.8,
}
# What a category-selective region prefers, added to every voxel's own random preferences.
_VEHICLES = ("car", "bus", "truck", "train", "boat", "airplane")
_PREFERENCES = {
    "floc-faces": {"object:person": 2.0, "animate": 1.0, "object:cat": 0.7, "object:dog": 0.7},
    "floc-bodies": {
        "animate": 1.5,
        **{f"object:{kind}": 0.8 for kind, spec in KIND_SPECS.items() if spec.animate},
    },
    "floc-places": {"indoor": 1.5, "object:house": 1.0, "animate": -0.7},
    "floc-words": {"inanimate": 0.8, **{f"object:{kind}": 0.8 for kind in _VEHICLES}},
}
# Spread of the random preferences for each group of attributes.
_PREFERENCE_SPREAD = {"category": 1.0, "light": 0.6, "object": 0.8}
_SINGLE_ATTRIBUTE_SPREAD = 0.6

# The spread of noise ceilings: standard deviation of the log of the signal-to-noise ratio.
_LOG_SNR_SPREAD = 0.5
_REPEATS_OF_CEILING = 3
_NOISE_SD = 1.3  # percent signal change, median over voxels
_BASELINE = 1.0  # percent signal change
_SHARED_NOISE = 0.15  # share of the noise variance that is common to many voxels
_NOISE_SOURCES = 6
_OFFSET_SD, _DRIFT_SD, _GAIN_SD = 0.2, 0.15, 0.05  # between sessions; the first two in noise SDs


def _standardised(values: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and SD 1; constant rows become 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


@dataclass(frozen=True)
class Brain:
    """One simulated subject.

    Parameters
    ----------
    config : of the dataset.
    subject : ``subj01``, ``subj02``, ...

    Raises
    ------
    InputError
        If the dataset has no such subject.
    """

    config: SimulationConfig
    subject: str

    def __post_init__(self) -> None:
        names = self.config.subject_names
        if self.subject not in names:
            raise InputError("simulation.subjects", found=self.subject, expected=", ".join(names))

    @property
    def index(self) -> int:
        """0-based number of the subject."""
        return self.config.subject_names.index(self.subject)

    def _rng(self, *key: int | str) -> np.random.Generator:
        return generator(self.config.seed, "brain", self.subject, *key)

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its shape and regions."""
        size = self.config.subjects[self.index]
        return Anatomy(size.shape, size.n_voxels, (self.config.seed, "anatomy", self.subject))

    @cached_property
    def receptive_fields(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre x (to the right), y (upwards) and SD of each voxel's field, degrees."""
        anatomy, rng = self.anatomy, self._rng("fields")
        n = anatomy.n_voxels
        # High-level fields are large and near fixation.
        x, y = rng.normal(0, 1.2, (2, n))
        size = rng.uniform(1.5, 3.5, n)
        jitter = np.exp(rng.normal(0, 0.15, n))
        for index, name in enumerate(EARLY_AREAS):
            inside = anatomy.area == index
            eccentricity, angle = anatomy.eccentricity[inside], anatomy.angle[inside]
            x[inside] = eccentricity * np.cos(angle)
            y[inside] = eccentricity * np.sin(angle)
            offset, slope = _FIELD_SIZES[name]
            size[inside] = (offset + slope * eccentricity) * jitter[inside]
        return x, y, size

    @cached_property
    def _field_weights(self) -> np.ndarray:
        """(n_voxels, GRID * GRID); a row sums to the share of the field that is in the stimulus."""
        x, y, size = self.receptive_fields
        cell = FIELD_OF_VIEW / GRID
        centres = (np.arange(GRID) + 0.5) * cell - FIELD_OF_VIEW / 2
        scale = cell / (np.sqrt(2 * np.pi) * size[:, None])
        across = scale * np.exp(-0.5 * ((centres[None, :] - x[:, None]) / size[:, None]) ** 2)
        down = scale * np.exp(-0.5 * ((-centres[None, :] - y[:, None]) / size[:, None]) ** 2)
        weights = down[:, :, None] * across[:, None, :]
        return weights.reshape(len(x), GRID * GRID).astype(np.float32)

    @cached_property
    def _channel_weights(self) -> np.ndarray:
        """(n_voxels, len(CHANNELS)): preferred colour, spatial frequency and orientation."""
        rng = self._rng("channels")
        n, n_energy = self.anatomy.n_voxels, len(ENERGY_CHANNELS)
        colour = rng.normal(0, 1, (n, len(COLOUR_CHANNELS))) * [1.3, 1.0, 1.0]
        frequency = rng.normal(0, 0.5, (n, n_energy // 4, 1))
        orientation = rng.normal(0, 0.5, (n, 1, 4))
        # BOLD rises with contrast: energy weights are positive on the whole.
        energy = np.exp(frequency + orientation) * rng.uniform(0.2, 1.0, (n, 1, 1))
        energy /= np.sqrt((energy**2).sum(axis=(1, 2), keepdims=True))
        energy *= rng.uniform(0.3, 1.8, (n, 1, 1))
        return np.concatenate([colour, energy.reshape(n, n_energy)], axis=1).astype(np.float32)

    def _attribute_weights(self, names: list[str]) -> np.ndarray:
        """(n_voxels, n_attributes): preferences for standardised attributes."""
        n = self.anatomy.n_voxels
        spread = [
            _PREFERENCE_SPREAD.get(name.split(":")[0], _SINGLE_ATTRIBUTE_SPREAD) for name in names
        ]
        weights = self._rng("preferences").normal(0, 1, (n, len(names))) * spread
        for volume in FLOC_REGIONS:
            inside = self.anatomy.floc(volume) > 0
            for name, preference in _PREFERENCES[volume].items():
                weights[inside, names.index(name)] += preference
        return weights.astype(np.float32)

    @cached_property
    def _semantic_share(self) -> np.ndarray:
        share = np.zeros(self.anatomy.n_voxels)
        for label, name in enumerate(STREAMS, start=1):
            share[self.anatomy.stream == label] = _SEMANTIC_SHARE_OF_STREAM.get(name, 0.0)
        for index, name in enumerate(EARLY_AREAS):
            share[self.anatomy.area == index] = _SEMANTIC_SHARE_OF_AREA[name]
        return share[:, None]

    def signals(
        self, maps: np.ndarray, attributes: np.ndarray, attribute_names: list[str]
    ) -> np.ndarray:
        """Noise-free responses to all stimuli.

        Parameters
        ----------
        maps : (n_stimuli, len(CHANNELS), GRID, GRID), of `image_features.channel_maps`.
        attributes : (n_stimuli, n_attributes), of `scenes.scene_attributes`.
        attribute_names : their names.

        Returns
        -------
        float32 (n_voxels, n_stimuli) for nsdgeneral, mean 0 and SD 1 over the stimuli.
        """
        n_stimuli = len(maps)
        seen = np.zeros((self.anatomy.n_voxels, n_stimuli), dtype=np.float32)
        for channel in range(len(CHANNELS)):
            plane = maps[:, channel].reshape(n_stimuli, -1).T
            plane = (plane - plane.mean()) / plane.std()
            seen += self._channel_weights[:, channel, None] * (self._field_weights @ plane)
        meant = self._attribute_weights(attribute_names) @ _standardised(attributes.T)
        share = self._semantic_share
        both = np.sqrt(1 - share) * _standardised(seen) + np.sqrt(share) * _standardised(meant)
        return _standardised(both).astype(np.float32)

    @cached_property
    def signal_to_noise(self) -> np.ndarray:
        """(n_voxels,) true SD of the signal over that of the noise, in nsdgeneral."""
        fraction = self.config.noise_ceiling / 100
        median = np.sqrt(fraction / (1 - fraction) / _REPEATS_OF_CEILING)
        spread = self._rng("snr").normal(0, _LOG_SNR_SPREAD, self.anatomy.n_voxels)
        # A field that lies partly on the uniform screen is driven less.
        coverage = np.minimum(self._field_weights.sum(axis=1), 1)
        return median * np.exp(spread) * np.sqrt(coverage)

    @cached_property
    def _silent(self) -> tuple[np.ndarray, np.ndarray]:
        """Voxels of nsdgeneral with dropout and the (1-based) session; 0 for all sessions.

        They lie at the back of the volume, which the head leaves when it moves.
        """
        n_dropout, n_constant = self.config.n_dropout_voxels, self.config.n_constant_voxels
        back = np.argsort(np.argwhere(self.anatomy.general)[:, 1], kind="stable")
        rng = self._rng("silent")
        voxels = rng.permutation(back[: 4 * (n_dropout + n_constant)])[: n_dropout + n_constant]
        sessions = rng.integers(1, self.config.n_sessions + 1, len(voxels))
        sessions[n_dropout:] = 0
        return voxels, sessions

    def trial_stimuli(self, session: int) -> np.ndarray:
        """(trials_per_session,) stimulus shown in each trial of a session (1-based).

        Raises
        ------
        InputError
            If there is no such session.
        """
        if not 1 <= session <= self.config.n_sessions:
            raise InputError(
                "simulation.n_sessions",
                found=f"session {session}",
                expected=f"1 to {self.config.n_sessions}",
            )
        shown = design_experiment(self.config).stimulus_of_trial(self.index)
        start = (session - 1) * self.config.trials_per_session
        return shown[start : start + self.config.trials_per_session]

    def session_betas(self, signals: np.ndarray, session: int) -> np.ndarray:
        """Single-trial responses of one session.

        Parameters
        ----------
        signals : (n_voxels, n_stimuli) of `signals`.
        session : 1-based.

        Returns
        -------
        float32 (n_brain, n_trials): percent signal change of every voxel of the brain, in C order
        of the volume; silent voxels are zero.
        """
        return self._betas(signals[:, self.trial_stimuli(session)], session)

    def further_betas(
        self, signals: np.ndarray, stimuli: np.ndarray, gain: np.ndarray, experiment: str
    ) -> np.ndarray:
        """Single-trial responses of an experiment beside the sessions, as of `session_betas`.

        Parameters
        ----------
        signals : as for `session_betas`.
        stimuli : (n_trials,) stimulus of each trial.
        gain : (n_trials,) how much of its signal there is: 1 for a picture that is seen, less for
            one that is imagined, 0 for trials of something else.
        experiment : its name.
        """
        return self._betas(signals[:, stimuli] * gain, experiment)

    def _betas(self, driven: np.ndarray, session: int | str) -> np.ndarray:
        """Responses to signals of each trial, (n_voxels, n_trials)."""
        brain_rng, rng = self._rng("brain"), self._rng("session", session)
        inside = self.anatomy.general[self.anatomy.brain]
        n_brain, n_trials = len(inside), driven.shape[1]
        noise_sd = _NOISE_SD * np.exp(brain_rng.normal(0, 0.3, (n_brain, 1)))
        baseline = _BASELINE + brain_rng.normal(0, 0.6, (n_brain, 1))
        loadings = brain_rng.normal(0, 1 / np.sqrt(_NOISE_SOURCES), (n_brain, _NOISE_SOURCES))

        noise = rng.standard_normal((n_brain, n_trials), dtype=np.float32)
        common = loadings @ rng.normal(0, 1, (_NOISE_SOURCES, n_trials))
        betas = np.sqrt(1 - _SHARED_NOISE) * noise + np.sqrt(_SHARED_NOISE) * common
        betas += rng.normal(0, _OFFSET_SD, (n_brain, 1))
        betas += rng.normal(0, _DRIFT_SD, (n_brain, 1)) * np.linspace(-1, 1, n_trials)
        gain = np.exp(rng.normal(0, _GAIN_SD))
        betas[inside] += gain * self.signal_to_noise[:, None] * driven
        betas = baseline + noise_sd * betas

        voxels, sessions = self._silent
        rows = np.flatnonzero(inside)[voxels[(sessions == 0) | (sessions == session)]]
        betas[rows] = 0
        logger.info(
            "%s session %s: %d trials, %d voxels in the brain (%d in nsdgeneral, of which %d are "
            "zero in this session and %d in all)",
            *(self.subject, session, n_trials, n_brain, inside.sum()),
            *((sessions == session).sum(), (sessions == 0).sum()),
        )
        return betas.astype(np.float32)


def noise_ceiling_snr(sessions: list[np.ndarray], stimuli: list[np.ndarray]) -> np.ndarray:
    """Signal-to-noise ratio from repeats, computed as NSD does.

    Responses are z-scored in each session; the noise variance is the mean variance over repeats of
    the images that were shown most often; the signal variance is what is left of 1 (Allen et al.,
    2022, Methods, "Noise ceiling estimation").

    Parameters
    ----------
    sessions : responses of each session, (n_voxels, n_trials).
    stimuli : stimulus of each trial, (n_trials,), of each session.

    Returns
    -------
    float32 (3, n_voxels): from all these images, from the first, third, ... and from the second,
    fourth, ... of them. NaN marks voxels without one image whose repeats are all valid (not in a
    session in which the voxel is constant).
    """
    scored = []
    for betas in sessions:
        spread = betas.std(axis=1, ddof=1, keepdims=True)
        spread = np.where(spread > 0, spread, np.nan)
        scored.append((betas - betas.mean(axis=1, keepdims=True)) / spread)
    responses, shown = np.concatenate(scored, axis=1), np.concatenate(stimuli)
    images, counts = np.unique(shown, return_counts=True)
    often = images[counts == counts.max()]
    variances = np.stack([responses[:, shown == image].var(axis=1, ddof=1) for image in often], 1)
    return np.stack([_ratio(variances[:, part]) for part in np.s_[:, ::2, 1::2]])


def _ratio(variances: np.ndarray) -> np.ndarray:
    """SNR from the variance over repeats of each image, (n_voxels, n_images); NaN is left out."""
    known = ~np.isnan(variances)
    count = known.sum(axis=1)
    total = np.where(known, variances, 0).sum(axis=1)
    noise = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return np.sqrt(np.maximum(1 - noise, 0) / noise).astype(np.float32)
