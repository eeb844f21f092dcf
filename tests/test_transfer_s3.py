"""Whole objects from an S3 server, through every fault of a bad network."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from buckets import bucket
from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums, s3, sources
from nsdrecon.transfer.manifest import read_manifest
from nsdrecon.transfer.parts import PartialFile
from nsdrecon.transfer.s3 import Bucket, download_s3
from nsdrecon.transfer.sources import TransferError
from s3_server import BUCKET, FaultProxy, S3Server, WireTap, make_certificate, shared_server

pytestmark = pytest.mark.usefixtures("quick")

KEY = "nsddata/ppdata/subj01/roi.bin"
PART = 1 << 17
SIZE = 12 * PART + 1234
SCRIPTS = Path(s3.__file__).parents[2]


@pytest.fixture(scope="module")
def server() -> S3Server:
    return shared_server()


@pytest.fixture(scope="module")
def content(server: S3Server) -> bytes:
    data = np.random.default_rng(0).bytes(SIZE)
    server.put(KEY, data, part_size=PART)
    return data


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".partial*"))


def parts_in_journal(folder: Path) -> int:
    (journal,) = folder.glob(".partial*.journal")
    return len(journal.read_text().splitlines()) - 1


def test_object_uploaded_in_parts_arrives_whole(server, content, tmp_path):
    path = tmp_path / "deep" / "roi.bin"
    record = download_s3(bucket(server.url), KEY, path)
    assert path.read_bytes() == content
    assert record.bytes == SIZE
    assert record.source == f"s3://{BUCKET}/{KEY}"
    assert checksums.matches(path, record.checksum)
    etag = server.client.head_object(Bucket=BUCKET, Key=KEY)["ETag"].strip('"')
    assert record.checksum == f"etag-{PART}:{etag}"
    assert leftovers(path.parent) == []


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_small_and_empty_objects(server, tmp_path, size):
    data = bytes(range(250)) * 4
    server.put(f"small{size}", data[:size])
    record = download_s3(bucket(server.url), f"small{size}", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == data[:size]
    assert record.checksum == f"md5:{hashlib.md5(data[:size]).hexdigest()}"


def test_upload_parts_too_long_to_be_requests_are_verified_from_disk(
    server, content, proxy, tmp_path, monkeypatch
):
    monkeypatch.setattr(s3, "LARGEST_PART", PART // 2)
    monkeypatch.setattr(s3, "PART_SIZE", PART // 2 + 11)
    record = download_s3(bucket(server.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert record.checksum.startswith(f"etag-{PART}:")
    proxy.faults.extend(["ok", "ok", "flip"])
    with pytest.raises(InputError, match="another checksum"):
        download_s3(bucket(proxy.url), KEY, tmp_path / "other")


def test_requests_are_not_signed_unless_asked_to(proxy, content, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    download_s3(bucket(proxy.url), KEY, tmp_path / "unsigned")
    assert not any("Authorization" in headers for headers in proxy.headers)
    proxy.headers.clear()
    download_s3(bucket(proxy.url, anonymous=False), KEY, tmp_path / "signed")
    assert all("Authorization" in headers for headers in proxy.headers)


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "slowdown", "short", "long"])
def test_passing_faults_do_not_show(proxy, content, tmp_path, fault):
    proxy.faults.extend(["ok", fault, fault, "ok", "ok", fault])
    timeout = 1.0 if fault == "stall" else 30.0
    download_s3(bucket(proxy.url, timeout=timeout), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert leftovers(tmp_path) == []
    if fault != "stall":  # what breaks off is continued where it broke
        assert proxy.sent < SIZE + 2 * PART


def test_mixed_faults(proxy, content, tmp_path):
    faults = ["cut", "reset", "slowdown", "short", "long", "ok", "ok"]
    proxy.faults.extend(random.Random(1).choices(faults, k=40))
    download_s3(bucket(proxy.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


def test_wrong_bytes_never_get_the_final_name(proxy, content, tmp_path):
    proxy.faults.extend(["ok", "flip"])
    with pytest.raises(InputError, match=f"{KEY}: found another checksum; expected etag.*again"):
        download_s3(bucket(proxy.url), KEY, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    download_s3(bucket(proxy.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("refusal", [None, (400, {}, b""), (501, {}, b"")])
def test_server_without_ranges(proxy, content, tmp_path, caplog, refusal):
    proxy.refuses_ranges, proxy.ignores_ranges = refusal, refusal is None
    proxy.faults.extend(["ok", "cut", "reset"] if refusal is None else [])
    record = download_s3(bucket(proxy.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert record.checksum.startswith(f"etag-{PART}:")
    assert "fetched in one piece" in caplog.text


@pytest.mark.parametrize("status", [400, 403, 412, 501])
def test_server_that_refuses_conditions(proxy, content, tmp_path, status):
    proxy.refuses_conditions = (status, {}, b"")
    download_s3(bucket(proxy.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("fault", ["slowdown", "stall", "cut"])
def test_lasting_fault_ends_and_the_next_run_continues(proxy, content, tmp_path, fault):
    proxy.faults.extend(["ok"] * 6)
    proxy.always = fault
    path = tmp_path / "file"
    if fault == "cut":  # half of what is asked for arrives each time: it gets there
        download_s3(bucket(proxy.url), KEY, path)
    else:
        with pytest.raises(TransferError, match=rf"{KEY}.*run again"):
            download_s3(bucket(proxy.url, patience=1.0, timeout=2.0, workers=1), KEY, path)
        assert not path.exists()
        done = parts_in_journal(tmp_path)
        assert 0 < done <= 6
        proxy.always, proxy.sent = "ok", 0
        download_s3(bucket(proxy.url), KEY, path)
        assert proxy.sent == SIZE - done * PART
    assert path.read_bytes() == content


def test_killed_process_is_continued(server, content, tmp_path):
    path = tmp_path / "file"
    chance = random.Random(0)
    with FaultProxy(server.port, rate=3e6) as slow:
        program = textwrap.dedent(
            f"""
            from nsdrecon.transfer.s3 import Bucket, download_s3
            bucket = Bucket({BUCKET!r}, endpoint={slow.url!r}, workers=3)
            download_s3(bucket, {KEY!r}, {str(path)!r})
            """
        )
        for fraction in (chance.uniform(0.1, 0.4), chance.uniform(0.5, 0.8)):
            child = subprocess.Popen(
                [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(SCRIPTS)}
            )
            while slow.sent < fraction * SIZE and child.poll() is None:
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            assert not path.exists()
    done = parts_in_journal(tmp_path)
    with FaultProxy(server.port) as quick:
        download_s3(bucket(quick.url), KEY, path)
        assert quick.sent <= SIZE - done * PART + PART
    assert done >= 2
    assert path.read_bytes() == content
    assert leftovers(tmp_path) == []


def test_damage_on_disk_between_two_runs_is_noticed(proxy, content, tmp_path):
    path = tmp_path / "file"
    proxy.faults.extend(["ok"] * 8)
    proxy.always = "slowdown"
    with pytest.raises(TransferError):
        download_s3(bucket(proxy.url, patience=0.5, workers=1), KEY, path)
    assert parts_in_journal(tmp_path) == 8
    with (tmp_path / ".partial-file").open("r+b") as file:
        file.seek(10)
        file.write(b"damage")
    with (tmp_path / ".partial-file.journal").open("a") as file:
        file.write(f"{12 * PART} {12 * PART} 12")  # an entry cut short by a kill
    proxy.always, proxy.sent = "ok", 0
    download_s3(bucket(proxy.url), KEY, path)
    assert path.read_bytes() == content
    assert proxy.sent == SIZE - 7 * PART  # the first of eight is fetched again


def test_object_replaced_midway_is_never_mixed(server, tmp_path):
    old, new = (np.random.default_rng(seed).bytes(SIZE) for seed in (1, 2))
    server.put("replaced", old, part_size=PART)
    with FaultProxy(server.port) as proxy:
        proxy.faults.extend(["ok"] * 4)
        proxy.always = "slowdown"
        with pytest.raises(TransferError):
            download_s3(bucket(proxy.url, patience=0.5, workers=1), "replaced", tmp_path / "file")
        partial = (tmp_path / ".partial-file").read_bytes()
        assert partial != bytes(SIZE)
        server.put("replaced", new, part_size=PART)
        proxy.always = "ok"
        download_s3(bucket(proxy.url), "replaced", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == new


def test_object_replaced_between_two_parts_stops_the_fetch(server, content):
    now = bucket(server.url).describe(KEY)
    stale = replace(now, etag="0" * 32)
    assert b"".join(now.read(5, 10)) == content[5:15]
    with pytest.raises(TransferError, match="changed while it was fetched"):
        list(stale.read(5, 10))


def test_whole_file_is_not_fetched_again_and_a_damaged_one_is(proxy, content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    download_s3(bucket(proxy.url), KEY, path)
    assert proxy.sent == 0
    path.write_bytes(b"x" + content[1:])
    download_s3(bucket(proxy.url), KEY, path)
    assert proxy.sent == SIZE
    assert path.read_bytes() == content


def test_data_whose_record_cannot_be_written_are_kept(proxy, content, tmp_path):
    path, table = tmp_path / "file", tmp_path / "record.tsv"
    table.mkdir()
    with pytest.raises(IsADirectoryError):
        download_s3(bucket(proxy.url), KEY, path, record=table)
    assert not path.exists()
    table.rmdir()
    proxy.sent = 0
    record = download_s3(bucket(proxy.url), KEY, path, record=table)
    assert proxy.sent == 0
    assert path.read_bytes() == content
    assert read_manifest(table) == [record]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        (BUCKET, "no/such/key", "no/such/key.*NoSuchKey.*Check subject, session"),
        ("no-such-bucket", KEY, rf"{KEY}.*NoSuchBucket.*Check s3\.bucket"),
    ],
)
def test_wrong_names_fail_at_once(proxy, content, tmp_path, name, key, expected):
    with pytest.raises(InputError, match=expected):
        download_s3(Bucket(name, endpoint=proxy.url), key, tmp_path / "file")
    assert len(proxy.headers) == 2  # a HEAD, and the GET that says why
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("anonymous", "remedy"), [(True, "not signed.*https://cvnlab"), (False, "anonymous: true")]
)
def test_refusal_fails_at_once(proxy, tmp_path, monkeypatch, anonymous, remedy):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "else")
    xml = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    proxy.answer = (403, {"Content-Type": "application/xml"}, xml)
    with pytest.raises(InputError, match=f"{KEY}.*AccessDenied.*{remedy}"):
        download_s3(bucket(proxy.url, anonymous=anonymous), KEY, tmp_path / "file")
    assert len(proxy.headers) == 2  # a HEAD, and the GET that says why


def test_unreachable_server_fails_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "UNREACHABLE_PATIENCE", 1.0)
    with pytest.raises(TransferError, match=f"{KEY}.*nothing arrived"):
        download_s3(bucket("http://127.0.0.1:9"), KEY, tmp_path / "file")


def test_unknown_profile_and_bad_endpoint():
    with pytest.raises(InputError, match="profile 'nobody'"):
        bucket("http://127.0.0.1:9", profile="nobody")
    with pytest.raises(InputError, match="ftp"):
        bucket("ftp://127.0.0.1")
    with pytest.raises(InputError, match=r"\(s3\.profile\)") as refusal:
        bucket("https://me:secret@mirror.example.org")
    assert "secret" not in str(refusal.value)


def test_sizes_of_many_objects(server, content):
    assert bucket(server.url).sizes([KEY]) == {KEY: SIZE}
    with pytest.raises(InputError, match="absent"):
        bucket(server.url).sizes([KEY, "absent"])


def test_flipped_byte_inside_tls_breaks_the_connection_and_is_asked_for_again(
    server, content, tmp_path, monkeypatch
):
    certificate = make_certificate(tmp_path / "certificate.pem")
    with FaultProxy(server.port, certificate) as proxy:
        at = [None, 700, 60_000, 90_000, 1_000, 120_000]
        with WireTap(proxy.server_port, at) as tap:
            url = f"https://127.0.0.1:{tap.port}"
            with pytest.raises(InputError, match="AWS_CA_BUNDLE"):
                download_s3(bucket(url), KEY, tmp_path / "file")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
            download_s3(bucket(url, timeout=3.0), KEY, tmp_path / "file")
            assert tap.flipped >= 3
    assert (tmp_path / "file").read_bytes() == content


def test_object_without_a_checksum_is_recorded_with_its_sha256(
    server, content, tmp_path, monkeypatch
):
    monkeypatch.setattr(s3, "MD5_ETAG", s3.re.compile("none"))
    record = download_s3(bucket(server.url), KEY, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert record.checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_full_disk_is_foreseen(server, content, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=SIZE // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"file: found 0.001 GB free; expected 0.002 GB free"):
        download_s3(bucket(server.url), KEY, tmp_path / "file")
    assert not (tmp_path / "file").exists()


FULL_DISK = """
import shutil, sys, threading
from pathlib import Path
from nsdrecon.errors import InputError
from nsdrecon.transfer.s3 import Bucket, download_s3

