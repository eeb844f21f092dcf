"""A bucket with one object, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace


def in_memory(content: bytes) -> SimpleNamespace:
    """A bucket whose object can be read by ranges."""

    def read(start: int, length: int) -> Iterator[bytes]:
        assert 0 <= start < start + length <= len(content)
        yield content[start : start + length]

    settings = {"label": "memory", "etag": "0", "workers": 2, "patience": 1.0}
    remote = SimpleNamespace(**settings, size=len(content), read=read)
    return SimpleNamespace(describe=lambda key: remote)
