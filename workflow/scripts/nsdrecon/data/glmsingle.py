"""Single-trial responses as GLMsingle leaves them, with the design that it was given.

Prince et al. (2022), eLife 11, e77599. Its files hold ``betasmd``, the responses of all trials in
the order of their onsets, run after run.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.lib import format as npy

from nsdrecon.data.prepared import Prepared
from nsdrecon.data.single_trials import from_array
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError, listing
from nsdrecon.store import dataset, open_h5, read_table

BETAS = "betasmd"
MAX_RUNS = 99
_RUN = "{run"
# What a pickle of numbers is made of. Anything else could run code when it is read.
_NUMBERS = {
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
}


class GLMsingle(Prepared):
    """One subject's files, by the patterns of section ``glmsingle`` of the configuration."""

    def path(self, role: str, session: int | None = None, run: int = 1) -> Path:
        """A file of the subject, of one session, or of one run."""
        pattern = self.settings[role]
        return Path(pattern.format(subject=self.subject, session=session, run=run))

    def _table(self, session: int | None = None) -> pd.DataFrame:
        """The trials of a session, run after run; what is no test image is a training image."""
        path = self.settings["test"]
        tables = [self._run(path) for path in self._designs(session)]
        table = pd.concat(tables, ignore_index=True)
        listed = read_table(path, ["image"])
        listed = listed.assign(split=listed.get("split", "test")).drop_duplicates()
        listed = listed.astype({"image": str}).set_index("image")["split"]
        twice = listed.index[listed.index.duplicated()]
        if len(twice):
            raise InputError(path, found=f"image {listing(twice)} in two splits", expected="in one")
        split = table["image"].astype(str).map(self.splits(listed, path)).fillna("train")
        # Runs of their own files are of one session; one file may tell them apart.
        told = 1 if _RUN in self.settings["trials"] else table.get("session", 1)
        table = table[["image"]].assign(session=session or told, split=split)
        self.require_sessions(table, session)
        return table.sort_values("session", kind="stable", ignore_index=True)

    def _designs(self, session: int | None) -> list[Path]:
        """The files of the runs, in order."""
        runs = range(1, MAX_RUNS + 1) if _RUN in self.settings["trials"] else [1]
        paths = [self.path("trials", session, run) for run in runs]
        found = [path for path in paths if path.is_file()]
        if not found:
            raise InputError(paths[0], found="no file", expected="the design of a run")
        missing = [path for path in paths[: paths.index(found[-1])] if path not in found]
        if missing:
            raise InputError(
                missing[0], found="no file", expected=f"one, as there is {found[-1].name}"
            )
        return found

    def _run(self, path: Path) -> pd.DataFrame:
        if path.suffix == ".npy":
            return pd.DataFrame({"image": _shown(path)})
        column = self.settings["column"]
        events = read_table(path, ["onset", column])
        # The reader of tables takes BIDS's word for a missing value to be one.
        named = events[column].astype(object).fillna("n/a")
        events = events[~named.isin(self.settings["ignored"])]
        missing = np.flatnonzero(events[column].isna())
        if len(missing):
            raise InputError(
                path,
                found=f"no {column} in event {listing(missing + 1)}",
                expected="an image in each",
                remedy="Events that are no trials of GLMsingle belong to glmsingle.ignored.",
            )
        onsets = pd.to_numeric(events["onset"], errors="coerce")
        if len(strange := np.flatnonzero(onsets.isna())):
            raise InputError(
                path,
                found=f"no number as onset of trial {listing(strange + 1)}",
                expected="seconds in each",
            )
        events = events.assign(onset=onsets)
        if "run" in events:
            events = events.sort_values(["run", "onset"], kind="stable")
        elif _RUN in self.settings["trials"]:
            events = events.sort_values("onset", kind="stable")
        else:
            _require_order(events, path)
        shown = events[[column]].rename(columns={column: "image"})
        return shown.assign(session=events["session"]) if "session" in events else shown

    def _values(self, path: Path, voxels: Voxels, n_trials: int, rows: slice) -> np.ndarray:
        if path.suffix in (".h5", ".hdf5"):
            with open_h5(path) as file:
                return from_array(_by_trial(dataset(file, BETAS)), path, voxels, n_trials, rows)
        if path.suffix == ".npy":
            return from_array(_by_trial(_pickled(path)), path, voxels, n_trials, rows)
        return super()._values(path, voxels, n_trials, rows)


def _require_order(events: pd.DataFrame, path: Path) -> None:
    """Refuse onsets that begin anew, as those of runs one after the other do."""
    sessions = events["session"] if "session" in events else np.zeros(len(events))
    if (events.groupby(sessions)["onset"].diff() < 0).any():
        raise InputError(
            path,
            found="onsets that do not ascend within a session",
            expected="ascending ones, or a column run, in which each run's begin anew",
        )


def _shown(path: Path) -> np.ndarray:
    """The condition of each trial of a design matrix (volumes, conditions), in order of onset."""
    try:
        design = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            path, found=f"data that do not load ({error})", expected="a design matrix (.npy)"
        ) from error
    if design.ndim != 2 or not np.isin(design, (0, 1)).all():
        raise InputError(
            path,
            found=f"an array of shape {design.shape}",
            expected="(volumes, conditions), 1 at onsets and 0 elsewhere",
        )
    return np.argwhere(design)[:, 1]


def _by_trial(betas: np.ndarray | h5py.Dataset) -> np.ndarray | h5py.Dataset:
    """Volumes as they are; (voxels, trials) and (voxels, 1, 1, trials) as (trials, voxels)."""
    flat = betas.ndim == 2 or (betas.ndim == 4 and betas.shape[1:3] == (1, 1))
    return betas[()].reshape(len(betas), -1).T if flat else betas


def _pickled(path: Path) -> np.ndarray:
    """The responses of a ``.npy`` file: a pickled dictionary, of which numbers alone are read."""
    try:
        with path.open("rb") as stream:
            version = npy.read_magic(stream)
            head = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = head(stream)
            if dtype.hasobject:
                outputs = _Numbers(stream).load().item()
            else:
                outputs = {} if shape == () else {BETAS: np.load(path, allow_pickle=False)}
        return np.asarray(outputs[BETAS])
    except (ValueError, OSError, EOFError, KeyError, AttributeError, pickle.PickleError) as error:
        raise InputError(
            path,
            found=f"data that do not read ({type(error).__name__}: {error})",
            expected=f"GLMsingle's outputs with {BETAS!r}",
        ) from error


class _Numbers(pickle.Unpickler):
    """Reads arrays, numbers and texts, and refuses whatever else a pickle may hold."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _NUMBERS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no number")
        return super().find_class(module, name)
