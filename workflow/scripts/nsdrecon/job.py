"""A job of the workflow: its log, and what the files it reads and writes say of themselves."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from nsdrecon import provenance, whole_files
from nsdrecon.checked_files import read_provenance
from nsdrecon.closure import text_fingerprint
from nsdrecon.errors import InputError
from nsdrecon.logs import job_log, versions

_PACKAGES = ("diffusers", "numpy", "scikit-learn", "scipy", "torch", "transformers")


@contextmanager
def job(
    snakemake: Any,
    brought: Collection[str] = (),
    *,
    free: str | None = None,
    again: bool = False,
    raw: bool = False,
) -> Iterator[logging.Logger]:
    """The log of a job, for its time; before anything else, its inputs are compared.

    What the job writes says where its data come from and what it was made with
    (`nsdrecon.provenance`). Where a killed run had made all of it
    (`nsdrecon.whole_files.keep_whole`), the block is not run.

    Parameters
    ----------
    snakemake
        What a script of a rule is given. Of its ``params``, ``source`` is where raw data come from,
        ``cfg`` the settings by dotted key, ``how`` those that no result depends on, ``code`` the
        fingerprint of the code.
    brought
        Names of inputs that the user brought: they say nothing of themselves.
    free
        A setting in which inputs may differ, and those below it.
    again
        As for `job_log`.
    raw
        Whether the job writes raw data: neither they nor what it reads say anything of themselves.

    Raises
    ------
    SystemExit
        If there is nothing to do.
    InputError
        If an input is another file than its path says, or inputs do not belong together; if the
        memory of a GPU runs out.
    """
    params, run = snakemake.params, snakemake.config["run"]["name"]
    with job_log(snakemake.log[0], snakemake.rule, again=again) as log:
        own = set(chain.from_iterable(_paths(snakemake.input.get(name)) for name in brought))
        made = [path for path in map(str, snakemake.input) if path not in own and not raw]
        inputs = {path: read_provenance(path) for path in made}
        said = {path: about for path, about in inputs.items() if about}
        about = provenance.common(said, run, params.get("source"), params.get("cfg", {}), free)
        about |= {
            "code": params.get("code"),
            "versions": {"python": platform.python_version(), **versions(*_PACKAGES)},
        }
        if done := _put_back(snakemake, about):
            log.info("what a killed run had finished is taken as it is")
        else:
            noted = nullcontext() if raw else provenance.written_in(run, about)
            with noted, _enough_memory(params.get("how", {})):
                yield log
        if snakemake.output and all(map(os.path.exists, snakemake.output)):
            log.info("%s%s", whole_files.WHOLE, _mark(snakemake, about, snakemake.output))
    if done:
        raise SystemExit


def _put_back(snakemake: Any, about: Mapping[str, Any]) -> bool:
    """Whether all files of a job are there by second names and are the same: they get theirs back.

    Second names that are of no use are removed.
    """
    names = {path: whole_files.kept(path) for path in map(str, snakemake.output)}
    for mark in set.intersection(*map(set, names.values())) if names else ():
        if _mark(snakemake, about, [found[mark] for found in names.values()]) == mark:
            for path, found in names.items():
                found.pop(mark).replace(path)
            return True
    for other in chain.from_iterable(found.values() for found in names.values()):
        whole_files.remove(other)
    return False


def _mark(snakemake: Any, about: Mapping[str, Any], outputs: Iterable[str | Path]) -> str:
    """Fingerprint of what a job is, of what it is given and of what it made."""
    asked = [snakemake.rule, about, *((name, repr(v)) for name, v in snakemake.params.items())]
    given = [(str(path), os.stat(path)) for path in snakemake.input]
    files = [(path, state.st_size, state.st_mtime_ns) for path, state in given]
    # Not by their dates: Snakemake touches them when the job has ended.
    made = [(state.st_ino, state.st_size) for state in map(os.stat, outputs)]
    return text_fingerprint([json.dumps([asked, files, made], sort_keys=True)])


@contextmanager
def _enough_memory(how: Mapping[str, Any]) -> Iterator[None]:
    """Say which setting to lower when the memory of a GPU runs out."""
    try:
        yield
    except RuntimeError as error:
        from torch import OutOfMemoryError

        if not isinstance(error, OutOfMemoryError):
            raise
        sizes = [f"{key} ({how[key]})" for key in how if key.endswith(("batch_size", "block"))]
        lower = f"Lower {' or '.join(sizes)}, take" if sizes else "Take"
        raise InputError(
            "GPU of this job",
            found=f"too little memory: {' '.join(str(error).split())}",
            expected="room for the model and one batch",
            remedy=f"{lower} a card with more memory, or set device: cpu.",
        ) from error


def _paths(named: Any) -> list[str]:
    """The files of a named input, which is one path or a list of them."""
    return [named] if isinstance(named, str) else list(map(str, named))
