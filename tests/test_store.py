import os
import stat

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flipped_bytes import flip_a_byte
from nsdrecon import store
from nsdrecon.errors import InputError
from nsdrecon.whole_files import whole_file

ids = st.lists(st.integers(0, 50), unique=True, max_size=12)


def rows_for(nsd_id):
    """An array that tells which id each row belongs to."""
    nsd_id = np.asarray(nsd_id, dtype=np.int64)
    return np.stack([nsd_id, nsd_id**2], axis=1).astype(np.float32).reshape(-1, 2)


@given(ids, st.data())
@settings(max_examples=40, deadline=None)
def test_rows_are_read_where_they_are_indexed(tmp_path_factory, nsd_id, data):
    path = tmp_path_factory.mktemp("rows") / "a.h5"
    store.write_arrays(path, np.array(nsd_id, dtype=np.int64), {"values": rows_for(nsd_id)})
    wanted = data.draw(st.lists(st.sampled_from(nsd_id), unique=True) if nsd_id else st.just([]))
    expected = rows_for(wanted)
    with store.open_rows(path, "values", np.array(wanted, dtype=np.int64)) as rows:
        assert (len(rows), rows.shape, rows.dtype) == (len(wanted), expected.shape, np.float32)
        np.testing.assert_array_equal(np.asarray(rows), expected)
        np.testing.assert_array_equal(rows[1:3], expected[1:3])
        assert [row.tolist() for row in rows] == expected.tolist()


def test_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.tsv"
    with whole_file(path) as partial:
        assert partial.name.endswith("a.tsv")
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.tsv"]


def test_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.h5"
    store.write_arrays(path, np.array([1]), {"x": np.zeros(1)})
    before = path.read_bytes()
    with pytest.raises(KeyError), store.create_h5(path) as file:
        file.create_dataset("x", data=np.ones(5)).attrs["absent"]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_file_has_the_permissions_of_the_umask(tmp_path):
    path = tmp_path / "a.txt"
    mask = os.umask(0o027)
    try:
        with whole_file(path) as partial:
            partial.write_text("x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@given(ids, st.data())
@settings(max_examples=60, deadline=None)
def test_rows_are_found_by_id(tmp_path_factory, nsd_id, data):
    path = tmp_path_factory.mktemp("store") / "a.h5"
    wanted = data.draw(st.lists(st.sampled_from(nsd_id), max_size=20)) if nsd_id else []
    stored = np.array(nsd_id, dtype=np.int32)
    store.write_arrays(path, stored, {"x": rows_for(nsd_id)}, {"feature": "test"})
    got = store.read_array(path, "x", np.array(wanted, dtype=np.int64))
    np.testing.assert_array_equal(got, rows_for(wanted))
    np.testing.assert_array_equal(store.read_array(path, "x"), rows_for(nsd_id))
    np.testing.assert_array_equal(store.read_ids(path), nsd_id)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    """At every 53rd byte of a file: in its arrays, its structure and its attributes."""
    path = tmp_path / "a.h5"
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal((9, 5)), "images": rng.integers(0, 9, (9, 1, 6, 6, 3))}
    about = {"subject": "subj01", "shape": (5,)}
    store.write_arrays(path, np.arange(9), arrays, about)
    whole = path.read_bytes()
    noticed = []
    for position in range(0, len(whole), 53):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            with store.open_h5(path) as file:
                for name, values in arrays.items():
                    np.testing.assert_array_equal(file[name][()], values)
                np.testing.assert_array_equal(file["nsd_id"][()], np.arange(9))
                assert file.attrs["subject"] == "subj01"
        except InputError as error:
            noticed.append(str(error))
    assert len(noticed) > len(whole) / 53 / 2
    assert all(f"{path}: found" in text and "Remove it" in text for text in noticed)


def test_of_two_open_files_the_damaged_one_is_named(tmp_path):
    good, bad = tmp_path / "good.h5", tmp_path / "bad.h5"
    for path in (good, bad):
        store.write_arrays(path, np.arange(3), {"x": np.ones((3, 4))})
    flip_a_byte(bad, "x")
    for outer, inner in ((good, bad), (bad, good)):
        with (
            pytest.raises(InputError, match=r"bad\.h5: found data that do not read"),
            store.open_h5(outer),
            store.open_h5(inner),
            store.open_h5(bad) as file,
        ):
            file["x"][()]
    with pytest.raises(ZeroDivisionError), store.open_h5(good):
        1 / 0  # noqa: B018


