"""A job of the workflow: its log, and what the files it reads and writes say of themselves."""

from __future__ import annotations

import logging
import platform
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from nsdrecon import provenance
from nsdrecon.checked_files import read_provenance
from nsdrecon.logs import job_log, versions

_PACKAGES = ("diffusers", "numpy", "scikit-learn", "scipy", "torch", "transformers")


@contextmanager
def job(snakemake: Any, brought: Collection[str] = ()) -> Iterator[logging.Logger]:
    """The log of a job, for its time; before anything else, its inputs are compared.

    What the job writes says where its data come from and what it was made with
    (`nsdrecon.provenance`).

    Parameters
    ----------
    snakemake
        What a script of a rule is given. Of its ``params``, ``source`` is where raw data come from,
        ``cfg`` the settings by dotted key, ``code`` the fingerprint of the code.
    brought
        Names of inputs that the user brought: they say nothing of themselves.

    Raises
    ------
    InputError
        If an input is another file than its path says, or inputs do not belong together.
    """
    params, run = snakemake.params, snakemake.config["run"]["name"]
    with job_log(snakemake.log[0], snakemake.rule) as log:
        own = set(chain.from_iterable(_paths(snakemake.input.get(name)) for name in brought))
        made = [path for path in map(str, snakemake.input) if path not in own]
        inputs = {path: read_provenance(path) for path in made}
        said = {path: about for path, about in inputs.items() if about}
        about = provenance.common(said, run, params.get("source"), params.get("cfg", {}))
        about |= {
            "code": params.get("code"),
            "versions": {"python": platform.python_version(), **versions(*_PACKAGES)},
        }
        with provenance.written_in(run, about):
            yield log


def _paths(named: Any) -> list[str]:
    """The files of a named input, which is one path or a list of them."""
    return [named] if isinstance(named, str) else list(map(str, named))
