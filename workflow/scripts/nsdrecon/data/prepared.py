"""Files of a user's own: a table of trials, their responses, a mask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nsdrecon.data.nsd import FURTHER, SPLITS
from nsdrecon.data.single_trials import read_trials_of
from nsdrecon.data.volumes import Voxels, read_mask
from nsdrecon.errors import InputError, listing
from nsdrecon.layout import MAX_SESSIONS
from nsdrecon.store import read_table

_SESSION = "{session"


class Prepared:
    """One subject's files, by the patterns of section ``prepared`` of the configuration.

    Parameters
    ----------
    settings
        The section, and ``tests``, the names of further test sets.
    subject
        Number of the subject.
    sessions
        The 1-based sessions that are used, ascending.
    """

    def __init__(self, settings: Mapping[str, Any], subject: int, sessions: list[int]) -> None:
        self.settings = settings
        self.subject = subject
        self.sessions = sessions

    def path(self, role: str, session: int | None = None) -> Path:
        """A file of the subject, or of one session of it."""
        return Path(self.settings[role].format(subject=self.subject, session=session))

    @property
    def units(self) -> str:
        """Of the responses as they are stored."""
        units, scale = self.settings["units"], self.settings["scale"]
        return units if scale == 1 else f"{units} x {scale:g}"

    def voxels(self) -> Voxels:
        """The voxels that are used."""
        return read_mask(self.path("mask"))

    def trials(self) -> pd.DataFrame:
        """All trials that the tables list, in their order.

        Returns
        -------
        DataFrame with ``session``, ``trial`` (0-based over all trials), ``image`` and ``split``.

        Raises
        ------
        InputError
            If a table is missing, lacks a column or a value, has a session between the trials of
            another, names a split that does not exist, or has no trial of a session that is used.
        """
        if _SESSION in self.settings["trials"]:
            tables = [self._table(session) for session in self._in_betas()]
            table = pd.concat(tables, ignore_index=True)
        else:
            table = self._table()
        table["trial"] = np.arange(len(table))
        return table[["session", "trial", "image", "split"]]

    def _in_betas(self) -> list[int]:
        """The sessions whose tables tell what is in the responses: all that are in one file."""
        if _SESSION in self.settings["betas"]:
            return self.sessions
        numbers = range(1, MAX_SESSIONS + 1)
        found = [number for number in numbers if self.path("trials", number).is_file()]
        return sorted({*self.sessions, *found})

    def _table(self, session: int | None = None) -> pd.DataFrame:
        path = self.path("trials", session)
        table = read_table(path, ["image", "split"])
        table = table.assign(session=session or table.get("session", 1))
        for column in ("image", "split", "session"):
            missing = np.flatnonzero(table[column].isna())
            if len(missing):
                raise InputError(
                    path, found=f"no {column} in row {listing(missing + 1)}", expected="one in each"
                )
        table["split"] = self.splits(table["split"], path)
        if (np.diff(table["session"]) < 0).any():
            raise InputError(
                path,
                found="a session between trials of another",
                expected="the trials of session 1, then those of session 2, ...",
            )
        self.require_sessions(table, session)
        return table

    def require_sessions(self, table: pd.DataFrame, session: int | None) -> None:
        """Stop unless a table, which may be that of a session, has trials of those that are used.

        Raises
        ------
        InputError
            If it has none of one of them.
        """
        wanted = self.sessions if session is None else [session]
        lacking = set(wanted) - set(table["session"])
        if lacking:
            raise InputError(
                self.path("trials", session),
                found=f"no trial of session {listing(sorted(lacking))}",
                expected="one or more",
            )

    def splits(self, named: pd.Series, source: str | Path) -> pd.Series:
        """Splits as the contract calls them, from those that a file names.

        Raises
        ------
        InputError
            If one is neither ``train`` nor ``test`` nor one of ``dataset.tests``.
        """
        known = [*SPLITS, *self.settings["tests"]]
        strange = sorted(set(named.astype(str)) - set(known))
        if strange:
            raise InputError(
                source,
                found=f"split {listing(strange)}",
                expected=" or ".join(known),
                remedy="Test sets besides test are named in dataset.tests.",
            )
        return named.where(named.isin(SPLITS), FURTHER + named.astype(str))

    def betas(self, session: int, trials: pd.DataFrame, voxels: Voxels) -> np.ndarray:
        """Responses in one session, as they are stored.

        Parameters
        ----------
        session
            1-based.
        trials
            All trials, of `trials`.
        voxels
            Of `voxels`.

        Returns
        -------
        Shape (n_trials, n_voxels).

        Raises
        ------
        InputError
            If the file is missing, damaged, of another form or of other trials, or lies in another
            space than the mask.
        """
        rows = np.flatnonzero(trials["session"] == session)
        if _SESSION in self.settings["betas"]:
            path, n_trials, chosen = self.path("betas", session), len(rows), slice(0, len(rows))
        else:
            path, n_trials = self.path("betas"), len(trials)
            chosen = slice(int(rows[0]), int(rows[-1]) + 1)
        return self._values(path, voxels, n_trials, chosen)

    def _values(self, path: Path, voxels: Voxels, n_trials: int, rows: slice) -> np.ndarray:
        """Responses in some of a file's trials; other forms of files have other ways."""
        return read_trials_of(path, voxels, n_trials, rows)
