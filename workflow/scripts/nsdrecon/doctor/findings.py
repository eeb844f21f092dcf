"""A row of the table of checks, and the table as text."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from nsdrecon.errors import InputError

logger = logging.getLogger(__name__)

_WIDTH = 100


class Result(StrEnum):
    """What a check says of the run: a ``fail`` stops it sooner or later."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check
        What was looked at.
    result
        What it means for the run.
    found
        What is there.
    remedy
        What the user can do about it.
    """

    check: str
    result: Result
    found: str
    remedy: str = ""


def of_error(check: str, error: Exception, result: Result = Result.FAIL) -> Finding:
    """The row that an error becomes: its remedy has a place of its own."""
    if isinstance(error, InputError):
        found = f"{error.source}: found {error.found}; expected {error.expected}"
        return Finding(check, result, found, error.remedy or "")
    return Finding(check, result, str(error) or type(error).__name__)


def examined(
    check: str, look: Callable[..., Iterable[Finding]], *arguments: object
) -> list[Finding]:
    """What a check finds; an error that ends it is a finding too, and the next check is done.

    Parameters
    ----------
    check
        Its name in the row of an error.
    look
        The check, called with the arguments.
    """
    found = []
    try:
        for finding in look(*arguments):
            found.append(finding)
    except InputError as error:
        found.append(of_error(check, error))
    except Exception as error:
        logger.exception("%s", check)
        found.append(of_error(check, error))
    return found


def table(findings: Iterable[Finding]) -> str:
    """The findings as text, with every remedy below what it is for."""
    rows = list(findings)
    width = max([len(row.check) for row in rows] + [len("check")])
    left = width + 2 + len(Result.SKIPPED) + 2
    lines = [f"{'check':{width}}  {'result':7}  what was found, and what to do about it"]
    for row in rows:
        start = f"{row.check:{width}}  {row.result:7}  "
        lines += _wrapped(start, row.found, left)
        if row.remedy:
            lines += _wrapped(f"{'':{left}}→ ", row.remedy, left + 2)
    return "\n".join(lines)


def _wrapped(start: str, text: str, indent: int) -> list[str]:
    """Lines of a text below each other; addresses and paths are not broken."""
    width = max(_WIDTH, indent + 40)
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
