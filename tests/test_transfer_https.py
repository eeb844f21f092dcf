"""Files from a web server, and repositories of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from nsdrecon.errors import InputError
from nsdrecon.transfer import https, sources, weights
from nsdrecon.transfer.catalogue import FILES, REPOSITORIES, ModelFile
from nsdrecon.transfer.https import download_https
from nsdrecon.transfer.manifest import read_manifest, write_manifest
from nsdrecon.transfer.sources import TransferError
from nsdrecon.transfer.weights import check_own, check_own_files, download_hub
from s3_server import BUCKET, HOST, FaultProxy, S3Server, make_certificate, shared_server

KEY = "models/model.th"
DATA = np.random.default_rng(5).bytes(600_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(https, "PART_SIZE", 70_000)
    monkeypatch.setattr(sources, "UNREACHABLE_PATIENCE", 1.0)


@pytest.fixture(scope="module")
def server() -> S3Server:
    server = shared_server()
    server.put(KEY, DATA)
    return server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate") / "certificate.pem")


@pytest.fixture
def proxy(
    server: S3Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FaultProxy(server.port, certificate) as proxy:
        yield proxy


def fetch(proxy: FaultProxy, path: Path, **settings: object):
    return download_https([f"{proxy.url}/{BUCKET}/{KEY}"], path, **{"patience": 60.0} | settings)


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8], SHA256.upper(), None])
def test_file_arrives_whole(proxy, tmp_path, sha256):
    record = fetch(proxy, tmp_path / "model.th", sha256=sha256)
    assert (tmp_path / "model.th").read_bytes() == DATA
    assert record.checksum == f"sha256:{SHA256}"
    assert record.source == f"{proxy.url}/{BUCKET}/{KEY}"


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "slowdown", "short", "long"])
def test_faults_do_not_show(proxy, tmp_path, monkeypatch, fault):
    monkeypatch.setattr(https, "TIMEOUT", 1.0 if fault == "stall" else 30.0)
    proxy.faults.extend([fault, "ok", fault, "ok", "ok", fault])
    fetch(proxy, tmp_path / "model.th")
    assert (tmp_path / "model.th").read_bytes() == DATA
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("refusal", [None, (400, {}, b""), (501, {}, b"")])
def test_server_without_ranges(proxy, tmp_path, refusal):
    proxy.refuses_ranges, proxy.ignores_ranges = refusal, refusal is None
    proxy.faults.extend(["ok", "cut", "reset"] if refusal is None else [])
    fetch(proxy, tmp_path / "model.th", sha256=SHA256)
    assert (tmp_path / "model.th").read_bytes() == DATA


@pytest.mark.parametrize("status", [400, 403, 412, 501])
def test_server_that_refuses_conditions(proxy, tmp_path, status):
    proxy.refuses_conditions = (status, {}, b"")
    fetch(proxy, tmp_path / "model.th")
    assert (tmp_path / "model.th").read_bytes() == DATA


def test_file_replaced_midway_is_never_mixed(server, proxy):
    web = https.WebFile(f"{proxy.url}/{BUCKET}/{KEY}")
    assert b"".join(web.read(5, 10)) == DATA[5:15]
    server.put(KEY, DATA[::-1])
    try:
        with pytest.raises(TransferError, match="changed while it was fetched"):
            list(web.read(5, 10))
    finally:
        server.put(KEY, DATA)


def test_lasting_fault_ends_and_the_next_run_continues(proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(https, "WORKERS", 1)
    proxy.faults.extend(["ok"] * 5)
    proxy.always = "slowdown"
    with pytest.raises(InputError, match=r"nothing arrived for 0 s.*run again to continue there"):
        fetch(proxy, tmp_path / "model.th", sha256=SHA256, patience=0.5)
    assert not (tmp_path / "model.th").exists()
    proxy.always, proxy.sent = "ok", 0
    fetch(proxy, tmp_path / "model.th", sha256=SHA256)
    assert proxy.sent == len(DATA) - 5 * 70_000
    assert (tmp_path / "model.th").read_bytes() == DATA


def test_another_file_than_the_pinned_one_is_refused(proxy, tmp_path):
    with pytest.raises(InputError, match=r"another checksum; expected sha256:00000000"):
        fetch(proxy, tmp_path / "model.th", sha256="00000000")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "size and checksum not published"),
        ({"size": 600_000, "sha256": SHA256[:8]}, f"600000 bytes, sha256:{SHA256[:8]}"),
    ],
)
def test_file_that_is_gone_can_be_brought(proxy, tmp_path, status, known, words):
    path = tmp_path / "models" / "vdvae" / "model.th"
    proxy.answer = (status, {}, b"")
    with pytest.raises(InputError, match=rf"HTTP {status}.*model\.th, {words}.*put it at {path}"):
        fetch(proxy, path, **known)
    path.parent.mkdir(parents=True)
    if known:
        path.write_bytes(DATA[:-1] + b"x")
        with pytest.raises(InputError, match=f"HTTP {status}"):
            fetch(proxy, path, **known)
    path.write_bytes(DATA)
    proxy.headers.clear()
    record = fetch(proxy, path, record=tmp_path / "record.tsv", **known)
    assert proxy.headers == []
    assert record.checksum == f"sha256:{SHA256}"
    assert read_manifest(tmp_path / "record.tsv") == [record]


def test_mirror_is_used_where_the_first_server_fails(server, proxy, certificate, tmp_path):
    with FaultProxy(server.port, certificate) as mirror:
        urls = [f"{host.url}/{BUCKET}/{KEY}" for host in (proxy, mirror)]
        proxy.answer = (404, {}, b"")
        assert https.web_size(urls, tmp_path / "1") == len(DATA)
        assert download_https(urls, tmp_path / "1", sha256=SHA256).source == urls[1]
        proxy.answer, proxy.always = None, "flip"
        assert download_https(urls, tmp_path / "2", sha256=SHA256).source == urls[1]
        assert {path.read_bytes() for path in tmp_path.iterdir()} == {DATA}
        urls[0] = "https://127.0.0.1:9/model.th"
        mirror.always = "flip"
        with pytest.raises(InputError, match=r"127\.0\.0\.1:9.*nothing arrived.*another checksum"):
            download_https(urls, tmp_path / "3", sha256=SHA256)


def test_nothing_is_fetched_without_encryption(server, proxy, tmp_path):
    with pytest.raises(InputError, match=r"scheme 'http'; expected https://"):
        download_https([f"http://127.0.0.1:{server.port}/{BUCKET}/{KEY}"], tmp_path / "model.th")
    proxy.answer = (302, {"Location": f"http://127.0.0.1:{server.port}/{BUCKET}/{KEY}"}, b"")
    with pytest.raises(InputError, match=r"scheme 'http'; expected https://"):
        fetch(proxy, tmp_path / "model.th")
    assert list(tmp_path.iterdir()) == []


# The hub

REPOSITORY, COMMIT = "lab/model", "0123456789" * 4
SMALL, LARGE = b'{"config": 1}', np.random.default_rng(6).bytes(50_000)


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(ThreadingHTTPServer):
    """The few answers of the hub that a download needs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _HubHandler)
        self.files = {"config.json": SMALL, "unet/weights.safetensors": LARGE, "extra.bin": b"x"}
        self.error: tuple[int, str] | None = None
        self.fetched: list[str] = []
        self.damage = False
        self.url = f"http://{HOST}:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def tree(self) -> bytes:
        entries = []
        for name, data in self.files.items():
            entry = {"type": "file", "path": name, "size": len(data), "oid": git_sha1(data)}
            if len(data) > 1000:
                oid = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 130}
            entries.append(entry)
        return json.dumps(entries).encode()


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, path = self.server, urlsplit(self.path).path
        if hub.error:
            status, code = hub.error
            return self.reply(status, b"", {"X-Error-Code": code})
        if path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            return self.reply(200, hub.tree(), {"Content-Type": "application/json"})
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
        if name not in hub.files:
            return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
        data = hub.files[name]
        etag = hashlib.sha256(data).hexdigest() if len(data) > 1000 else git_sha1(data)
        if self.command == "GET":
            hub.fetched.append(name)
            if hub.damage:
                data = data[:-1] + bytes([data[-1] ^ 4])
        return self.reply(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the screen."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    hub = Hub()
    yield hub
    hub.shutdown()
    hub.server_close()


PATTERNS = ("*.json", "unet/*")


def test_repository_is_fetched_checked_and_kept(hub, tmp_path):
    records = download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url)
    assert (tmp_path / "unet/weights.safetensors").read_bytes() == LARGE
    assert not (tmp_path / "extra.bin").exists()
    assert {record.checksum for record in records} == {
        f"sha256:{hashlib.sha256(data).hexdigest()}" for data in (SMALL, LARGE)
    }
    assert records[0].source == f"{hub.url}/{REPOSITORY}@{COMMIT}/config.json"
    hub.fetched.clear()
    assert download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url) == records
    assert hub.fetched == []


