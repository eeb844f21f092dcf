"""Buckets: of a server, and of one object without a server."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from nsdrecon.transfer.s3 import Bucket
from s3_server import BUCKET


def bucket(url: str, **settings: object) -> Bucket:
    """The bucket of a server, given up after a minute without a byte."""
    settings = {"workers": 4, "patience": 60.0, "timeout": 30.0} | settings
    return Bucket(BUCKET, endpoint=url, **settings)


def in_memory(content: bytes) -> SimpleNamespace:
    """A bucket whose object can be read by ranges."""

    def read(start: int, length: int) -> Iterator[bytes]:
        assert 0 <= start < start + length <= len(content)
        yield content[start : start + length]

    settings = {"label": "memory", "etag": "0", "workers": 2, "patience": 1.0}
    remote = SimpleNamespace(**settings, size=len(content), read=read)
    return SimpleNamespace(describe=lambda key: remote)
