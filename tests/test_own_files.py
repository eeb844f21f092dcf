"""Files that a person brings: what is found in them, and what is wrong."""

import os

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nsdrecon.data.contract import (
    contract_trials,
    extract_pictures,
    read_captions,
    write_captions,
)
from nsdrecon.data.pictures import pictures
from nsdrecon.data.prepared import Prepared
from nsdrecon.data.single_trials import read_trials_of
from nsdrecon.doctor.dataset import of_all, of_subject
from nsdrecon.doctor.findings import Result, examined
from nsdrecon.errors import InputError
from nsdrecon.store import read_array, read_table
from own_files import AFFINE, N_TRAIN, OwnFiles
from small_nsd import broken_png

DEFAULTS = {"scale": 1, "units": "percent signal change", "tests": []}


@pytest.fixture
def own(tmp_path):
    return OwnFiles(tmp_path / "own")


def reader(own, sessions=(1, 2), **settings):
    return Prepared({**DEFAULTS, **own.write(), **settings}, 1, list(sessions))


def validated(own, **settings):
    """The rows of `validate`."""
    section = {**own.write(), **settings}
    files, found = (section["pictures"], section["captions"]), []
    rows = examined("pictures", of_all, pictures, read_captions, *files, found)
    for shared in found:
        files = Prepared({**DEFAULTS, **section}, 1, [1, 2])
        rows += examined("subj01", of_subject, "subj01", files, *shared, None)
    return rows


def failures(rows):
    return [f"{row.found} {row.remedy}" for row in rows if row.result is Result.FAIL]


def test_what_is_found_is_said(own):
    rows = validated(own)
    assert {row.result for row in rows} == {Result.OK}
    said = "\n".join(row.found for row in rows)
    for text in (
        "38 pictures",
        "38 captions of 38 pictures",
        "train: 30 images in 60 trials (30 shown 2x)",
        "test: 8 images in 16 trials (8 shown 2x)",
        "sessions (trials): 1 (38), 2 (38)",
        "no image is in two splits",
        "all 38 have 16 x 16 pixels",
        "24 voxels of a volume of (6, 5, 4)",
        "0 voxels are not finite, 0 do not vary",
        "session 2: patterns of one image correlate by 0.5",
    ):
        assert text in said
    (ceiling,) = (row.found for row in rows if "noise ceiling" in row.found)
    assert 35 < float(ceiling.split()[-5]) < 65  # signal and noise of variance 1


# What is wrong, and what is said: one error each.


def an_id_without_a_picture(own):
    own.trials.loc[5, "image"] = 999


def a_trial_without_a_beta(own):
    own.betas = own.betas[:-1]


def a_table_that_is_shorter(own):
    own.trials = own.trials[:-2]


def an_image_in_two_splits(own):
    own.trials.loc[(own.trials["image"] == 3).idxmax(), "split"] = "test"


def a_mask_of_another_shape(own):
    own.betas, own.mask = own.volumes(), np.ones((5, 5, 4), dtype=np.int16)


def a_mask_with_other_voxels(own):
    own.mask[0, 0, 0] = 1


def captions_by_position(own):
    own.captions["image"] += 1


def an_image_without_a_caption(own):
    own.captions = own.captions[own.captions["image"] != 7]


def rows_in_another_order(own):
    own.trials.loc[38:, "image"] = np.roll(own.trials.loc[38:, "image"], 1)
    own.trials["split"] = np.where(own.trials["image"] < N_TRAIN, "train", "test")


def a_split_that_does_not_exist(own):
    own.trials.loc[2, "split"] = "validation"


def no_test_trials(own):
    own.trials["split"] = "train"


def sessions_that_are_mixed(own):
    own.trials.loc[0, "session"] = 2


def a_row_without_an_image(own):
    own.trials["image"] = own.trials["image"].astype("Int64")
    own.trials.loc[4, "image"] = pd.NA


def pictures_that_are_not_square(own):
    own.pictures = own.pictures[:, :, :12]


def pictures_in_another_type(own):
    own.pictures = own.pictures.astype(np.float32)