url, bucket, key, folder = sys.argv[1:]
filler, path = Path(folder, "filler"), Path(folder, "file")
bucket = Bucket(bucket, endpoint=url, workers=3)
usage = shutil.disk_usage
def fill(folder):  # somebody else takes the room just after it was found to be enough
    found = usage(folder)
    filler.write_bytes(bytes(found.free - 500_000))
    return found
shutil.disk_usage = fill
try:
    download_s3(bucket, key, path)
except InputError as error:
    print(error)
assert not path.exists()
filler.unlink()
shutil.disk_usage = usage
download_s3(bucket, key, path)
print("then", path.stat().st_size)
"""


def test_disk_that_fills_up_midway(server, content, tmp_path):
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec "
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*isolated, f"{mount} true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    program = [sys.executable, "-c", FULL_DISK, server.url, BUCKET, KEY, str(tmp_path)]
    done = subprocess.run(
        [*isolated, f'{mount} "$@"', "sh", *program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
    assert "Make room" in done.stdout
    assert f"then {SIZE}" in done.stdout


def test_one_process_a_file(tmp_path):
    def resize(path: Path) -> None:
        os.truncate(path, 10)

    with (
        PartialFile(tmp_path / "file", "same", resize),
        pytest.raises(InputError, match="another process"),
        PartialFile(tmp_path / "file", "same", resize),
    ):
        pass


@pytest.mark.parametrize("name", [".partial-file", ".partial-file.journal"])
def test_links_in_place_of_partial_files_are_not_followed(server, content, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_bytes(b"somebody's")
    (tmp_path / name).symlink_to(victim)
    if name == ".partial-file":
        with pytest.raises(InputError, match=r"\.partial-file: found a symbolic link"):
            download_s3(bucket(server.url), KEY, tmp_path / "file")
    else:
        download_s3(bucket(server.url), KEY, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == content
    assert victim.read_bytes() == b"somebody's"


def test_progress_counts_bytes_in_the_log(server, content, tmp_path, caplog):
    caplog.set_level("INFO")
    download_s3(bucket(server.url), KEY, tmp_path / "file")
    text = "\n".join(caplog.messages)
    assert "roi.bin: 100%" in text
    assert "1.57M/1.57M" in text
    assert "B/s" in text


def test_memory_does_not_grow_with_the_object(server, tmp_path):
    data = bytes(48 << 20)
    server.put("large", data, part_size=8 << 20)
    program = textwrap.dedent(
        f"""
        from nsdrecon.logs import peak_memory_mb
        from nsdrecon.transfer.s3 import Bucket, download_s3
        bucket = Bucket({BUCKET!r}, endpoint={server.url!r})
        bucket.describe("large")
        before = peak_memory_mb()
        download_s3(bucket, "large", {str(tmp_path / "file")!r})
        print(peak_memory_mb() - before, peak_memory_mb())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )
    grown, peak = map(float, done.stdout.split())
    assert grown < 40
    assert peak < 500
    server.client.delete_object(Bucket=BUCKET, Key="large")