@pytest.mark.parametrize("name", ["config.json", "unet/weights.safetensors"])
def test_damaged_file_of_a_repository_is_fetched_again(hub, tmp_path, name):
    download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    hub.fetched.clear()
    download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url)
    assert hub.fetched == [name]
    assert path.read_bytes() == whole


def test_file_that_arrives_damaged_is_named(hub, tmp_path):
    hub.damage = True
    with pytest.raises(InputError, match=r"config\.json: git-sha1 [0-9a-f]{40}, unet.*sha256"):
        download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ((403, "GatedRepo"), InputError, "gated repository.*Accept its conditions.*hf auth login"),
        ((404, "RepoNotFound"), InputError, "no such repository.*moved or removed.*local folder"),
        ((404, "RevisionNotFound"), InputError, "no such revision.*Set one that exists"),
        ((401, ""), InputError, "HTTP 401.*token"),
        ((403, ""), InputError, "HTTP 403.*token"),
    ],
)
def test_refusals_of_the_hub_say_what_to_do(hub, tmp_path, error, kind, text):
    hub.error = error
    with pytest.raises(kind, match=f"(?s){REPOSITORY}@{COMMIT}.*{text}"):
        download_hub(REPOSITORY, COMMIT, tmp_path, PATTERNS, endpoint=hub.url)


