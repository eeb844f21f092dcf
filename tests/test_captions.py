import json

import numpy as np
import pandas as pd
import pytest

from nsdrecon.data.captions import captions_from_coco, captions_of
from nsdrecon.errors import InputError
from small_nsd import truncate

CAPTIONS = np.array(
    [
        ["a cat", "a grey cat", ""],
        ["", "", "a dog"],
        ["a bus", " ", "a red bus"],
        ["", "", ""],
    ]
)


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "captions.npy", CAPTIONS)
    return tmp_path / "captions.npy"


def test_captions_in_the_order_of_the_ids(path):
    got = captions_of(path, np.array([2, 0, 1, 2]), 4)
    bus = ["a bus", "a red bus"]
    assert got == [bus, ["a cat", "a grey cat"], ["a dog"], bus]
    assert all(type(text) is str for texts in got for text in texts)
    assert captions_of(path, np.array([], dtype=int), 4) == []


def test_array_of_another_length(path):
    with pytest.raises(
        InputError, match="captions of 4 images; expected 73000, one row a stimulus"
    ):
        captions_of(path, np.array([0]), 73_000)


@pytest.mark.parametrize("nsd_id", [4, -1])
def test_id_outside(path, nsd_id):
    with pytest.raises(InputError, match=f"no row for nsd_id {nsd_id}; expected ids below 4"):
        captions_of(path, np.array([0, nsd_id]), 4)


def test_image_without_a_caption(path):
    with pytest.raises(InputError, match=r"captions\.npy: found no caption for nsd_id 3"):
        captions_of(path, np.array([0, 3]), 4)


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_truncated_array(path, share):
    truncate(path, share)
    with pytest.raises(InputError, match=r"captions\.npy: found data that do not load"):
        captions_of(path, np.array([0]), 4)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 3)), CAPTIONS[:, 0], CAPTIONS.astype(object), CAPTIONS.astype("S")]
)
def test_array_of_another_kind(tmp_path, array):
    np.save(tmp_path / "captions.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"captions\.npy"):
        captions_of(tmp_path / "captions.npy", np.array([0]), 4)


def test_archive_instead_of_an_array(tmp_path):
    with (tmp_path / "captions.npy").open("wb") as stream:
        np.savez(stream, captions=CAPTIONS)
    with pytest.raises(InputError, match="archive"):
        captions_of(tmp_path / "captions.npy", np.array([0]), 4)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no file"):
        captions_of(tmp_path / "captions.npy", np.array([0]), 4)


STIMULI = pd.DataFrame(
    {
        "nsd_id": [0, 1, 2],
        "coco_id": [7, 7, 9],  # ids are unique within a split of COCO only
        "coco_split": ["train2017", "val2017", "train2017"],
    }
)


def coco_json(path, *entries):
    keys = ("id", "image_id", "caption")
    annotations = [dict(zip(keys, entry, strict=True)) for entry in entries]
    path.write_text(json.dumps({"info": {}, "annotations": annotations}))
    return path


@pytest.fixture
def annotations(tmp_path):
    train = coco_json(
        tmp_path / "captions_train2017.json",
        (30, 7, "third"),
        (10, 7, " first\n caption. "),
        (20, 7, "second"),
        (1, 9, "ninth é"),
        (2, 9, "  "),
        *[(100 + k, 8, "of an image that is no stimulus") for k in range(9)],
    )
    val = coco_json(
        tmp_path / "captions_val2017.json", *[(k, 7, f"val {k}") for k in (6, 5, 4, 3, 2, 1)]
    )
    return {"train2017": train, "val2017": val}


def test_captions_from_coco(tmp_path, annotations):
    captions_from_coco(STIMULI, annotations, tmp_path / "captions.npy")
    table = np.load(tmp_path / "captions.npy", allow_pickle=False)
    assert table.dtype.kind == "U"
    assert table.tolist() == [
        ["first caption.", "second", "third", "", ""],
        ["val 1", "val 2", "val 3", "val 4", "val 5"],
        ["ninth é", "", "", "", ""],
    ]
    got = captions_of(tmp_path / "captions.npy", np.array([2, 0]), 3)
    assert got == [["ninth é"], ["first caption.", "second", "third"]]


def test_image_that_coco_lacks(tmp_path, annotations):
    stimuli = STIMULI.assign(coco_id=[7, 7, 10])
    with pytest.raises(InputError, match=r"captions_train2017\.json: found no caption of image 10"):
        captions_from_coco(stimuli, annotations, tmp_path / "captions.npy")
    assert not (tmp_path / "captions.npy").exists()


def test_split_that_is_not_given(tmp_path, annotations):
    del annotations["val2017"]
    with pytest.raises(InputError, match="expected also val2017"):
        captions_from_coco(STIMULI, annotations, tmp_path / "captions.npy")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"annotations": [{"id": 1}]}', '{"annotations": 3}']
)
def test_files_that_are_not_of_coco(tmp_path, annotations, text):
    annotations["val2017"].write_text(text)
    with pytest.raises(InputError, match=r"captions_val2017\.json: found data of another form"):
        captions_from_coco(STIMULI, annotations, tmp_path / "captions.npy")
