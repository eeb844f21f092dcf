"""Single files from a web server: encrypted, resumable, verified."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums
from nsdrecon.transfer.guards import require_https
from nsdrecon.transfer.manifest import Record, record_of
from nsdrecon.transfer.parts import (
    Interruption,
    Part,
    Patience,
    TransferError,
    Unreachable,
    fetch_file,
    persist,
    read_chunks,
    split,
    taken_back,
)

logger = logging.getLogger(__name__)

WORKERS = 4
PATIENCE = 300.0
TIMEOUT = 30.0
UNREACHABLE_PATIENCE = 20.0
PART_SIZE = 16 << 20
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class WebFile:
    """A file on a web server (`parts.Source`).

    Proxies are taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``), certificates of a
    private authority from ``REQUESTS_CA_BUNDLE``.

    Parameters
    ----------
    url
        Its address; redirects are followed, but not from https to http.
    own_server
        Whether plain HTTP is allowed.
    workers, patience, timeout
        As for `s3.Bucket`.

    Raises
    ------
    InputError
        If the server refuses the file, with the remedy.
    TransferError
        If the server cannot be reached.
    """

    def __init__(
        self,
        url: str,
        *,
        own_server: bool = False,
        workers: int = WORKERS,
        patience: float = PATIENCE,
        timeout: float = TIMEOUT,
    ) -> None:
        require_https(url, own_server=own_server)
        self.label = url
        self.own_server = own_server
        self.workers = workers
        self.patience = patience
        self.timeout = (min(timeout, 10.0), timeout)
        self.session = requests.Session()
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=workers))
        self.etag: str | None = None
        self.size, self.takes_ranges = persist(
            self._probe, Patience(patience, url, unreachable=UNREACHABLE_PATIENCE)
        )

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the bytes from ``start``, in chunks, as `parts.Source.read`."""
        last = start + length - 1
        with closing(self._get(start, last)) as answer:
            try:
                if answer.status_code == 206:
                    self._check_range(answer, start, last)
                else:
                    # A server without ranges sends all of it: skip to where the bytes broke off.
                    for _ in read_chunks(answer.raw.read, start):
                        pass
                yield from read_chunks(answer.raw.read, length)
            except HTTPError as error:
                raise Interruption(f"{type(error).__name__}: {error}") from error

    def _probe(self) -> tuple[int, bool]:
        """Size of the file, and whether parts of it can be asked for."""
        with closing(self._get(0, 0)) as answer:
            etag = answer.headers.get("ETag", "")
            self.etag = etag if etag.startswith('"') else None
            given = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status_code == 206 and given:
                return int(given[3]), True
            if answer.status_code == 200 and "Content-Length" in answer.headers:
                return int(answer.headers["Content-Length"]), False
        raise InputError(self.label, found="a file of unknown size", expected="its size")

    def _check_range(self, answer: requests.Response, start: int, last: int) -> None:
        found = answer.headers.get("Content-Range")
        if found != f"bytes {start}-{last}/{self.size}":
            raise Interruption(f"{found} in place of bytes {start}-{last}/{self.size}")

    def _get(self, start: int, last: int) -> requests.Response:
        headers = {"Range": f"bytes={start}-{last}", "Accept-Encoding": "identity"}
        if self.etag:
            headers["If-Match"] = self.etag
        try:
            answer = self.session.get(
                self.label, headers=headers, stream=True, timeout=self.timeout
            )
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
            self._check_answer(answer)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check_answer(self, answer: requests.Response) -> None:
        for hop in (*answer.history, answer):
            require_https(hop.url, own_server=self.own_server)
        status = answer.status_code
        if status >= 500 or status in (408, 429):
            raise Interruption(f"HTTP {status}")
        if status == 412:
            raise TransferError(f"{self.label}: the file changed while it was fetched. Run again.")
        if status not in (200, 206):
            raise InputError(
                self.label,
                found=f"HTTP {status} {answer.reason}",
                expected="the file",
                remedy=(
                    "It may have moved, or your network may block it: get the file by other means "
                    "and set its local path in the config, or set the new address."
                ),
            )


def download_https(
    url: str,
    path: str | Path,
    *,
    sha256: str | None = None,
    record: str | Path | None = None,
    own_server: bool = False,
    workers: int = WORKERS,
    patience: float = PATIENCE,
    timeout: float = TIMEOUT,
) -> Record:
    """Fetch a file from a web server, whole and verified.

    What an interrupted run left is used. A file that is there already and has the checksum (or,
    without one, the length) is kept.

    Parameters
    ----------
    url
        Its address.
    path
        The file.
    sha256
        Its SHA-256, or the first 8 digits or more of it. Without it the length is checked, TLS
        vouches for the bytes, and the SHA-256 is recorded for later checks.
    record
        Table to write the record to, before the file gets its name.
    own_server
        Whether plain HTTP is allowed.
    workers
        Concurrent requests.
    patience
        Seconds without any byte after which the transfer is given up.
    timeout
        Seconds without any byte after which a request is made again.

    Returns
    -------
    Record
        What was fetched, with its full SHA-256.

    Raises
    ------
    InputError
        If the server refuses, the file has another checksum, or the disk is full.
    TransferError
        If the network fails for longer than the patience lasts; running again continues.
    """
    path = Path(path)
    checksum = sha256 and f"sha256:{sha256.lower()}"
    access = {
        "own_server": own_server,
        "workers": workers,
        "patience": patience,
        "timeout": timeout,
    }
    web = None if checksum else WebFile(url, **access)
    found = ""

    def is_whole(data: Path) -> bool:
        nonlocal found
        if not checksum and data.stat().st_size != web.size:
            return False
        found = checksums.compute(data, "sha256")
        return checksum is None or checksums.fits(found, checksum)

    def conclude(data: Path) -> Record:
        return record_of(path, url, found, data=data, table=record)

    there = taken_back(path, is_whole, conclude)
    if there:
        return there
    web = web or WebFile(url, **access)

    parts = split(web.size, PART_SIZE) if web.takes_ranges else [Part(0, 0, web.size)]
    return fetch_file(
        web,
        path,
        parts,
        identity={"url": url, "size": web.size, "etag": web.etag, "parts": len(parts)},
        checksum=checksum,
        intact=lambda file: is_whole(file.data),
        conclude=conclude,
        workers=workers,
        patience=patience,
        twice=checksum is None and not url.startswith("https://"),
    )
