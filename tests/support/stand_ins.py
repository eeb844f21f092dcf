"""What the script of a rule is given, without Snakemake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace


class Params(dict):
    """As Snakemake's: values by name."""

    __getattr__ = dict.__getitem__


def script_of(
    inputs: Iterable[str | Path] = (),
    outputs: Iterable[str] = (),
    *,
    log: str | None = None,
    **params: object,
) -> SimpleNamespace:
    """What the script of a job of the run `demo` is given."""
    return SimpleNamespace(
        log=[log],
        rule="rule",
        config={"run": {"name": "demo"}},
        input=list(map(str, inputs)),
        output=list(outputs),
        params=Params(params),
    )
