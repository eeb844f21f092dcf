"""An error of input is met once a run: however often a job is tried, its input stays what it is.

Snakemake tries a failed job again as often as the profile says, whatever made it fail. So a job
notes an error of input beside its log, and the next attempt of the same run ends with the same
words before it does anything. Another run, for which something was mended, knows nothing of it.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from nsdrecon.errors import InputError

_RUN = "NSDRECON_RUN"


def begin_run() -> None:
    """Give this run a name of its own, which all its jobs inherit, those on other nodes too."""
    os.environ[_RUN] = uuid.uuid4().hex


def remember(log: str | Path, error: InputError) -> None:
    """Note what a job of a run was refused for, unless it is what `repeat` said again."""
    if _RUN in os.environ and not _note(log).exists():
        said = json.dumps([error.source, error.found, error.expected, error.remedy])
        _note(log).write_text(f"{os.environ[_RUN]}\n{said}", encoding="utf-8")


def repeat(log: str | Path) -> None:
    """Stop if this job was refused before in the same run.

    Raises
    ------
    InputError
        The one of then.
    """
    note = _note(log)
    if not note.is_file():
        return
    run, _, said = note.read_text(encoding="utf-8").partition("\n")
    if run != os.environ.get(_RUN):
        note.unlink()
        return
    source, found, expected, remedy = json.loads(said)
    raise InputError(
        source,
        found=found,
        expected=expected,
        remedy=" ".join([*filter(None, [remedy]), "It was not tried again in this run."]),
    )


def _note(log: str | Path) -> Path:
    return Path(f"{log}.refused")
