"""Single files from web servers: encrypted, resumable, verified."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums
from nsdrecon.transfer.guards import require_https
from nsdrecon.transfer.manifest import Record, record_of
from nsdrecon.transfer.parts import fetch_file, is_here
from nsdrecon.transfer.sources import (
    Interruption,
    NoRanges,
    TransferError,
    Unreachable,
    body,
    persist,
    range_header,
    split,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

WORKERS = 4
PATIENCE = 300.0
TIMEOUT = 30.0
PART_SIZE = 16 << 20
CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d+)")


class WebFile:
    """A file on a web server, as it is now (`sources.Source`).

    Proxies are taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``), certificates of a
    private authority from ``REQUESTS_CA_BUNDLE``.

    Parameters
    ----------
    url
        Its address; redirects are followed, but not to plain HTTP.
    patience
        Seconds without any byte after which a transfer is given up.

    Raises
    ------
    InputError
        If the server refuses the file.
    TransferError
        If the server cannot be reached.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        require_https(url)
        self.label, self.workers, self.patience = url, WORKERS, patience
        self.session = requests.Session()
        self.session.mount("https://", HTTPAdapter(pool_maxsize=WORKERS))
        self.size, self.etag = persist(self._probe, patience, url)

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the bytes from ``start``, in chunks, as `sources.Source.read`."""
        with closing(self._get(range_header(self, start, length))) as answer:
            try:
                yield from body(
                    self,
                    start,
                    length,
                    etag=answer.headers.get("ETag"),
                    content_range=answer.headers.get("Content-Range"),
                    read=answer.raw.read,
                )
            except HTTPError as error:
                raise Interruption(f"{type(error).__name__}: {error}") from error

    def _probe(self) -> tuple[int, str | None]:
        """Size and version of the file."""
        try:
            answer = self._get("bytes=0-0")
        except NoRanges:
            answer = self._get(None)
        with closing(answer):
            given = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            size = given[1] if given else answer.headers.get("Content-Length")
            if size is None:
                raise InputError(self.label, found="a file of unknown size", expected="its size")
            return int(size), answer.headers.get("ETag")

    def _get(self, wanted: str | None) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **({"Range": wanted} if wanted else {})}
        timeout = (min(TIMEOUT, 10.0), TIMEOUT)
        try:
            answer = self.session.get(self.label, headers=headers, stream=True, timeout=timeout)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise Interruption(str(error)) from error
            raise InputError(
                self.label,
                found=f"a certificate that does not verify ({error})",
                expected="a trusted server",
                remedy="If your network has its own authority, set REQUESTS_CA_BUNDLE.",
            ) from error
        except requests.ConnectionError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        except requests.Timeout as error:
            raise Interruption(f"{type(error).__name__}: {error}") from error
        except requests.RequestException as error:
            raise InputError(self.label, found=str(error), expected="an address") from error
        try:
            self._check_answer(answer, part=wanted is not None)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check_answer(self, answer: requests.Response, part: bool) -> None:
        for hop in (*answer.history, answer):
            require_https(hop.url)
        status, found = answer.status_code, f"HTTP {answer.status_code} {answer.reason}"
        if part and status in (400, 501):
            raise NoRanges(self.label, found=found, expected="a part of the file")
        if status >= 500 or status in (408, 429):
            raise Interruption(found)
        if status == 416:
            raise TransferError(f"{self.label}: the file changed while it was fetched. Run again.")
        if status not in (200, 206):
            raise InputError(self.label, found=found, expected="the file")


def web_size(urls: Sequence[str], path: str | Path, patience: float = PATIENCE) -> int:
    """Bytes of a file on the first of some web servers that has it.

    Nothing but its size is asked for; parameters and errors as for `download_https`.
    """
    return _first(urls, lambda url: WebFile(url, patience).size, Path(path), "its size")


def download_https(
    urls: Sequence[str],
    path: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    record: str | Path | None = None,
    patience: float = PATIENCE,
) -> Record:
    """Fetch a file from the first of some web servers that gives it, whole and verified.

    What an interrupted run left is used. A file that is there already is kept if it has size and
    checksum, as far as they are known: a person may have put it there.

    Parameters
    ----------
    urls
        Its addresses, tried in this order.
    path
        The file.
    size
        Its length, where known.
    sha256
        Its SHA-256, or the first 8 digits or more of it. Without it TLS vouches for the bytes, and
        the SHA-256 is recorded for later checks.
    record
        Table to write the record to, before the file gets its name.
    patience
        Seconds without any byte after which a server is given up.

    Returns
    -------
    Record
        What was fetched, with its full SHA-256.

    Raises
    ------
    InputError
        If no server gives the file; the message tells what each of them said, and which file to
        put where by other means.
    """
    path = Path(path)
    checksum = sha256 and f"sha256:{sha256.lower()}"
    known = ", ".join(filter(None, [size and f"{size} bytes", checksum]))
    known = known or "size and checksum not published"
    computed = ""

    def is_whole(data: Path) -> bool:
        nonlocal computed
        if size not in (None, data.stat().st_size):
            return False
        computed = checksums.compute(data, "sha256")
        return checksum is None or checksums.fits(computed, checksum)

    if is_here(path, is_whole):
        return record_of(path, urls[0] if checksum else str(path), computed, table=record)

    def fetch(url: str) -> Record:
        web = WebFile(url, patience)
        return fetch_file(
            web,
            path,
            split(web.size, PART_SIZE),
            identity={"url": url, "size": web.size, "etag": web.etag},
            checksum=known,
            intact=lambda file: is_whole(file.data),
            conclude=lambda data: record_of(path, url, computed, data=data, table=record),
        )

    return _first(urls, fetch, path, f"{urls[0].rpartition('/')[2]}, {known}")


def _first(urls: Sequence[str], call: Callable[[str], T], path: Path, expected: str) -> T:
    """The result of a call with the first address for which it does not fail."""
    faults = []
    for url in urls:
        try:
            return call(url)
        except (InputError, TransferError) as fault:
            logger.warning("%s", fault)
            faults.append(str(fault))
    raise InputError(
        path,
        found=f"no server that gives it ({' '.join(faults)})",
        expected=expected,
        remedy=f"Run again; or get this file by other means, put it at {path.resolve()}, and run "
        "again: it is then checked and used. Other addresses of it go into downloads.mirrors.",
    )
