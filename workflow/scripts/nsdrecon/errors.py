"""The one error for input that is not what it should be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class InputError(ValueError):
    """Bad input: names the source, what was found there and what was expected.

    Parameters
    ----------
    source
        The file, folder or setting at fault.
    found
        What is there.
    expected
        What should be there.
    remedy
        What the user can do about it, where that is known.
    """

    def __init__(
        self, source: str | Path, *, found: object, expected: object, remedy: str | None = None
    ) -> None:
        self.source = str(source)
        self.found = str(found)
        self.expected = str(expected)
        self.remedy = remedy
        text = f"{self.source}: found {self.found}; expected {self.expected}."
        super().__init__(f"{text} {remedy}" if remedy else text)


def listing(items: Iterable[object], limit: int = 5) -> str:
    """``"3, 7, 9 and 12 more"``: the first few items, for error messages and logs."""
    items = list(items)
    head = ", ".join(str(item) for item in items[:limit])
    return f"{head} and {len(items) - limit} more" if len(items) > limit else head
