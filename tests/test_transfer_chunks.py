"""The voxels of a mask out of a session's remote HDF5 file."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckets import bucket, in_memory
from nsdrecon.data.remote_sessions import read_remote_session
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.transfer.chunks import coalesced, read_voxels
from nsdrecon.transfer.s3 import Bucket
from nsdrecon.transfer.sources import NoRanges
from s3_server import FaultProxy, S3Server, make_certificate, shared_server

pytestmark = pytest.mark.usefixtures("quick")

KEY = "nsddata_betas/session.hdf5"
N_TRIALS, SHAPE = 60, (16, 18, 16)


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    server = shared_server()
    server.put(KEY, session(tmp_path_factory.mktemp("session")), part_size=1 << 17)
    return server


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched that is not wanted: a small file is otherwise one range."""
    monkeypatch.setitem(coalesced.__kwdefaults__, "gap", 3000)


def fetch(bucket: Bucket, key: str = KEY, voxels: Voxels = VOXELS) -> np.ndarray:
    return read_voxels(bucket, key, voxels.index, voxels.shape, N_TRIALS)


def assert_right(found: np.ndarray) -> None:
    np.testing.assert_array_equal(found, BETAS.T[MASK].T)


def test_only_a_share_of_the_bytes_travels_over_tls(server, tmp_path, monkeypatch, few_at_a_time):
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with FaultProxy(server.port, certificate) as proxy:
        assert_right(fetch(bucket(proxy.url)))
        wanted = len(VOXELS) * N_TRIALS * 2
        assert wanted < proxy.sent < 0.5 * BETAS.nbytes


def test_faults_do_not_show(proxy, few_at_a_time):
    proxy.faults.extend(["cut", "ok", "short", "reset", "slowdown", "long", *["ok"] * 3, "cut"])
    proxy.faults.extend(["short", "ok", "slowdown", "long", "reset"])
    assert_right(fetch(bucket(proxy.url)))
    assert not proxy.faults


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"chunks": None}, "chunks None"),
        ({"chunks": (N_TRIALS, 1, 1, 2)}, r"chunks \(60, 1, 1, 2\)"),
        ({"compression": "gzip"}, r"chunks \(60, 1, 1, 1\), 1 filters"),
        ({"libver": "latest"}, "no such index"),
    ],
)
def test_of_other_layouts_the_whole_volume_is_read(server, tmp_path, caplog, options, found):
    server.put("other.hdf5", session(tmp_path, **options))
    with pytest.raises(NoRanges, match=rf"other\.hdf5: found {found}"):
        fetch(bucket(server.url), "other.hdf5")
    betas = read_remote_session(bucket(server.url), "other.hdf5", VOXELS, N_TRIALS, tmp_path / "s")
    assert_right(betas)
    assert re.search(f"{found}.*The whole volume is fetched", caplog.text)
    assert list((tmp_path / "s").iterdir()) == []


def test_where_the_file_has_no_chunk_the_whole_volume_has_zeros(server, tmp_path):
    with h5py.File(tmp_path / "holes.hdf5", "w") as file:
        holes = file.create_dataset("betas", BETAS.shape, np.int16, chunks=(N_TRIALS, 1, 1, 1))
        for k, j, i in VOXELS.index[:-3, ::-1]:
            holes[:, k, j, i] = BETAS[:, k, j, i]
    server.put("holes.hdf5", (tmp_path / "holes.hdf5").read_bytes())
    with pytest.raises(NoRanges, match=f"no chunk for 3 of {len(VOXELS)} voxels"):
        fetch(bucket(server.url), "holes.hdf5")
    betas = read_remote_session(bucket(server.url), "holes.hdf5", VOXELS, N_TRIALS, tmp_path / "s")
    expected = BETAS.T[MASK].T.copy()
    expected[:, -3:] = 0
    np.testing.assert_array_equal(betas, expected)


