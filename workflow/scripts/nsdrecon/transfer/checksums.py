"""Checksums as text: what they are of, and computing the same kind again.

``sha256:<hex>``, ``md5:<hex>`` and, for objects uploaded to S3 in parts,
``etag-<part size>:<hex>-<number of parts>``: the MD5 of the parts' binary MD5s, which S3 gives as
the ETag of such an object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nsdrecon.errors import InputError

BLOCK = 1 << 20
WORKERS = 4


def new_md5() -> hashlib._Hash:
    """An MD5 for checks against accidents, also where MD5 is barred for security (FIPS)."""
    return hashlib.md5(usedforsecurity=False)


def of_parts(md5s: Iterable[str]) -> str:
    """The ETag of an object uploaded in parts with these MD5s (hexadecimal), without quotes."""
    md5s = list(md5s)
    digest = new_md5()
    for md5 in md5s:
        digest.update(bytes.fromhex(md5))
    return f"{digest.hexdigest()}-{len(md5s)}"


def compute(path: str | Path, kind: str) -> str:
    """The checksum of a file.

    Parameters
    ----------
    path
        The file.
    kind
        ``"sha256"``, ``"md5"`` or ``"etag-<part size>"``.

    Returns
    -------
    str
        ``"<kind>:<value>"``.

    Raises
    ------
    InputError
        If the kind is not one of these.
    """
    path = Path(path)
    if kind == "sha256":
        value = _digest(path, hashlib.sha256())
    elif kind == "md5":
        value = _digest(path, new_md5())
    elif kind.startswith("etag-") and kind[5:].isdigit() and int(kind[5:]):
        value = _etag(path, int(kind[5:]))
    else:
        raise InputError(path, found=f"a checksum of kind {kind!r}", expected="sha256, md5 or etag")
    return f"{kind}:{value}"


def matches(path: str | Path, checksum: str) -> bool:
    """Whether a file has a checksum given as ``"<kind>:<value>"``, see `fits`."""
    return fits(compute(path, checksum.partition(":")[0]), checksum)


def fits(found: str, checksum: str) -> bool:
    """Whether a computed checksum is the expected one.

    Of a SHA-256 the beginning is enough (at least 8 digits): some publishers put just that into
    the file's name.
    """
    kind, _, value = checksum.partition(":")
    if kind == "sha256" and len(value) >= 8:
        return found.startswith(checksum)
    return found == checksum


def _digest(path: Path, digest: hashlib._Hash, start: int = 0, length: int | None = None) -> str:
    with path.open("rb") as stream:
        stream.seek(start)
        left = path.stat().st_size if length is None else length
        while left and (block := stream.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def _etag(path: Path, part_size: int) -> str:
    starts = range(0, path.stat().st_size, part_size)
    with ThreadPoolExecutor(WORKERS) as pool:
        md5s = pool.map(lambda start: _digest(path, new_md5(), start, part_size), starts)
        return of_parts(md5s)