def test_what_a_file_does_not_have_is_named(tmp_path):
    path = tmp_path / "a.h5"
    store.write_arrays(path, np.arange(3), {})
    with (
        pytest.raises(InputError, match=f"{path}.*attribute: 'shape'"),
        store.open_h5(path) as file,
    ):
        file.attrs["shape"]


def test_reading_some_rows_reads_no_others(tmp_path):
    """A shard of a file much larger than the memory can be read."""
    path = tmp_path / "large.h5"
    with store.create_h5(path) as file:
        file["nsd_id"] = np.arange(10**6)
        # Never written: a hole of 4 TB, of which two rows have content.
        large = file.create_dataset("images", (10**6, 10**6), dtype=np.float32, chunks=(1, 1000))
        large[7, :3] = 7
        large[999_999, :3] = 9
    got = store.read_array(path, "images", np.array([999_999, 7]))
    assert got.shape == (2, 10**6)
    np.testing.assert_array_equal(got[:, :4], [[9, 9, 9, 0], [7, 7, 7, 0]])


@pytest.mark.parametrize(
    ("nsd_id", "message"),
    [
        ([3, 5, 3], "double nsd_id 3"),
        ([3, -1], "nsd_id -1"),
        ([0.5, 1.5], "float64"),
        ([[1, 2]], r"shape \(1, 2\)"),
    ],
)
def test_bad_ids(tmp_path, nsd_id, message):
    path = tmp_path / "a.h5"
    with pytest.raises(InputError, match=message):
        store.write_arrays(path, np.array(nsd_id), {"x": np.zeros(len(nsd_id))})
    assert not path.exists()


def test_missing_ids_are_named(tmp_path):
    path = tmp_path / "a.h5"
    store.write_arrays(path, np.array([4, 2]), {"x": np.zeros(2)})
    with pytest.raises(InputError, match=r"a\.h5: found no row for nsd_id 3, 9; expected rows"):
        store.read_array(path, "x", np.array([2, 3, 9]))
    store.write_arrays(path, np.array([], dtype=int), {"x": np.zeros(0)})
    with pytest.raises(InputError, match="no row for nsd_id 2"):
        store.read_array(path, "x", np.array([2]))