def test_hub_out_of_reach_or_switched_off(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    # The hub's own client tries for half a minute.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(TransferError, match="Run again"):
        download_hub(REPOSITORY, COMMIT, tmp_path, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE.*internet"):
        download_hub(REPOSITORY, COMMIT, tmp_path, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "a/../../escape"])
def test_names_of_a_repository_stay_in_their_folder(hub, tmp_path, name):
    hub.files = {name: b"x"}
    with pytest.raises(InputError, match="leaves its folder"):
        download_hub(REPOSITORY, COMMIT, tmp_path / "folder", endpoint=hub.url)
    assert list(tmp_path.rglob("*escape*")) == []


def test_missing_model_files_are_named(hub, tmp_path):
    with pytest.raises(InputError, match=r"no file like 'vae/\*' among config\.json"):
        download_hub(REPOSITORY, COMMIT, tmp_path, ["vae/*"], endpoint=hub.url)


def test_own_file_gets_the_checks_that_its_download_would_get(tmp_path, monkeypatch):
    own = tmp_path / "mine.safetensors"
    own.write_bytes(DATA)
    assert check_own(own).checksum == f"sha256:{SHA256}"
    for name in (FILES["inception-v3"].name, "inception-0cc3c7bd-copy.pth"):
        known = tmp_path / name
        known.write_bytes(DATA)
        refusal = rf"{name}: found sha256:{SHA256}; expected sha256:0cc3c7bd.*Replace.*or rename"
        with pytest.raises(InputError, match=refusal):
            check_own(known)
    known = tmp_path / "model.th"
    known.write_bytes(DATA)
    whole = ModelFile("https://example.org/model.th", len(DATA), SHA256[:8])
    monkeypatch.setitem(FILES, "model", whole)
    assert check_own(known).checksum == f"sha256:{SHA256}"
    monkeypatch.setitem(FILES, "model", replace(whole, size=3))
    with pytest.raises(InputError, match="600000 bytes; expected 3 as https://example"):
        check_own(known)


def test_own_file_in_a_cache_of_the_hub_has_its_name_as_checksum(tmp_path):
    stored = tmp_path / "blobs" / SHA256
    stored.parent.mkdir()
    stored.write_bytes(DATA)
    own = tmp_path / "model.safetensors"
    own.symlink_to(stored)
    assert check_own(own).checksum == f"sha256:{SHA256}"
    stored.write_bytes(DATA[::-1])
    with pytest.raises(InputError, match=rf"expected sha256:{SHA256}.*Remove {stored}"):
        check_own(own)


def test_pointer_in_place_of_an_own_file_is_named_before_any_checksum(tmp_path, monkeypatch):
    paths = [tmp_path / "config.json", tmp_path / "model.safetensors"]
    paths[0].write_text("{}")
    paths[1].write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\n")
    monkeypatch.setattr(weights, "record_of", pytest.fail)
    with pytest.raises(InputError, match=r"model\.safetensors: found a pointer.*git lfs pull"):
        check_own_files(paths, tmp_path / "absent.tsv")


def test_replaced_own_file_is_recorded_anew_but_not_one_that_changed_under_its_date(
    tmp_path, caplog
):
    path, former = tmp_path / "mine.pth", tmp_path / "former.tsv"
    path.write_bytes(DATA)
    write_manifest(former, check_own_files([path], former))
    date = path.stat().st_mtime
    path.write_bytes(DATA[::-1])
    for wrong in (date, date - 1000):
        os.utime(path, (wrong, wrong))
        with pytest.raises(InputError, match=rf"expected sha256:{SHA256}.*on purpose, touch it"):
            check_own_files([path], former)
    os.utime(path, (date + 1, date + 1))
    (record,) = check_own_files([path], former)
    assert record.checksum != f"sha256:{SHA256}"
    assert f"{path}: replaced" in caplog.text
    write_manifest(former, [record])
    assert check_own_files([path], former) == [record]


def test_known_models_are_pinned():
    for file in FILES.values():
        assert file.url.startswith("https://")
        assert file.sha256 is None or (8 <= len(file.sha256) <= 64 and int(file.sha256, 16))
    for repository in REPOSITORIES.values():
        assert len(repository.revision) == 40
        assert int(repository.revision, 16)
        assert not any(pattern.endswith((".bin", ".ckpt")) for pattern in repository.patterns)