@pytest.mark.parametrize("refusal", [None, (400, {}, b""), (501, {}, b"")])
def test_of_servers_without_ranges_the_whole_volume_is_read(proxy, tmp_path, caplog, refusal):
    proxy.refuses_ranges, proxy.ignores_ranges = refusal, refusal is None
    proxy.faults.extend(["ok", "cut"])
    assert_right(read_remote_session(bucket(proxy.url), KEY, VOXELS, N_TRIALS, tmp_path))
    assert "The whole volume is fetched" in caplog.text
    assert "It is fetched in one piece" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_damaged_or_denied_files_are_errors_whichever_way(server, proxy, tmp_path, caplog):
    where, other = bucket(server.url), voxels_of(np.ones((18, 16, 16), bool))
    server.put("text", b"this is not HDF5" * 1000)
    server.put("floats", session(tmp_path, BETAS.astype(np.float32)))
    server.put("short", session(tmp_path)[:-40_000])
    for key, voxels, n_trials, found in [
        ("text", VOXELS, N_TRIALS, "text: found data that do not read"),
        ("short", VOXELS, N_TRIALS, "short: found data that do not read"),
        ("floats", VOXELS, N_TRIALS, "floats: found float32"),
        (KEY, other, N_TRIALS, r"found int16 of shape \(60, 16, 18, 16\); expected .*16, 16, 18\)"),
        (
            KEY,
            VOXELS,
            59,
            r"found int16 of shape \(60, 16, 18, 16\); expected int16 of shape \(59,",
        ),
        ("absent", VOXELS, N_TRIALS, "absent: found NoSuchKey"),
    ]:
        with pytest.raises(InputError, match=found):
            read_remote_session(where, key, voxels, n_trials, tmp_path / "s")
    proxy.answer = (403, {}, b"")
    with pytest.raises(InputError, match="HTTP 403"):
        read_remote_session(bucket(proxy.url), KEY, VOXELS, N_TRIALS, tmp_path / "s")
    assert "The whole volume" not in caplog.text


def test_voxel_that_hdf5_reads_otherwise_is_noticed(tmp_path, monkeypatch):
    """The index is read by this module; HDF5 reads one voxel, and both must agree."""
    content = session(tmp_path)
    k, j, i = VOXELS.index[0, ::-1].tolist()
    with h5py.File(tmp_path / "session.h5") as file:
        first = file["betas"].id.get_chunk_info_by_coord((0, k, j, i)).byte_offset
    memory = in_memory(content)
    remote, times = memory.describe(KEY), []
    read = remote.read

    def other_the_second_time(start: int, length: int) -> Iterator[bytes]:
        data = bytearray(b"".join(read(start, length)))
        if start <= first < start + length:
            times.append(start)
            data[first - start] ^= len(times) > 1
        yield bytes(data)

    assert_right(fetch(memory))
    monkeypatch.setattr(remote, "read", other_the_second_time)
    with pytest.raises(NoRanges, match=r"other numbers for voxel \[.*\] than HDF5 reads"):
        fetch(memory)
    assert len(times) > 1


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
def test_damaged_index_is_noticed(tmp_path, byte, found):
    content = bytearray(session(tmp_path))
    k, j, i = VOXELS.index[0, ::-1].tolist()
    with h5py.File(tmp_path / "session.h5") as file:
        first = file["betas"].id.get_chunk_info_by_coord((0, k, j, i)).byte_offset
    for at in re.finditer(rb"TREE\x01\x00", bytes(content)):
        # HDF5 itself reads the way to the first voxel.
        if struct.pack("<Q", first) not in content[at.start() : at.start() + 3656]:
            content[at.start() + byte] ^= 0x83
    with pytest.raises(NoRanges, match=f"memory: found {found}"):
        fetch(in_memory(bytes(content)))


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
        memory = in_memory((folder / "s.h5").read_bytes())
        found = read_voxels(memory, "key", voxels.index, shape, n_trials)
    np.testing.assert_array_equal(found, betas.T[mask].T)


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 2000), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(0, 100),
    st.integers(1, 10),
    st.integers(1, 200),
)
def test_ranges_hold_all_pieces_and_little_else(starts, length, gap, most, longest):
    starts = np.array(sorted(starts), np.int64)
    found = coalesced(starts, length, gap=gap, most=most, longest=longest)
    assert all(0 < part.length <= longest for part in found)
    ends = np.cumsum([part.length for part in found])
    assert [part.target for part in found] == [0, *ends[:-1]]
    here = np.zeros(3000, int)
    for part in found:
        here[part.source : part.source + part.length] += 1
    assert here.max() <= 1
    wanted = np.zeros(3000, bool)
    for start in starts:
        wanted[start : start + length] = True
    assert here[wanted].all()
    if longest == 200 and len(starts) < most:
        assert here.sum() - wanted.sum() <= gap * (len(starts) - 1)
