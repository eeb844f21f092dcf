"""What a file of results says of itself: where its data come from, which file it is, what made it.

Within a job (`nsdrecon.job`) every file that `nsdrecon.store` writes gets these words. They hold
nothing that cannot change the result, so the same result has the same bytes on every machine.

=============  ====================================================================================
``source``     of the data: ``simulated``, ``s3://<bucket>`` or ``local <folder>``
``file``       path of the file in its run's folder, such as ``subj01/predictions/vdvae.h5``
``settings``   of the configuration, by dotted key: those that shaped it or what it was made from
``code``       fingerprint of the code that wrote it
``versions``   of the packages that wrote it
=============  ====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from nsdrecon.errors import InputError

SIMULATED = "simulated"
"""The source of simulated data."""
_REMEDY = "Remove it and run again."
_RUN: ContextVar[str] = ContextVar("run", default="")
_CURRENT: ContextVar[Mapping[str, Any] | None] = ContextVar("current", default=None)


@contextmanager
def written_in(run: str, about: Mapping[str, Any]) -> Iterator[None]:
    """What files say that are written in this block, besides which file they are.

    Parameters
    ----------
    run
        Name of the run, which is that of its folder.
    about
        ``source``, ``settings``, ``code`` and ``versions``.
    """
    tokens = _RUN.set(run), _CURRENT.set(about)
    try:
        yield
    finally:
        _RUN.reset(tokens[0])
        _CURRENT.reset(tokens[1])


def current() -> Mapping[str, Any] | None:
    """What files say that are written now; None outside of a job."""
    return _CURRENT.get()


def simulated() -> bool:
    """Whether what is written now is made of simulated data."""
    return (current() or {}).get("source") == SIMULATED


def words(path: str | Path) -> str | None:
    """What a file of this path is to say, as JSON; None outside of a job."""
    about = current()
    if about is None:
        return None
    return json.dumps({**about, "file": place(path, _RUN.get())}, sort_keys=True)


def parsed(text: str, path: str | Path) -> dict[str, Any]:
    """What a file says, from its JSON.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise InputError(path, found="damaged words on itself", expected="JSON", remedy=_REMEDY)
    return about


def place(path: str | Path, run: str) -> str:
    """A file's path in the folder of its run; the whole path where no folder has that name."""
    parts = Path(path).parts
    return "/".join(parts[parts.index(run) + 1 :] if run in parts else parts)


def common(
    files: Mapping[str, Mapping[str, Any]],
    run: str,
    source: str | None = None,
    settings: Mapping[str, Any] | None = None,
    free: str | None = None,
) -> dict[str, Any]:
    """Source and settings of what is made from some files.

    Parameters
    ----------
    files
        Path to what the file says of itself.
    run
        Name of the run.
    source
        Of raw data that are read besides.
    settings
        Of what is made from the files, by dotted key.
    free
        A setting in which the files may differ, and those below it; nothing is said of it.

    Raises
    ------
    InputError
        If a file is another than its path says, such as another subject's; if the files come from
        different sources; or if they were made with settings that differ, or are not these.
    """
    settings = dict(settings or {})
    reference = "nsd.source"
    for path, about in files.items():
        expected = place(path, run)
        if about.get("file") != expected:
            raise InputError(path, found=about.get("file"), expected=expected, remedy=_REMEDY)
        found = about.get("source")
        if found and source and found != source:
            raise InputError(
                path,
                found=f"data from: {found}",
                expected=f"data from: {source}, as in {reference}",
                remedy=f"{_REMEDY} Or give this run a name of its own (run.name).",
            )
        if found and not source:
            source, reference = found, path
        for key, value in about.get("settings", {}).items():
            if free and f"{key}.".startswith(f"{free}."):
                continue
            if settings.setdefault(key, value) != value:
                raise InputError(
                    path,
                    found=f"{key}: {value}",
                    expected=f"{settings[key]}, as in the configuration or in other inputs",
                    remedy=_REMEDY,
                )
    return {"settings": settings, **({"source": source} if source else {})}
