"""A folder as a bucket of a read-only S3 server on the loopback interface.

It answers what clients ask that fetch: HEAD and GET of objects, whole or by ranges. Objects have
the ETag of an upload in parts, as NSD's have.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from nsdrecon.transfer import checksums
from nsdrecon.whole_files import whole_file

BUCKET = "rehearsal"
PART = 8 << 20
ETAGS = "etags.json"


class FolderServer(ThreadingHTTPServer):
    """Serves the files below ``folder/bucket`` while it is used as a context.

    Parameters
    ----------
    folder
        Holds ``bucket``, and the ETags that were computed once.
    instead
        For some keys the file that is served in place of their own; None: there is no such object.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, instead: Mapping[str, Path | None] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.instead = dict(instead or {})
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def path_of(self, key: str) -> Path | None:
        """The file of an object, None if there is none."""
        path = self.instead.get(key, self.folder / "bucket" / key)
        return path if path and path.is_file() else None

    def etag_of(self, path: Path) -> str:
        """ETag of a file, computed when it is asked for first."""
        status = path.stat()
        version = f"{path} {status.st_size} {status.st_mtime_ns}"
        with self.lock:
            store = self.folder / ETAGS
            known = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
            if version not in known:
                known[version] = part_etag(path)
                with whole_file(store) as partial:
                    partial.write_text(json.dumps(known), encoding="utf-8")
            return known[version]


def part_etag(path: Path) -> str:
    """ETag of a file uploaded in parts; holes are not read, whose bytes are known to be zero."""
    size = path.stat().st_size
    empty: dict[int, str] = {}
    md5s = []
    with path.open("rb") as file:
        for start in range(0, size, PART):
            length = min(PART, size - start)
            if _next_data(file.fileno(), start, size) >= start + length:
                if length not in empty:
                    empty[length] = _md5(bytes(length))
                md5s.append(empty[length])
            else:
                md5s.append(_md5(os.pread(file.fileno(), length, start)))
    return checksums.of_parts(md5s)


def _next_data(descriptor: int, start: int, size: int) -> int:
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError:  # nothing but a hole up to the end
        return size


def _md5(data: bytes) -> str:
    digest = checksums.new_md5()
    digest.update(data)
    return digest.hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FolderServer

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        """The object, or its head, or that there is none."""
        address = urlsplit(self.path)
        bucket, _, key = unquote(address.path).lstrip("/").partition("/")
        path = self.server.path_of(key) if bucket == BUCKET else None
        if path is None:
            return self.refuse(404, "NoSuchKey")
        etag = self.server.etag_of(path)
        if self.headers.get("If-Match", f'"{etag}"') != f'"{etag}"':
            return self.refuse(412, "PreconditionFailed")
        size = path.stat().st_size
        start, stop = self.asked_range(size, "partNumber" in parse_qs(address.query))
        if start >= stop:
            return self.refuse(416, "InvalidRange")
        self.send_response(206 if stop - start < size else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                self.connection.sendfile(file, start, stop - start)
        return None

    def asked_range(self, size: int, first_part: bool) -> tuple[int, int]:
        """The first byte that is asked for, and the first after it that is not."""
        if first_part:
            return 0, min(PART, size)
        wanted = self.headers.get("Range")
        if wanted is None:
            return 0, size
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, size) if last else size

    def refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the screen."""
