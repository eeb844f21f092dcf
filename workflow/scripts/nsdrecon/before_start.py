"""What a run needs of this machine, looked at while it is planned: files that the user names.

Nothing is read but heads of files; the ``doctor`` looks closer. Imports nothing heavy: the workflow
reads this module whenever it is parsed.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Collection, Set
from itertools import chain
from pathlib import Path

from nsdrecon.datasets.files import DataFiles
from nsdrecon.errors import InputError, listing
from nsdrecon.metrics import check_published
from nsdrecon.mistakes import PAGE
from nsdrecon.sources import ModelFiles, is_downloaded
from nsdrecon.systems import SCORING, STAGE1
from nsdrecon.transfer.guards import require_terms

LOCAL_COPY = (
    "Copy them from the bucket, or check nsd.root, nsd.sessions, nsd.betas, nsd.space, nsd.format "
    "and nsd.mask."
)
"""What to do about missing files of a local copy of the data set."""
_PATHS = f"Paths are relative to the folder in which snakemake is started. See {PAGE}."


def require_files(data: DataFiles, models: ModelFiles) -> None:
    """Stop unless every file is there that the user has and the workflow does not make.

    Raises
    ------
    InputError
        If one is missing, names the setting; if a published network is named and its file is
        another; or if there is not a row of captions for each stimulus.
    """
    if data.local:
        require_root(data.settings["root"])
        paths = list(chain.from_iterable(data.needed().values()))
        _require("nsd.root", paths, "all of the data set that this run reads", LOCAL_COPY)
    for name in models.names:
        _require(_setting(name), models.own_files(name), "the files of the model")
    for row in models.run.networks:
        if not is_downloaded(row["weights"]):
            check_published(row["weights"], row["sha256"])
    for setting, paths in data.own_files().items():
        _require(setting, paths, "what this run reads of the data set")
    if data.caption_table is not None:
        for path in data.own_captions:
            _require_captions(path, data.caption_table)


def require_root(root: str) -> None:
    """Stop unless there is a folder for the local copy of the data set.

    Raises
    ------
    InputError
        If there is none.
    """
    if not Path(root).is_dir():
        raise InputError(
            "nsd.root",
            found=f"{root}, which is no folder here",
            expected="the folder that mirrors NSD's bucket",
            remedy="Name it in nsd.root, or set nsd.source: s3 to download the data set.",
        )


def require_terms_for(made: Set[str], data: DataFiles) -> None:
    """Stop a run that is to download some of NSD before its terms are accepted.

    Parameters
    ----------
    made
        What the run is to make.
    data
        The data set.

    Raises
    ------
    InputError
        If the terms are not accepted.
    """
    if data.terms_accepted is None or not data.downloads:
        return
    if not made.isdisjoint(chain.from_iterable(data.needed().values())):
        require_terms(data.terms_accepted)


def require_slurm(facts: object) -> None:
    """Stop a run that is to use SLURM on a machine that cannot reach it.

    Parameters
    ----------
    facts
        How the run uses SLURM; nothing or None if it does not.

    Raises
    ------
    InputError
        If there is no ``sbatch``.
    """
    if facts and shutil.which("sbatch") is None:
        raise InputError(
            "executor: slurm",
            found="no sbatch on this machine",
            expected="SLURM's commands",
            remedy="Start snakemake on a login node of the cluster, or with --profile "
            "profiles/local on a workstation.",
        )


def _setting(model: str) -> str:
    if model == SCORING:
        return "evaluation.networks"
    return f"models.{model}.{'checkpoint' if model == STAGE1 else 'folder'}"


def _require(setting: str, paths: Collection[str], expected: str, remedy: str = _PATHS) -> None:
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise InputError(
            setting, found=f"no file {listing(missing)}", expected=expected, remedy=remedy
        )


def _require_captions(captions: str, stimulus_table: str) -> None:
    """Compare the number of captions with that of stimuli, where both files are here."""
    if not Path(stimulus_table).is_file():
        return
    with open(stimulus_table, newline="", encoding="utf-8") as stream:
        n_stimuli = sum(1 for _ in csv.reader(stream)) - 1
    n_captions = _npy_rows(captions)
    if n_captions is not None and n_captions != n_stimuli:
        raise InputError(
            "nsd.captions",
            found=f"{captions} with captions of {n_captions} images",
            expected=f"{n_stimuli}, one row a stimulus of {stimulus_table}",
        )


def _npy_rows(path: str) -> int | None:
    """Rows of an array by the head of its file; None if that is not one of an array."""
    from numpy.lib import format as npy

    with open(path, "rb") as stream:
        try:
            version = npy.read_magic(stream)
            read_head = (
                npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            )
            shape, _, _ = read_head(stream)
        except ValueError:
            return None  # the job that reads it says more
    return shape[0] if shape else None
