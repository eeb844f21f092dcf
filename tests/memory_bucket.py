"""A bucket with one object, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from nsdrecon.transfer import chunks


def in_memory(content: bytes, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A bucket whose voxels can be fetched like those of a remote session file."""
    remote = SimpleNamespace(label="memory", size=len(content), etag="0")

    def read(start: int, length: int) -> Iterator[bytes]:
        assert 0 <= start < start + length <= len(content)
        yield content[start : start + length]

    source = SimpleNamespace(label="memory", read=read)
    monkeypatch.setattr(chunks, "ObjectSource", lambda *_: source)
    return SimpleNamespace(
        describe=lambda key: remote, workers=2, patience=1.0, encrypted=True, name="memory"
    )
