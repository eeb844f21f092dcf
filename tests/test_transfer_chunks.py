"""The voxels of a mask out of a session's remote HDF5 file."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import boto3
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bucket import in_memory
from nsdrecon.errors import InputError
from nsdrecon.transfer import parts, s3
from nsdrecon.transfer.chunks import coalesced, covered, fetched_chunks
from nsdrecon.transfer.parts import Part, TransferError
from nsdrecon.transfer.s3 import Bucket
from nsdrecon.volumes import Voxels, read_session
from s3_server import BUCKET, FaultProxy, S3Server, make_certificate, shared_server

KEY = "nsddata_betas/session.hdf5"
N_TRIALS, SHAPE = 60, (16, 18, 16)
one_session = cache(boto3.Session)


def random_betas(shape: tuple[int, ...], n_trials: int, seed: int = 0) -> np.ndarray:
    """Shape (trials, Z, Y, X)."""
    betas = np.random.default_rng(seed).integers(-32768, 32768, (n_trials, *shape[::-1]))
    return betas.astype(np.int16)


def voxels_of(mask: np.ndarray) -> Voxels:
    return Voxels(np.argwhere(mask).astype(np.int32), mask.shape, np.eye(4), "mask.nii.gz")


BETAS = random_betas(SHAPE, N_TRIALS)
RADIUS = np.linalg.norm(np.indices(SHAPE) - np.array([8, 3, 8])[:, None, None, None], axis=0)
MASK = (RADIUS > 4) & (RADIUS < 5)
VOXELS = voxels_of(MASK)


def session(folder: Path, betas: np.ndarray = BETAS, **options) -> bytes:
    path = folder / "session.h5"
    options = {"chunks": (len(betas), 1, 1, 1), **options}
    libver = options.pop("libver", "earliest")
    with h5py.File(path, "w", libver=libver, userblock_size=options.pop("userblock", 0)) as file:
        file["before"] = np.arange(1000)
        file.create_dataset("betas", data=betas, **options)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(s3.boto3, "Session", one_session)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    server = shared_server()
    server.put(KEY, session(tmp_path_factory.mktemp("session")), part_size=1 << 17)
    return server


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched that is not wanted: a small file is otherwise one range."""
    monkeypatch.setitem(coalesced.__kwdefaults__, "gap", 3000)


def bucket(url: str, **settings: object) -> Bucket:
    return Bucket(
        BUCKET, endpoint=url, **{"workers": 4, "patience": 60.0, "timeout": 30.0} | settings
    )


def fetch(bucket: Bucket, folder: Path, key: str = KEY, voxels: Voxels = VOXELS) -> np.ndarray:
    path = folder / "01.hdf5"
    with fetched_chunks(bucket, key, voxels.index, voxels.shape, path) as copy:
        found = read_session(copy, voxels, N_TRIALS)
    assert list(folder.glob(".partial*")) == []
    return found


def assert_right(found: np.ndarray) -> None:
    np.testing.assert_array_equal(found, BETAS.T[MASK].T)


def test_only_a_share_of_the_bytes_travels_over_tls(server, tmp_path, monkeypatch, few_at_a_time):
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with FaultProxy(server.port, certificate) as proxy:
        assert_right(fetch(bucket(proxy.url), tmp_path))
        wanted = len(VOXELS) * N_TRIALS * 2
        assert wanted < proxy.sent < 0.5 * BETAS.nbytes


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "slowdown", "short", "long", "flip"])
def test_faults_do_not_show(proxy, tmp_path, few_at_a_time, fault):
    proxy.faults.extend([fault, "ok", fault, *["ok"] * 20, fault, "ok", fault, "ok", fault])
    where = bucket(proxy.url, timeout=1.0 if fault == "stall" else 30.0)
    assert_right(fetch(where, tmp_path))
    assert not proxy.faults


