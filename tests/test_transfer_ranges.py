"""Single images out of the remote stimulus file."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckets import bucket, in_memory
from nsdrecon import store
from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums, ranges
from nsdrecon.transfer.ranges import Layout, RemoteFile, download_stimuli_by_ranges, image_parts
from nsdrecon.transfer.sources import TransferError
from s3_server import FaultProxy, S3Server, WireTap, make_certificate, shared_server

pytestmark = pytest.mark.usefixtures("quick")

KEY = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
SHAPE = (90, 60, 50, 3)
IMAGE = math.prod(SHAPE[1:])
IMAGES = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
SEEN = np.random.default_rng(1).permutation(SHAPE[0])[:12]


def brick(folder: Path, images: np.ndarray = IMAGES, userblock: int = 512, **options) -> bytes:
    path = folder / "brick.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file["before"] = np.arange(1000)
        file.create_dataset("imgBrick", data=images, **options)
        file["after"] = np.arange(1000)
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    server = shared_server()
    server.put(KEY, brick(tmp_path_factory.mktemp("brick")), part_size=1 << 17)
    return server


def assert_same_images(path: Path, nsd_id: np.ndarray) -> None:
    np.testing.assert_array_equal(store.read_ids(path), np.sort(nsd_id))
    np.testing.assert_array_equal(store.read_array(path, "images", nsd_id), IMAGES[nsd_id])
    assert list(path.parent.glob(".partial*")) == []


@pytest.mark.parametrize("userblock", [0, 512])
def test_images_are_those_of_the_whole_file(server, tmp_path, userblock):
    server.put(f"brick{userblock}", brick(tmp_path, userblock=userblock))
    path = tmp_path / "stimuli.h5"
    record = download_stimuli_by_ranges(bucket(server.url), f"brick{userblock}", SEEN, path)
    assert_same_images(path, SEEN)
    assert checksums.matches(path, record.checksum)
    with h5py.File(path) as file:
        assert all(file[name].fletcher32 for name in file)


def test_only_the_bytes_of_the_images_travel_over_tls(server, tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with FaultProxy(server.port, certificate) as proxy:
        download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN, tmp_path / "stimuli.h5")
        # The header, and the one image that proves its offset (fetched twice), come on top.
        assert proxy.sent <= (len(SEEN) + 2) * IMAGE + 4 * ranges.BLOCK
        runs = 1 + np.count_nonzero(np.diff(np.sort(SEEN)) > 1)
        assert proxy.gets <= runs + 6
    assert_same_images(tmp_path / "stimuli.h5", SEEN)


def test_faults_do_not_show(proxy, tmp_path):
    proxy.faults.extend(["cut", "ok", "short", "reset", "slowdown", "long", *["ok"] * 3, "cut"])
    proxy.faults.extend(["short", "ok", "slowdown", "long", "reset"])
    download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN, tmp_path / "stimuli.h5")
    assert not proxy.faults
    assert_same_images(tmp_path / "stimuli.h5", SEEN)


def test_flipped_byte_in_tls(server, tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with (
        FaultProxy(server.port, certificate) as proxy,
        WireTap(proxy.server_port, [9_000, 30_000, 20_000, 25_000, 8_000]) as tap,
    ):
        url = f"https://127.0.0.1:{tap.port}"
        download_stimuli_by_ranges(bucket(url), KEY, SEEN, tmp_path / "stimuli.h5")
        assert tap.flipped >= 3
    assert_same_images(tmp_path / "stimuli.h5", SEEN)


def test_interrupted_run_is_continued(proxy, tmp_path):
    path = tmp_path / "stimuli.h5"
    proxy.faults.extend(["ok"] * 10)
    proxy.always = "slowdown"
    with pytest.raises(TransferError):
        download_stimuli_by_ranges(bucket(proxy.url, patience=0.5, workers=1), KEY, SEEN, path)
    assert not path.exists()
    done = len((tmp_path / ".partial-stimuli.h5.journal").read_text().splitlines()) - 1
    assert done >= 4
    proxy.always, proxy.sent = "ok", 0
    download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN, path)
    assert_same_images(path, SEEN)
    # The header and the proof come on top.
    assert proxy.sent <= (len(SEEN) - done + 2) * IMAGE + 4 * ranges.BLOCK


@pytest.mark.parametrize("named", [True, False], ids=["with its name", "before it"])
def test_kill_between_the_last_two_steps(proxy, tmp_path, monkeypatch, named):
    path = tmp_path / "stimuli.h5"
    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN[:5], path)
    assert (tmp_path / ".partial-stimuli.h5.journal").exists()
    if not named:
        path.unlink()
    proxy.sent = 0
    download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN[:5], path)
    assert_same_images(path, SEEN[:5])
    assert proxy.sent <= 2 * IMAGE + 4 * ranges.BLOCK  # the header, and the proof of its offset


def test_images_of_another_version_are_not_kept(server, tmp_path):
    path, where = tmp_path / "stimuli.h5", bucket(server.url)
    server.put("versions", brick(tmp_path, 255 - IMAGES))
    download_stimuli_by_ranges(where, "versions", SEEN, path)
    server.put("versions", brick(tmp_path))
    download_stimuli_by_ranges(where, "versions", SEEN, path)
    assert_same_images(path, SEEN)


def test_images_already_here_are_kept_and_others_are_not_mistaken_for_them(proxy, tmp_path):
    path = tmp_path / "stimuli.h5"
    first = download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN, path)
    proxy.sent = 0
    assert download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN[::-1], path) == first
    assert proxy.sent == 0
    download_stimuli_by_ranges(bucket(proxy.url), KEY, SEEN[:5], path)
    assert_same_images(path, SEEN[:5])


@pytest.mark.parametrize(
    ("images", "options", "found"),
    [
        (IMAGES, {"chunks": (1, 60, 50, 3)}, "chunked uint8"),
        (IMAGES, {"compression": "gzip"}, "chunked uint8"),
        (IMAGES.astype(np.float32), {}, "contiguous float32"),
        (IMAGES[..., 0], {}, r"shape \(90, 60, 50\)"),
    ],
)
def test_other_layouts_are_refused(server, tmp_path, images, options, found):
    server.put("other", brick(tmp_path, images, **options))
    with pytest.raises(InputError, match=rf"other:/imgBrick: found .*{found}.*nsd.stimuli: whole"):
        download_stimuli_by_ranges(bucket(server.url), "other", SEEN, tmp_path / "stimuli.h5")
    assert not (tmp_path / "stimuli.h5").exists()


def test_bad_requests_are_named(server, tmp_path):
    path = tmp_path / "stimuli.h5"
    with pytest.raises(InputError, match="90 images, none for nsd_id 90, 95"):
        download_stimuli_by_ranges(bucket(server.url), KEY, [3, 95, 90], path)
    with pytest.raises(InputError, match="double nsd_id 4"):
        download_stimuli_by_ranges(bucket(server.url), KEY, [4, 3, 4], path)
    with pytest.raises(InputError, match="at least one image"):
        download_stimuli_by_ranges(bucket(server.url), KEY, np.array([], dtype=int), path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["before"] = np.arange(10)
    server.put("other", (tmp_path / "other.h5").read_bytes())
    with pytest.raises(InputError, match=r"before.*'imgBrick'"):
        download_stimuli_by_ranges(bucket(server.url), "other", [1], path)
    server.put("text", b"this is not HDF5" * 1000)
    with pytest.raises(InputError, match="no HDF5"):
        download_stimuli_by_ranges(bucket(server.url), "text", [1], path)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 40_000)), max_size=6))
def test_remote_file_reads_like_a_file(reads):
    data = np.random.default_rng(3).bytes(50_000)
    remote, local = RemoteFile(in_memory(data).describe(KEY)), io.BytesIO(data)
    assert remote.seek(0, io.SEEK_END) == len(data)
    for position, length in reads:
        assert remote.seek(position) == local.seek(position)
        assert remote.read(length) == local.read(length)
        assert remote.tell() == local.tell()


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 300), min_size=1),
    st.integers(1, 40),
    st.integers(0, 3000),
    st.integers(1, 200),
)
def test_ranges_cover_exactly_the_images(seen, image, offset, longest):
    nsd_id = np.array(sorted(seen))
    remote, local = Layout(offset, (301, 1, 1, image)), Layout(77, (len(seen), 1, 1, image))
    data = np.random.default_rng(4).bytes(offset + 301 * image)
    found = image_parts(nsd_id, remote, local, longest)
    here = bytearray(77)
    for part in found:  # in order, without gaps
        assert part.target == len(here)
        assert image <= part.length <= max(longest, image)
        here += data[part.source : part.source + part.length]
    expected = [data[offset + i * image : offset + (i + 1) * image] for i in nsd_id]
    assert bytes(here[77:]) == b"".join(expected)
    for one, other in pairwise(found):
        assert one.source + one.length < other.source or one.length + image > longest
