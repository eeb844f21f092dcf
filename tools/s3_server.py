"""A real S3 server on the loopback interface (moto), and the faults of a bad network before it."""

from __future__ import annotations

import atexit
import datetime
import ipaddress
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import BaseClient

BUCKET = "stimuli"
HOST = "127.0.0.1"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class S3Server:
    """One bucket and a signed client to fill it: of moto's server, in a process of its own.

    Parameters
    ----------
    url
        Of another server on the loopback interface, that runs already.
    """

    def __init__(self, url: str | None = None) -> None:
        self.port = urlsplit(url).port if url else free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.process = None if url else self._start()
        atexit.register(self.stop)
        wait_for_port(self.port)
        self.client: BaseClient = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        place = {"LocationConstraint": "us-east-2"}
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)

    def _start(self) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"S3_UPLOAD_PART_MIN_SIZE": "1024"},
        )

    def put(self, key: str, data: bytes, part_size: int | None = None) -> None:
        """Store a publicly readable object, in one piece or uploaded in parts."""
        public = {"ACL": "public-read"}
        if part_size is None:
            self.client.put_object(Bucket=BUCKET, Key=key, Body=data, **public)
            return
        whole = {"Bucket": BUCKET, "Key": key}
        upload = self.client.create_multipart_upload(**whole, **public)["UploadId"]
        parts = []
        for number, start in enumerate(range(0, len(data), part_size), 1):
            body = data[start : start + part_size]
            part = self.client.upload_part(**whole, UploadId=upload, PartNumber=number, Body=body)
            parts.append({"ETag": part["ETag"], "PartNumber": number})
        self.client.complete_multipart_upload(
            **whole, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def upload(self, key: str, path: Path) -> None:
        """Store a file as boto3 does by default, in parts of 8 MiB."""
        config = TransferConfig(max_concurrency=2)
        extra = {"ACL": "public-read"}
        self.client.upload_file(str(path), BUCKET, key, Config=config, ExtraArgs=extra)

    def stop(self) -> None:
        """End the process, if it is ours."""
        if self.process:
            self.process.terminate()
            self.process.wait()


@cache
def shared_server() -> S3Server:
    """One server for all tests of this process."""
    return S3Server()


def wait_for_port(port: int, seconds: float = 300) -> None:
    """Return when somebody listens on a port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")


class FaultProxy(ThreadingHTTPServer):
    """Forwards requests to an S3 server and spoils the bodies of its answers.

    Parameters
    ----------
    port
        Of the server.
    certificate
        PEM file with key: listen for HTTPS.
    rate
        Bytes a second over all connections.
    delay
        Seconds before each answer.
    handler
        Answers requests; default: with what the server answers.

    Attributes
    ----------
    faults
        Taken one by one, each for the next GET of 8 bytes or more: ``cut``, ``reset``,
        ``stall``, ``slowdown``, ``short``, ``long``, ``flip``, ``ok``.
    always
        Fault for all of them once ``faults`` is empty.
    answer, refuses_ranges, refuses_conditions
        Status, headers and body to answer with: to all requests, to those for ranges, to those
        with ``If-Match``.
    ignores_ranges
        Whether all of the object is sent in place of a range.
    sent, gets
        Bytes of bodies sent for such requests, and how many there were.
    headers
        Of all requests.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        port: int,
        certificate: Path | None = None,
        rate: float | None = None,
        delay: float = 0.0,
        handler: type[Handler] | None = None,
    ) -> None:
        super().__init__((HOST, 0), handler or Handler)
        self.upstream, self.rate, self.delay = port, rate, delay
        self.due = 0.0
        self.chance = random.Random(port)
        self.faults: deque[str] = deque()
        self.always = "ok"
        self.ignores_ranges = False
        self.refuses_ranges = self.refuses_conditions = None
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        self.sent = self.gets = 0
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # A handshake here would hold up all others: it belongs to the connection's own thread.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if certificate else 'http'}://{HOST}:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: FaultProxy

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        proxy = self.server
        with proxy.lock:
            proxy.headers.append(dict(self.headers))
        time.sleep(proxy.delay)
        refusal = (
            proxy.answer
            or ("Range" in self.headers and proxy.refuses_ranges)
            or ("If-Match" in self.headers and proxy.refuses_conditions)
        )
        if refusal:
            return self.reply(*refusal)
        status, headers, body = self.ask()
        if self.command == "HEAD" or status >= 300 or len(body) < 8:
            return self.reply(status, headers, body)
        with proxy.lock:
            proxy.gets += 1
            fault = proxy.faults.popleft() if proxy.faults else proxy.always
            middle = proxy.chance.randrange(len(body) // 4, len(body) - 4)
        if fault == "slowdown":
            xml = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
            return self.reply(503, {"Content-Type": "application/xml"}, xml)
        if fault in ("short", "long"):
            body = body[:-3] if fault == "short" else body + b"abc"
        if fault == "flip":
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1 :]
        if fault in ("cut", "reset", "stall"):
            self.reply(status, headers, body, upto=middle)
            if fault == "stall":
                time.sleep(3)
            if fault == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return None
        return self.reply(status, headers, body)

    def ask(self) -> tuple[int, dict[str, str], bytes]:
        skipped = {"Host", "Range"} if self.server.ignores_ranges else {"Host"}
        headers = {key: value for key, value in self.headers.items() if key not in skipped}
        upstream = HTTPConnection(HOST, self.server.upstream)
        upstream.request(self.command, self.path, headers=headers)
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        return answer.status, dict(answer.getheaders()), body

    def reply(self, status: int, headers: dict[str, str], body: bytes, upto=None) -> None:
        self.send_response(status)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        for key, value in headers.items():
            if key.lower() not in ("content-length", "connection", "date", "server"):
                self.send_header(key, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(body[:upto]), 1 << 16):
            piece = body[:upto][start : start + (1 << 16)]
            self.wfile.write(piece)
            with self.server.lock:
                self.server.sent += len(piece) if len(body) >= 8 and status < 300 else 0
            self.keep_rate(len(piece))

    def keep_rate(self, n_bytes: int) -> None:
        """Wait as long as these bytes take after all others, at the proxy's rate."""
        proxy = self.server
        if proxy.rate:
            with proxy.lock:
                now = time.monotonic()
                proxy.due = due = max(now, proxy.due) + n_bytes / proxy.rate
            time.sleep(due - now)

    def log_message(self, *_: object) -> None:
        """Not on the screen."""


class WireTap:
    """Passes TCP connections on and flips one byte of what the server sends.

    Parameters
    ----------
    port
        Of the server.
    at
        For each connection in turn, the byte to flip (None: none).
    """

    def __init__(self, port: int, at: list[int | None]) -> None:
        self.upstream, self.at = port, deque(at)
        self.flipped = 0
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> WireTap:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, self.upstream))
            at = self.at.popleft() if self.at else None
            for pair in ((client, server, None), (server, client, at)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, at: int | None) -> None:
        seen = 0
        with suppress(OSError):
            while data := bytearray(source.recv(1 << 16)):
                if at is not None and seen <= at < seen + len(data):
                    data[at - seen] ^= 4
                    self.flipped += 1
                target.sendall(data)
                seen += len(data)
        for end in (source, target):
            with suppress(OSError):  # the other direction may have been first
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def make_certificate(path: Path) -> Path:
    """A self-signed certificate for the loopback address, with its key, as one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
