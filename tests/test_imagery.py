"""NSD-Imagery and NSD-synthetic: trials, pictures and responses in NSD's layout."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nsdrecon import layout
from nsdrecon.data.betas import average_apart
from nsdrecon.data.further_tests import SIZE, extract_further_pictures, further_trials
from nsdrecon.data.session_files import extract_session, store_session
from nsdrecon.data.volumes import Voxels
from nsdrecon.datasets import data_files
from nsdrecon.datasets.nsd import NSDFiles
from nsdrecon.errors import InputError
from nsdrecon.run import Run
from nsdrecon.store import create_h5, read_array
from nsdsim.config import SimulationConfig
from nsdsim.further_tests import write_further_tests
from settings_in_process import REGISTRY, settings_of
from small_nsd import AFFINE, broken_png, write_betas_hdf5, write_volume

SUBJECT = "subj01"
N_BETAS = 720
RUN_STARTS = {"visA": 0, "attA": 48, "imgA_1": 144, "visB": 192, "visC": 384, "imgC_2": 672}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with both experiments as the simulation writes them. Not to be changed."""
    folder = tmp_path_factory.mktemp("further")
    config = SimulationConfig(
        n_sessions=2, trials_per_session=40, n_shared=12, n_unique=30, n_unseen=0
    )
    size = (config.n_stimuli, 30, 30, 3)
    images = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    with h5py.File(folder / "stimuli.hdf5", "w") as file:
        file["imgBrick"] = images
    write_further_tests(folder, config, [SUBJECT], folder / "stimuli.hdf5")
    return folder


def tables(folder):
    return [folder / key for key in layout.further_tables(SUBJECT, "imagery")]


def test_betas_of_imagery_are_those_of_its_runs(files):
    trials = further_trials("imagery", tables(files))
    assert trials["trial"].tolist() == list(range(N_BETAS))
    counts = trials[trials["split"] != ""].groupby(["split", "nsd_id"]).size().unstack("nsd_id")
    assert counts.shape == (3, 12)
    assert counts.loc["test-vision"].eq(8).all()
    assert counts.loc["test-attention"].eq(8).all()
    assert counts.loc["test-imagery"].eq(16).all()
    letters = [letter for of_set in layout.TARGETS.values() for letter in of_set]
    for run, start in RUN_STARTS.items():
        path = tables(files)[layout.IMAGERY_RUNS.index(run)]
        table = pd.read_csv(path, sep="\t", keep_default_na=False)
        step = 2 if run.startswith("att") else 1
        found = trials["nsd_id"][start : start + 48 * step : step].tolist()
        if run[3] == "C":
            assert set(found) == {-1}
            continue
        # A picture is shown with another's letter in some trials of vision: seen is the picture.
        shown = table["CONDITION" if run.startswith("vis") else "CUE"]
        assert found == [1_000_000 + letters.index(letter) for letter in shown]
    series = trials["nsd_id"][49:144:2]
    assert set(series) == {-1}


def test_colours_of_synthetic_are_left_out(files):
    trials = further_trials("synthetic", [files / layout.SYNTHETIC_DESIGN])
    used = trials[trials["split"] == "test-synthetic"]
    assert sorted(set(used["nsd_id"])) == [2_000_000 + row for row in range(8)]
    assert set(trials.loc[trials["split"] == "", "nsd_id"]) == {-1}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda table: table.drop(columns="CUE"), "also CUE"),
        (lambda table: table[:47], "47 trials that are not 1 to 48"),
        (
            lambda table: table.assign(CONDITION="W"),
            "target W: expected those of set A|found targe",
        ),
    ],
)
def test_a_table_of_another_layout_is_refused(files, tmp_path, change, found):
    first, *others = tables(files)
    changed = tmp_path / first.name
    change(pd.read_csv(first, sep="\t", keep_default_na=False)).to_csv(
        changed, sep="\t", index=False
    )
    with pytest.raises(InputError, match=f"{re.escape(str(changed))}.*({found})"):
        further_trials("imagery", [changed, *others])


def test_betas_of_other_trials_are_refused(files, tmp_path):
    mask = write_volume(tmp_path / "mask.nii.gz", np.ones((2, 2, 2), dtype=np.int16))
    betas = write_betas_hdf5(tmp_path / "betas_nsdimagery.hdf5", np.zeros((2, 2, 2, 576)))
    trials = further_trials("imagery", tables(files))
    with pytest.raises(InputError, match=r"betas_nsdimagery\.hdf5.*576 trials.*720"):
        extract_session(betas, mask, trials, SUBJECT, "imagery", tmp_path / "out.h5")


def test_pictures_have_the_size_and_the_light_of_nsds(files, tmp_path):
    for experiment, n in (("imagery", 12), ("synthetic", 8)):
        paths = [files / key for key in layout.further_pictures(experiment)]
        extract_further_pictures(experiment, paths, tmp_path / f"{experiment}.h5")
        images = read_array(tmp_path / f"{experiment}.h5", "images")
        assert images.shape == (n, SIZE, SIZE, 3)
    targets = read_array(tmp_path / "imagery.h5", "images")[:8].astype(float)
    # The middle of the screen, as it looked: the same pictures but for resizing and rounding.
    assert np.abs(images - targets).mean() < 10


