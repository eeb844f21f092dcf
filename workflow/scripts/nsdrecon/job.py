"""A job of the workflow: its log, and what the files it reads and writes say of themselves."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nsdrecon import provenance
from nsdrecon.checked_files import read_provenance
from nsdrecon.logs import job_log, versions

_PACKAGES = ("diffusers", "numpy", "scikit-learn", "scipy", "torch", "transformers")


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """The log of a job, for its time; before anything else, its inputs are compared.

    What the job writes says where its data come from and what it was made with
    (`nsdrecon.provenance`).

    Parameters
    ----------
    snakemake
        What a script of a rule is given. Of its ``params``, ``source`` is where raw data come from,
        ``cfg`` the settings by dotted key, ``code`` the fingerprint of the code.

    Raises
    ------
    InputError
        If an input is another file than its path says, or inputs do not belong together.
    """
    params, run = snakemake.params, snakemake.config["run"]["name"]
    with job_log(snakemake.log[0], snakemake.rule) as log:
        inputs = {path: read_provenance(path) for path in map(str, snakemake.input)}
        said = {path: about for path, about in inputs.items() if about}
        about = provenance.common(said, run, params.get("source"), params.get("cfg", {}))
        about |= {
            "code": params.get("code"),
            "versions": {"python": platform.python_version(), **versions(*_PACKAGES)},
        }
        with provenance.written_in(run, about):
            yield log