def no_finite_responses(own):
    own.betas[3] = np.nan


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (an_id_without_a_picture, "trials.tsv: found image 999 without a picture"),
        (a_trial_without_a_beta, "betas.npy: found responses of 75 trials; expected 76, a row"),
        (a_table_that_is_shorter, "betas.npy: found responses of 76 trials; expected 74, a row"),
        (an_image_in_two_splits, "found image 3 in the splits train and test"),
        (a_mask_of_another_shape, "found volumes of (6, 5, 4); expected (5, 5, 4) as in"),
        (a_mask_with_other_voxels, "found responses of 24 voxels; expected 25, the voxels of"),
        (captions_by_position, "captions.tsv: found image 38 without a picture"),
        (an_image_without_a_caption, "captions.tsv: found no caption of image 7"),
        (rows_in_another_order, "repeats do not resemble each other Look whether the rows"),
        (a_split_that_does_not_exist, "found split validation; expected train or test"),
        (no_test_trials, "found no trial of split test"),
        (sessions_that_are_mixed, "found a session between trials of another"),
        (a_row_without_an_image, "found no image in row 5; expected one in each"),
        (pictures_that_are_not_square, "found 16 x 12 pixels; expected square pictures"),
        (pictures_in_another_type, "type float32; expected (n, height, width, 3) of type uint8"),
        (no_finite_responses, "found no voxel with finite responses"),
    ],
)
def test_one_clear_error_each(own, damage, message):
    damage(own)
    found = failures(validated(own))
    assert message in found[0]
    # Both sessions have the one wrong order.
    assert len(found) == (2 if damage is rows_in_another_order else 1)


def test_captions_without_ids_are_refused(own, tmp_path):
    np.save(tmp_path / "captions.npy", np.array([["a"], ["b"]]))
    (found,) = failures(validated(own, captions=str(tmp_path / "captions.npy")))
    assert "found an array, of whose rows nothing says to which picture they belong" in found


def test_a_volume_in_another_space_is_refused(own, tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] = 7
    nib.save(nib.Nifti1Image(own.volumes(), moved), tmp_path / "betas.nii.gz")
    (found,) = failures(validated(own, betas=str(tmp_path / "betas.nii.gz")))
    assert "found volumes in another space than the mask (voxels of 2 mm from 7, 0, 0)" in found


def test_voxels_that_are_not_finite_are_left_out_and_said(own):
    own.betas[:, 4] = np.nan
    own.betas[:38, 9] = 1
    (row,) = (row for row in validated(own) if row.result is Result.WARN)
    assert "1 voxels are not finite, 1 do not vary in some session and are left out" in row.found


