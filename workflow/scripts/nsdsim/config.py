"""Sizes of the simulated dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from nsdrecon.errors import InputError

from .anatomy import cortex_mask

_SOURCE = "simulation"
MAX_SUBJECTS = 8  # the stimulus table has columns for eight
_MIN_VOXELS = 50  # fewer cannot be divided into regions


@dataclass(frozen=True)
class SubjectConfig:
    """One subject: volume shape (X, Y, Z) and number of voxels in nsdgeneral."""

    shape: tuple[int, int, int]
    n_voxels: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        whole = all(isinstance(side, int) and side >= 8 for side in self.shape)
        if len(self.shape) != 3 or not whole:
            raise InputError(
                f"{_SOURCE}.subjects",
                found=f"shape {self.shape}",
                expected="three sides of 8 or more",
            )
        n_cortex = int(np.count_nonzero(cortex_mask(self.shape)))
        if not _MIN_VOXELS <= self.n_voxels <= n_cortex:
            raise InputError(
                f"{_SOURCE}.subjects",
                found=f"{self.n_voxels} voxels in a volume of shape {self.shape}",
                expected=f"{_MIN_VOXELS} to {n_cortex} voxels (its cortex)",
            )


def _default_subjects() -> tuple[SubjectConfig, ...]:
    return (SubjectConfig((26, 32, 24), 2400), SubjectConfig((28, 30, 25), 2000))


@dataclass(frozen=True)
class SimulationConfig:
    """Sizes and seed of a simulated dataset. The first subject is ``subj01``.

    Parameters
    ----------
    seed : of everything that is random.
    subjects : their volumes.
    n_sessions : scan sessions of each subject.
    trials_per_session : stimuli shown in a session.
    n_shared : images that all subjects see; each is shown `max_repeats` times. They become the
        test set.
    n_unique : images that one subject alone sees, 1 to `max_repeats` times each, as many times as
        the trials allow.
    n_unseen : further images set aside for each subject that no session came to show.
    max_repeats : presentations of an image (3 in NSD).
    noise_ceiling : median over nsdgeneral of the variance that the image explains in the mean of
        three trials, percent.
    n_dropout_voxels : voxels of nsdgeneral that are zero throughout one session.
    n_constant_voxels : voxels of nsdgeneral that are zero throughout.

    Raises
    ------
    InputError
        If the sizes contradict each other.
    """

    seed: int = 0
    subjects: tuple[SubjectConfig, ...] = field(default_factory=_default_subjects)
    n_sessions: int = 3
    trials_per_session: int = 240
    n_shared: int = 40
    n_unique: int = 300
    n_unseen: int = 8
    max_repeats: int = 3
    noise_ceiling: float = 42.0
    n_dropout_voxels: int = 6
    n_constant_voxels: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", tuple(self.subjects))
        self._check(1 <= len(self.subjects) <= MAX_SUBJECTS, "subjects", f"1 to {MAX_SUBJECTS}")
        for name in ("n_sessions", "trials_per_session", "n_shared", "n_unique"):
            self._check(getattr(self, name) >= 1, name, "1 or more")
        for name in ("n_unseen", "n_dropout_voxels", "n_constant_voxels"):
            self._check(getattr(self, name) >= 0, name, "0 or more")
        # The noise ceiling is estimated from repeats; the table has columns for three.
        self._check(2 <= self.max_repeats <= 3, "max_repeats", "2 or 3")
        self._check(0 < self.noise_ceiling < 100, "noise_ceiling", "between 0 and 100 percent")
        low = self.n_shared * self.max_repeats + self.n_unique
        high = (self.n_shared + self.n_unique) * self.max_repeats
        self._check(
            low <= self.n_trials <= high,
            "trials_per_session",
            f"{low} to {high} trials in all {self.n_sessions} sessions, for {self.n_shared} shared "
            f"images shown {self.max_repeats} times and {self.n_unique} others at least once",
        )
        silent = self.n_dropout_voxels + self.n_constant_voxels
        smallest = min(subject.n_voxels for subject in self.subjects)
        self._check(
            silent <= smallest // 10, "n_dropout_voxels", f"at most {smallest // 10} in all"
        )

    def _check(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(f"{_SOURCE}.{name}", found=getattr(self, name), expected=expected)

    @property
    def n_trials(self) -> int:
        """Trials of one subject."""
        return self.n_sessions * self.trials_per_session

    @property
    def n_images(self) -> int:
        """Images set aside for one subject (10,000 in NSD)."""
        return self.n_shared + self.n_unique + self.n_unseen

    @property
    def n_stimuli(self) -> int:
        """Images of all subjects together (73,000 in NSD)."""
        return self.n_shared + len(self.subjects) * (self.n_unique + self.n_unseen)

    @property
    def subject_names(self) -> tuple[str, ...]:
        """``subj01``, ``subj02``, ..."""
        return tuple(f"subj{number:02d}" for number in range(1, len(self.subjects) + 1))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> SimulationConfig:
        """Build from a mapping (for instance of a YAML file); what is left out has its default.

        ``subjects`` is a list of mappings with ``shape`` and ``n_voxels``.

        Raises
        ------
        InputError
            If a key is unknown, a value has another type, or the sizes contradict each other.
        """
        values = _checked(cls, mapping, _SOURCE)
        if "subjects" in values:
            values["subjects"] = tuple(
                SubjectConfig(**_checked(SubjectConfig, subject, f"{_SOURCE}.subjects"))
                for subject in values["subjects"]
            )
        return cls(**values)


def _checked(cls: type, mapping: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The mapping as a dict, if its keys are fields of the class and its values of their types."""
    known = {entry.name: entry.type for entry in fields(cls)}
    if not isinstance(mapping, Mapping):
        raise InputError(source, found=repr(mapping), expected=f"a mapping with {list(known)}")
    unknown = sorted(set(mapping) - set(known))
    if unknown:
        raise InputError(source, found=f"keys {unknown}", expected=f"keys among {list(known)}")
    for name, value in mapping.items():
        kinds = {"int": int, "float": int | float}.get(known[name], list | tuple)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise InputError(f"{source}.{name}", found=repr(value), expected=known[name])
    missing = sorted({"shape", "n_voxels"} - set(mapping)) if cls is SubjectConfig else []
    if missing:
        raise InputError(source, found=f"no {missing}", expected=f"keys {list(known)}")
    return dict(mapping)