def test_rows_must_match_ids(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(InputError, match="3 rows of 'x'; expected 2 rows"):
        store.write_arrays(path, np.array([1, 2]), {"x": np.zeros(3)})
    with store.create_h5(path) as file:
        file["nsd_id"] = [1, 2]
        file["x"] = np.zeros(3)
    with pytest.raises(InputError, match="3 rows of 'x'; expected 2"):
        store.read_array(path, "x")


def test_absent_array_is_an_error_that_lists_what_is_there(tmp_path):
    path = tmp_path / "a.h5"
    store.write_arrays(path, np.array([1]), {"x": np.zeros(1)})
    with pytest.raises(InputError, match="datasets nsd_id, x; expected a dataset 'y'"):
        store.read_array(path, "y")


@pytest.mark.parametrize("kind", ["link", "link to a link", "raw", "virtual"])
def test_data_in_another_file_are_not_read(tmp_path, kind):
    other, path = tmp_path / "other.h5", tmp_path / "a.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.arange(8, dtype=np.uint8)
    with h5py.File(path, "w") as file:
        if kind == "link":
            file["x"] = h5py.ExternalLink("other.h5", "x")
        elif kind == "link to a link":
            file["y"] = h5py.ExternalLink("other.h5", "x")
            file["x"] = h5py.SoftLink("/y")
        elif kind == "raw":
            file.create_dataset("x", (8,), np.uint8, external=[(str(other), 0, 8)])
        else:
            layout = h5py.VirtualLayout((8,), np.uint8)
            layout[:] = h5py.VirtualSource(other, "x", (8,))
            file.create_virtual_dataset("x", layout)
    with h5py.File(path) as file:
        assert file["x"].shape == (8,)
        with pytest.raises(InputError, match=r"a\.h5: found 'x' with its data in another file"):
            store.dataset(file, "x")


@pytest.mark.parametrize("keep", [0, 0.3, 0.9, 0.999])
def test_truncated_file(tmp_path, keep):
    path = tmp_path / "a.h5"
    store.write_arrays(path, np.arange(500), {"x": np.arange(500)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError, match=r"a\.h5: found \d+ bytes that do not open"):
        store.read_array(path, "x")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"a\.h5: found no file"):
        store.read_ids(tmp_path / "a.h5")


@given(ids.filter(len), st.data())
@settings(max_examples=60, deadline=None)
def test_merged_shards_are_the_whole(tmp_path_factory, nsd_id, data):
    folder = tmp_path_factory.mktemp("store")
    shard = np.array([data.draw(st.integers(0, 2)) for _ in nsd_id])
    block = data.draw(st.sampled_from([1, 20, 10**6]))
    paths = []
    for number in range(3):
        part = np.array(nsd_id, dtype=np.int64)[shard == number]
        paths.append(folder / f"{number}.h5")
        store.write_arrays(paths[-1], part, {"x": rows_for(part), "y": part}, {"shape": (2,)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_COPY_BYTES", block)
        store.merge_h5(paths, folder / "merged.h5", ["x", "y"])
    np.testing.assert_array_equal(store.read_ids(folder / "merged.h5"), sorted(nsd_id))
    x = store.read_array(folder / "merged.h5", "x")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, rows_for(sorted(nsd_id)))
    np.testing.assert_array_equal(store.read_array(folder / "merged.h5", "y"), sorted(nsd_id))
    with h5py.File(folder / "merged.h5") as file:
        assert list(file.attrs["shape"]) == [2]


def test_merge_gives_the_same_bytes_for_any_sharding(tmp_path):
    nsd_id = np.arange(0, 40, 2)
    merged = []
    for n_shards in (1, 3, 7):
        paths = []
        for number in range(n_shards):
            part = store.shard_ids(nsd_id, number, n_shards)
            paths.append(tmp_path / f"{n_shards}-{number}.h5")
            store.write_arrays(paths[-1], part, {"x": rows_for(part)}, {"feature": "test"})
        store.merge_h5(paths, tmp_path / f"{n_shards}.h5", ["x"])
        merged.append((tmp_path / f"{n_shards}.h5").read_bytes())
    assert merged[0] == merged[1] == merged[2]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"nsd_id": [2, 3]}, "double nsd_id 2"),
        ({"attributes": {"feature": "b"}}, "attribute 'feature' = 'b'; expected 'a' as in"),
        ({"attributes": {}}, "attribute 'feature' = None; expected 'a'"),
        ({"attributes": {"feature": "a", "seed": 1}}, "attribute 'seed' = .*; expected None"),
        ({"x": np.zeros((2, 3), np.float32)}, r"shape \(3,\)"),
        ({"x": np.zeros((2, 2), np.float16)}, "type float16; expected .* type float32"),
    ],
)
def test_shards_that_do_not_belong_together(tmp_path, other, message):
    default = {
        "nsd_id": [3, 4],
        "x": np.zeros((2, 2), np.float32),
        "attributes": {"feature": "a"},
    }
    paths = [tmp_path / "1.h5", tmp_path / "2.h5"]
    for path, values in zip(
        paths, [{**default, "nsd_id": [1, 2]}, {**default, **other}], strict=True
    ):
        store.write_arrays(
            path, np.array(values["nsd_id"]), {"x": values["x"]}, values["attributes"]
        )
    with pytest.raises(InputError, match=message):
        store.merge_h5(paths, tmp_path / "merged.h5", ["x"])
    assert not (tmp_path / "merged.h5").exists()


@given(ids, st.integers(1, 9))
def test_shards_share_out_the_ids(nsd_id, n_shards):
    shards = [store.shard_ids(np.array(nsd_id, dtype=int), k, n_shards) for k in range(n_shards)]
    assert np.concatenate(shards).tolist() == sorted(nsd_id)
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_table_round_trip(tmp_path):
    table = pd.DataFrame({"subject": ["subj01", "subj02"], "score": [0.123456789123, np.nan]})
    store.write_table(tmp_path / "a.tsv", table)
    back = store.read_table(tmp_path / "a.tsv", ["subject", "score"])
    pd.testing.assert_frame_equal(back, table, rtol=1e-8)


def test_bad_tables(tmp_path):
    path = tmp_path / "a.tsv"
    with pytest.raises(InputError, match="no file"):
        store.read_table(path)
    path.write_text("")
    with pytest.raises(InputError, match="does not parse"):
        store.read_table(path)
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="does not parse"):
        store.read_table(path)
    path.write_text("subject\tscore\n1\t2\n")
    with pytest.raises(InputError, match="columns subject, score; expected also nsd_id"):
        store.read_table(path, ["nsd_id"])
