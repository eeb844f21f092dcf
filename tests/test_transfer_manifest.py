"""Checksums, the manifest and what must hold before a download."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums, manifest
from nsdrecon.transfer.guards import local_path, require_https, require_terms
from nsdrecon.transfer.manifest import Record, files_of, record_of, verify, write_manifest


def test_etag_of_an_upload_in_parts(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdefgh")
    md5s = b"".join(hashlib.md5(part).digest() for part in (b"abc", b"def", b"gh"))
    expected = f"etag-3:{hashlib.md5(md5s).hexdigest()}-3"
    assert checksums.compute(path, "etag-3") == expected
    assert checksums.matches(path, expected)
    assert not checksums.matches(path, expected.replace("etag-3", "etag-4"))
    with pytest.raises(InputError, match="'etag-0'"):
        checksums.compute(path, "etag-0")


def test_beginning_of_a_sha256_is_enough_but_not_any(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert checksums.matches(path, f"sha256:{sha256[:8]}")
    assert not checksums.matches(path, f"sha256:{sha256[:7]}")
    assert not checksums.matches(path, "sha256:")
    assert not checksums.matches(path, f"sha256:{sha256[:8][::-1]}")


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    found = []
    for name, kind in (("a", "sha256"), ("b", "md5"), ("c", "etag-4")):
        path = tmp_path / name
        path.write_bytes(name.encode() * 10)
        found.append(record_of(path, f"s3://bucket/{name}", checksums.compute(path, kind)))
    return found


def test_manifest_keeps_every_column(records, tmp_path):
    write_manifest(tmp_path / "manifest.tsv", reversed(records))
    assert manifest.read_manifest(tmp_path / "manifest.tsv") == records
    header = (tmp_path / "manifest.tsv").read_text().splitlines()[1]
    assert header.split("\t") == ["file", "bytes", "checksum", "source", "when"]
    assert records[0].when.endswith("+00:00")
    known = manifest.recorded_checksum(tmp_path / "manifest.tsv", records[1].file)
    assert known == records[1].checksum
    assert manifest.recorded_checksum(tmp_path / "manifest.tsv", "other") is None
    assert manifest.recorded_checksum(tmp_path / "absent.tsv", "other") is None


def test_records_are_merged_and_contradictions_named(records, tmp_path):
    write_manifest(tmp_path / "all.tsv", [*records[:2], *records[1:]])
    assert manifest.read_manifest(tmp_path / "all.tsv") == records
    other = Record(records[0].file, 3, "md5:0", "s3://elsewhere", "now")
    with pytest.raises(InputError, match="a with two checksums"):
        write_manifest(tmp_path / "all.tsv", [records[0], other])


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("damage", ["flip", "shorten", "remove"])
def test_every_damage_is_found_and_named(records, tmp_path, name, damage):
    write_manifest(tmp_path / "manifest.tsv", records)
    manifest.require_intact(tmp_path / "manifest.tsv")
    path = tmp_path / name
    if damage == "remove":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[:-1] + (b"" if damage == "shorten" else b"!"))
    (found,) = verify(records)
    assert found.file == str(path)
    with pytest.raises(InputError, match=f"1 damaged files: {path}; .*only they are fetched"):
        manifest.require_intact(tmp_path / "manifest.tsv")
    assert (verify(records, temporary={str(path)}) == []) == (damage == "remove")


@pytest.mark.parametrize("accepted", [False, None, "true", 1])
def test_terms_have_to_be_accepted(accepted):
    require_terms(True)
    with pytest.raises(InputError, match=r"nsd\.terms_accepted.*data access form at https://"):
        require_terms(accepted)


def test_encryption_unless_the_server_is_ones_own():
    require_https("https://example.org/x")
    require_https("http://127.0.0.1:9000", own_server=True)
    for url in ("http://example.org/x", "ftp://example.org", "example.org/x", "https://"):
        with pytest.raises(InputError, match="expected https://"):
            require_https(url)
    with pytest.raises(InputError, match="file"):
        require_https("file:///etc/passwd", own_server=True)
    with pytest.raises(InputError, match=r"https://example\.org: found a name") as refusal:
        require_https("https://me:secret@example.org/x", own_server=True)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "", ".", "a/", "a\\..\\x", "C:/x", "a\0b", "link/x"],
)
def test_remote_names_stay_in_their_folder(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leaves its folder"):
        local_path(folder, name)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["nsddata", "ppdata", "..x", "a.b", "x..", "subj01"]), min_size=1))
def test_ordinary_names_are_kept(names):
    assert local_path("resources", "/".join(names)) == Path("resources", *names)


def test_a_folder_stands_for_all_files_in_it(tmp_path):
    for name in ("b", "a/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files_of(tmp_path) == [tmp_path / "a/c", tmp_path / "b"]
    assert files_of(tmp_path / "b") == [tmp_path / "b"]