def test_interrupted_run_is_continued(proxy, tmp_path, few_at_a_time):
    assert_right(fetch(bucket(proxy.url), tmp_path))
    all_bytes, n = proxy.sent, proxy.gets
    proxy.faults.extend(["ok"] * (n // 2))
    proxy.always = "slowdown"
    with pytest.raises(TransferError):
        fetch(bucket(proxy.url, patience=0.5, workers=1), tmp_path)
    (journal,) = tmp_path.glob(".partial-01.hdf5.journal")
    done = [int(line.split()[2]) for line in journal.read_text().splitlines()[1:]]
    assert len(done) > 10
    proxy.always, proxy.sent = "ok", 0
    assert_right(fetch(bucket(proxy.url), tmp_path))
    # Plain HTTP: each range is fetched twice.
    assert proxy.sent <= all_bytes - 2 * sum(done)


def test_what_fails_after_the_fetch_fetches_nothing_again(proxy, tmp_path):
    where = bucket(proxy.url)
    path = tmp_path / "01.hdf5"
    with (
        pytest.raises(ZeroDivisionError),
        fetched_chunks(where, KEY, VOXELS.index, SHAPE, path),
    ):
        raise ZeroDivisionError
    proxy.gets = 0
    with fetched_chunks(where, KEY, VOXELS.index, SHAPE, path) as copy:
        assert_right(read_session(copy, VOXELS, N_TRIALS))
        assert proxy.gets <= 12  # the header, and the way through the index to the first voxel
        with (
            pytest.raises(InputError, match="another process that is fetching it"),
            fetched_chunks(where, KEY, VOXELS.index, SHAPE, path),
        ):
            raise AssertionError(copy)


@pytest.mark.parametrize(
    ("betas", "options", "found"),
    [
        (BETAS, {"chunks": None}, "chunks None"),
        (BETAS, {"chunks": (N_TRIALS, 1, 1, 2)}, r"chunks \(60, 1, 1, 2\)"),
        (BETAS, {"compression": "gzip"}, "1 filters"),
        (BETAS, {"libver": "latest"}, "no such index"),
        (BETAS.astype(np.int32), {}, "int32"),
        (BETAS[0], {"chunks": (16, 1, 1)}, r"shape \(16, 18, 16\)"),
    ],
)
def test_other_layouts_are_refused(server, tmp_path, betas, options, found):
    server.put("other", session(tmp_path, betas, **options))
    with pytest.raises(InputError, match=rf"other: found .*{found}.*nsd\.volumes: whole"):
        fetch(bucket(server.url), tmp_path, "other")


def test_other_contents_are_refused(server, tmp_path):
    where = bucket(server.url)
    server.put("text", b"this is not HDF5" * 1000)
    with pytest.raises(InputError, match="text: found data that do not read"):
        fetch(where, tmp_path, "text")
    other = voxels_of(np.ones((18, 16, 16), bool))
    with pytest.raises(InputError, match=r"volume of \(16, 18, 16\); expected \(18, 16, 16\)"):
        fetch(where, tmp_path, KEY, other)
    with h5py.File(tmp_path / "holes.h5", "w") as file:
        holes = file.create_dataset("betas", BETAS.shape, np.int16, chunks=(N_TRIALS, 1, 1, 1))
        for k, j, i in VOXELS.index[:-3, ::-1]:
            holes[:, k, j, i] = BETAS[:, k, j, i]
    server.put("holes", (tmp_path / "holes.h5").read_bytes())
    with pytest.raises(InputError, match=f"no chunk for 3 of {len(VOXELS)} voxels"):
        fetch(where, tmp_path, "holes")


@pytest.mark.parametrize(
    ("byte", "found"),
    [
        (0, "no node of level 0 at byte"),  # signature
        (4, "no node of level 0 at byte"),  # type
        (5, "no node of level 0 at byte"),
        (6, "no node of level 0 at byte"),  # number of children
        (24, "chunks of other lengths"),
        (28, "chunks of other lengths, or filtered"),
        (32, "chunks outside of the dataset"),  # place of a chunk
        (79, "chunks or nodes outside of the file"),  # a child
    ],
)
def test_damaged_index_is_noticed(tmp_path, monkeypatch, byte, found):
    content = bytearray(session(tmp_path))
    k, j, i = VOXELS.index[0, ::-1].tolist()
    with h5py.File(tmp_path / "session.h5") as file:
        first = file["betas"].id.get_chunk_info_by_coord((0, k, j, i)).byte_offset
    for at in re.finditer(rb"TREE\x01\x00", bytes(content)):
        # HDF5 itself reads the way to the first voxel.
        if struct.pack("<Q", first) not in content[at.start() : at.start() + 3656]:
            content[at.start() + byte] ^= 0x83
    with pytest.raises(InputError, match=f"memory: found {found}"):
        fetch(in_memory(bytes(content), monkeypatch), tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 15), st.integers(1, 15), st.integers(1, 15)),
    st.integers(1, 4),
    st.sampled_from([0, 512]),
    st.sampled_from(["<i2", ">i2"]),
    st.sampled_from(["rows", "columns", "shuffled"]),
    st.sampled_from([1, 8, 9999]),
    st.integers(0, 2**32 - 1),
)
def test_voxels_are_those_of_the_whole_file(
    tmp_path_factory, shape, n_trials, userblock, dtype, order, most, seed
):
    """Whatever the order in which the chunks were written, and however deep the index is."""
    folder = tmp_path_factory.mktemp("chunks")
    chance = np.random.default_rng(seed)
    betas = random_betas(shape, n_trials, seed).astype(dtype)
    places = np.argwhere(np.ones(betas.shape[1:], bool))
    if order == "columns":
        places = places[np.lexsort(places.T)]
    if order == "shuffled":
        chance.shuffle(places)
    with h5py.File(folder / "s.h5", "w", libver="earliest", userblock_size=userblock) as file:
        stored = file.create_dataset("betas", betas.shape, dtype, chunks=(n_trials, 1, 1, 1))
        for k, j, i in places.tolist():
            stored.id.write_direct_chunk((0, k, j, i), betas[:, k, j, i].tobytes())
    mask = chance.random(shape) < chance.random()
    mask[tuple(chance.integers(shape))] = True
    voxels = voxels_of(mask)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(coalesced.__kwdefaults__, "gap", 0)
        monkeypatch.setitem(coalesced.__kwdefaults__, "most", most)
        memory = in_memory((folder / "s.h5").read_bytes(), monkeypatch)
        with fetched_chunks(memory, "key", voxels.index, shape, folder / "c.hdf5") as copy:
            found = read_session(copy, voxels, n_trials)
    np.testing.assert_array_equal(found, betas.T[mask].T)


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 2000), max_size=40),
    st.integers(1, 50),
    st.integers(0, 100),
    st.integers(1, 10),
    st.integers(1, 200),
    st.data(),
)
def test_ranges_hold_all_pieces_and_little_else(starts, length, gap, most, longest, data):
    starts = np.array(sorted(starts), np.int64)
    found = coalesced(starts, length, gap=gap, most=most, longest=longest)
    assert all(part.source == part.target and 0 < part.length <= longest for part in found)
    here = np.zeros(3000, int)
    for part in found:
        here[part.source : part.source + part.length] += 1
    assert here.max() <= 1
    wanted = np.zeros(3000, bool)
    for start in starts:
        wanted[start : start + length] = True
    assert here[wanted].all()
    if len(starts) and longest == 200 and len(starts) < most:
        assert here.sum() - wanted.sum() <= gap * (len(starts) - 1)
    some = data.draw(st.lists(st.sampled_from(found), max_size=20)) if found else []
    fetched = np.zeros(3000, bool)
    for part in some:
        fetched[part.target : part.target + part.length] = True
    expected = [fetched[start : start + length].all() for start in starts]
    assert covered(starts, length, some).tolist() == expected
    assert covered(starts, length, [Part(0, 0, 3000)]).all()