@pytest.mark.parametrize("form", ["nii", "nii.gz", "npy", "h5", "masked.h5"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_responses_are_the_same_in_every_format(own, tmp_path, form, dtype):
    own.betas = np.rint(own.betas * 10)
    voxels = reader(own).voxels()
    volumes, path = own.volumes().astype(dtype), tmp_path / f"betas.{form}"
    if "nii" in form:
        nib.save(nib.Nifti1Image(volumes, AFFINE), path)
    elif form == "npy":
        np.save(path, volumes)
    else:
        with h5py.File(path, "w") as file:
            file["betas"] = own.betas.astype(dtype) if form == "masked.h5" else volumes
    found = read_trials_of(path, voxels, len(own.betas), slice(4, 30))
    np.testing.assert_array_equal(found, own.betas[4:30])
    assert found.dtype == (np.int16 if dtype == np.int16 else np.float32)


@pytest.mark.parametrize("place", [-8, -3])
def test_a_damaged_end_of_compressed_responses_is_noticed(own, tmp_path, place):
    """Checksum and length, which follow the trials that are read and all others."""
    voxels, path = reader(own).voxels(), tmp_path / "betas.nii.gz"
    nib.save(nib.Nifti1Image(own.volumes(), AFFINE), path)
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"betas\.nii\.gz: found data that do not read"):
        read_trials_of(path, voxels, len(own.betas), slice(0, 3))


def test_volumes_that_end_early_are_noticed(own, tmp_path):
    """Whichever trials are read."""
    voxels, path = reader(own).voxels(), tmp_path / "betas.nii"
    nib.save(nib.Nifti1Image(own.volumes(), AFFINE), path)
    size = path.stat().st_size
    os.truncate(path, size - 1)
    said = rf"betas\.nii: found {size - 1} bytes; expected {size} by its header"
    with pytest.raises(InputError, match=said):
        read_trials_of(path, voxels, len(own.betas), slice(0, 3))


def test_a_table_in_another_encoding_is_named(tmp_path):
    (tmp_path / "captions.tsv").write_bytes("image\tcaption\n1\tcafé\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"captions\.tsv: found .*; expected a table in UTF-8\.$"):
        read_table(tmp_path / "captions.tsv")


def test_files_by_session_are_those_of_one_file(own):
    one = reader(own)
    own.trials.loc[own.trials["session"] == 1].to_csv(own.folder / "1.tsv", sep="\t", index=False)
    second = own.trials.loc[own.trials["session"] == 2]
    second.drop(columns="session").to_csv(own.folder / "2.tsv", sep="\t", index=False)
    for session, rows in own.trials.groupby("session").groups.items():
        np.save(own.folder / f"betas_{session:02d}.npy", own.betas[rows])
    pattern = {"trials": "/{session}.tsv", "betas": "/betas_{session:02d}.npy"}
    several = reader(own, **{role: f"{own.folder}{text}" for role, text in pattern.items()})
    trials, voxels = one.trials(), one.voxels()
    pd.testing.assert_frame_equal(several.trials(), trials)
    for session in (1, 2):
        expected = one.betas(session, trials, voxels)
        np.testing.assert_array_equal(several.betas(session, trials, voxels), expected)


def test_some_sessions_alone(own):
    found = reader(own, sessions=[2])
    table = contract_trials(found, pictures(own.folder / "pictures.h5"))
    assert set(table["session"]) == {2}
    assert table["trial"].tolist() == list(range(38, 76))
    assert set(table["repeat"]) == {1}
    # Images of sessions that are not used need no picture.
    own.trials.loc[:37, "image"] = 999
    own.write()
    other = contract_trials(reader(own, sessions=[2]), pictures(own.folder / "pictures.h5"))
    pd.testing.assert_frame_equal(other, table)
    responses = found.betas(2, found.trials(), found.voxels())
    np.testing.assert_array_equal(responses, own.betas[38:])
    with pytest.raises(InputError, match="no trial of session 3"):
        reader(own, sessions=[2, 3]).trials()


def test_some_sessions_of_one_file_of_betas_with_a_table_for_each(own):
    tables = str(own.folder / "{session}.tsv")
    found = reader(own, sessions=[2], trials=tables)
    for session, rows in own.trials.groupby("session"):
        rows.to_csv(own.folder / f"{session}.tsv", sep="\t", index=False)
    assert set(contract_trials(found, pictures(own.folder / "pictures.h5"))["session"]) == {2}
    responses = found.betas(2, found.trials(), found.voxels())
    np.testing.assert_array_equal(responses, own.betas[38:])
    own.trials.loc[60:, "image"] = 999
    own.trials[38:].to_csv(own.folder / "2.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=r"\{session\}\.tsv: found image 999 without a picture"):
        contract_trials(found, pictures(own.folder / "pictures.h5"))


@pytest.fixture
def folder(tmp_path):
    """Five pictures as files, in no order, with something else beside them."""
    rng = np.random.default_rng(1)
    (tmp_path / "pictures").mkdir()
    images = {name: rng.integers(0, 256, (9, 9, 3), dtype=np.uint8) for name in "dbeca"}
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / f"pictures/{name}.png")
    (tmp_path / "pictures/notes.txt").write_text("mine")
    return tmp_path / "pictures", images


def test_pictures_of_a_folder_are_found_by_name(folder, tmp_path):
    path, images = folder
    found = pictures(path)
    ids = found.ids(pd.Series(["c.png", "a.png", "c.png"]), "table")
    assert ids.tolist() == [2, 0, 2]
    assert found.name(2) == "c.png"
    extract_pictures(found, np.array([0, 2]), tmp_path / "out.h5")
    expected = [images["a"], images["c"]]
    np.testing.assert_array_equal(read_array(tmp_path / "out.h5", "images"), expected)
    with pytest.raises(InputError, match=r"table: found image x\.png without a picture"):
        found.ids(pd.Series(["x.png"]), "table")


def test_pictures_of_a_folder_that_cannot_be_used(folder):
    path, _ = folder
    (path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.png: found a picture that does not read"):
        pictures(path).shape(np.array([0]))
    (path / "a.png").write_bytes(broken_png())
    with pytest.raises(InputError, match=r"a\.png: found a picture that does not read \(broken"):
        pictures(path).read(np.array([0]))
    Image.new("RGB", (8, 8)).save(path / "a.png")
    with pytest.raises(InputError, match=r"b\.png: found 9 x 9 pixels; expected 8 x 8 as in"):
        pictures(path).shape(np.array([0, 1]))
    with pytest.raises(InputError, match="found no picture"):
        pictures(path.parent)


def test_captions_are_found_by_what_they_call_the_image(folder, tmp_path):
    found = pictures(folder[0])
    table = pd.DataFrame(
        [["e.png", " two  words "], ["a.png", "first"], ["a.png", "second"], ["b.png", ""]],
        columns=["image", "caption"],
    )
    table.to_csv(tmp_path / "captions.tsv", sep="\t", index=False)
    captions = read_captions(tmp_path / "captions.tsv", found)
    assert captions == {4: ["two words"], 0: ["first", "second"]}
    write_captions(captions, found.n, tmp_path / "captions.npy")
    array = np.load(tmp_path / "captions.npy")
    expected = [["first", "second"], ["", ""], ["", ""], ["", ""], ["two words", ""]]
    assert array.tolist() == expected