@pytest.mark.parametrize("kind", ["oblong", "damaged", "broken", "missing"])
def test_a_picture_of_another_form_is_refused(files, tmp_path, kind):
    paths = [files / key for key in layout.further_pictures("imagery")]
    paths[3] = tmp_path / "strange.png"
    if kind == "oblong":
        Image.new("RGB", (20, 30)).save(paths[3])
    elif kind == "damaged":
        paths[3].write_bytes(b"no picture")
    elif kind == "broken":
        paths[3].write_bytes(broken_png())
    with pytest.raises(InputError, match=r"strange\.png"):
        extract_further_pictures("imagery", paths, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


@pytest.fixture
def responses(tmp_path):
    """Files of one session and of an experiment; the experiment did not measure voxel 0."""
    rng = np.random.default_rng(0)
    voxels = Voxels(np.argwhere(np.ones((1, 1, 4))).astype(np.int32), (1, 1, 4), AFFINE, "mask")
    rows = {"nsd_id": np.arange(10), "trial": np.arange(10), "session": 1, "split": "train"}
    training = pd.DataFrame(rows)
    trained = rng.normal(300, 90, (10, 4))
    session, train = tmp_path / "01.h5", tmp_path / "train.h5"
    store_session(trained, voxels, training, SUBJECT, 1, session)
    trials = pd.DataFrame({"nsd_id": [7, 5, 7, -1], "split": ["test-vision"] * 3 + [""]})
    trials = trials.assign(session="imagery", trial=range(4))
    betas = rng.normal(0, 300, (4, 4))
    betas[:, 0] = 0
    experiment = tmp_path / "imagery.h5"
    store_session(betas, voxels, trials, SUBJECT, "imagery", experiment)
    kept = np.array([0, 1, 3])
    with create_h5(train) as file:
        voxels.subset(kept).write(file)
        file["betas"] = trained[:, kept] / 300
        file.attrs.update(subject=SUBJECT, split="train", units="percent signal change")
    return betas[:, kept] / 300, trained[:, kept] / 300, trials, training, tmp_path


def averaged(responses, sessions):
    *_, trials, training, folder = responses
    output = folder / "test.h5"
    average_apart(
        folder / "imagery.h5",
        trials,
        SUBJECT,
        "test-vision",
        output,
        train=folder / "train.h5",
        standardised_by=sessions,
        training_trials=training,
    )
    with h5py.File(output) as file:
        assert file["nsd_id"][()].tolist() == [5, 7]
        assert file["repeats"][()].tolist() == [1, 2]
        about = {"subject": SUBJECT, "split": "test-vision", "sessions": "imagery"}
        about |= {"units": "percent signal change", "unmeasured": 1}
        assert about.items() <= dict(file.attrs).items()
        assert file["voxel"][()].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 3]]
        return file["betas"][()]


def test_repeats_are_averaged_and_what_was_not_measured_says_nothing(responses):
    betas, trained, *_ = responses
    found = averaged(responses, {})
    expected = np.stack([betas[1], betas[[0, 2]].mean(axis=0)])
    expected[:, 0] = trained[:, 0].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_z_scores_are_by_the_training_trials(responses):
    betas, trained, *_, folder = responses
    found = averaged(responses, {1: folder / "01.h5"})
    scored = (betas - trained.mean(axis=0)) / trained.std(axis=0)
    np.testing.assert_allclose(found[0, [1, 2]], scored[1, [1, 2]], rtol=1e-4, atol=1e-5)


def test_an_experiment_of_somebody_else_or_of_other_images_is_refused(responses):
    *_, trials, _, folder = responses
    with h5py.File(folder / "imagery.h5", "a") as file:
        del file.attrs["crc32"]
        file.attrs["subject"] = "subj02"
    with pytest.raises(InputError, match="found imagery of subj02; expected the trials of subj01"):
        averaged(responses, {})
    with h5py.File(folder / "imagery.h5", "a") as file:
        file.attrs["subject"] = SUBJECT
    trials.loc[0, "nsd_id"] = 8
    with pytest.raises(InputError, match="found imagery of subj01 with other images"):
        averaged(responses, {})


def test_an_experiment_without_a_voxel_of_the_training_is_refused(responses):
    *_, folder = responses
    with h5py.File(folder / "imagery.h5", "a") as file:
        file["voxel"][3] = [0, 0, 2]
    with pytest.raises(InputError, match=r"imagery\.h5: found 2 of the voxels; expected 3 as in"):
        averaged(responses, {})


def nsd(**changes):
    return data_files(Run(settings_of(changes), REGISTRY))


def test_every_file_of_them_is_downloaded_by_its_key():
    found = nsd(dataset={"tests": ["imagery", "synthetic"]}, subjects=[1])
    keys = [
        path.removeprefix(f"{found.root}/")
        for paths in found.needed().values()
        for path in paths
        if "nsdimagery" in path or "nsdsynthetic" in path
    ]
    assert len(keys) == 12 + 12 + 2
    stay, removed = NSDFiles.keys
    betas = [found.further_key(SUBJECT, name) for name in ("imagery", "synthetic")]
    assert all(re.fullmatch(stay, key) and not re.fullmatch(removed, key) for key in keys)
    assert all(re.fullmatch(removed, key) and not re.fullmatch(stay, key) for key in betas)
    assert betas[0] == (
        "nsddata_betas/ppdata/subj01/func1pt8mm/nsdimagerybetas_fithrf_GLMdenoise_RR/"
        "betas_nsdimagery.hdf5"
    )
    ranges = found.downloads_in_detail()["keys"]
    assert ranges[found.voxels(SUBJECT)[-2]] == betas[0]


def test_a_test_set_that_is_unknown_is_refused():
    with pytest.raises(InputError, match=r"dataset\.tests: found far.*vision, attention"):
        nsd(dataset={"tests": ["far"]})
