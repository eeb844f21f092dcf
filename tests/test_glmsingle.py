"""GLMsingle's outputs and designs: their forms, and what is refused."""

import h5py
import numpy as np
import pandas as pd
import pytest

from nsdrecon.data.glmsingle import GLMsingle
from nsdrecon.errors import InputError
from own_files import OwnFiles

SECTION = {"scale": 1, "units": "%", "column": "trial_type", "ignored": [], "tests": []}


@pytest.fixture
def own(tmp_path):
    found = OwnFiles(tmp_path / "own")
    found.write()
    test = found.trials.loc[found.trials["split"] == "test", ["image"]].drop_duplicates()
    test.to_csv(found.folder / "test.tsv", sep="\t", index=False)
    return found


def reader(own, trials, betas="betas.npy", sessions=(1,), **settings):
    files = {"trials": trials, "betas": betas, "mask": "mask.nii.gz", "test": "test.tsv"}
    paths = {role: str(own.folder / name) for role, name in files.items()}
    return GLMsingle({**SECTION, **paths, **settings}, 1, list(sessions))


def write_events(own, number, images, **columns):
    events = pd.DataFrame({"onset": np.arange(len(images)), "trial_type": images, **columns})
    events.to_csv(own.folder / f"run{number}.tsv", sep="\t", index=False)


def test_trials_follow_the_runs_and_their_onsets(own):
    write_events(own, 1, [33, 4, 12], onset=[9, 2, 5])
    write_events(own, 2, [7, 33])
    table = reader(own, "run{run}.tsv").trials()
    assert table["image"].tolist() == [4, 12, 33, 7, 33]
    assert table["split"].tolist() == ["train", "train", "test", "train", "test"]
    assert table["trial"].tolist() == list(range(5))
    assert set(table["session"]) == {1}


def test_one_file_of_events_tells_sessions_apart(own):
    """As the configuration takes the sessions from it; onsets begin anew in each."""
    write_events(own, 1, [7, 33, 12, 4], onset=[1, 3, 2, 5], session=[2, 2, 1, 1])
    table = reader(own, "run1.tsv", sessions=[1, 2]).trials()
    assert table["session"].tolist() == [1, 1, 2, 2]
    assert table["image"].tolist() == [12, 4, 7, 33]
    with pytest.raises(InputError, match=r"run1\.tsv: found no trial of session 3"):
        reader(own, "run1.tsv", sessions=[1, 3]).trials()
    # The runs of a session are of one, whatever they call it.
    assert set(reader(own, "run{run}.tsv").trials()["session"]) == {1}


def test_one_file_of_events_tells_runs_apart(own):
    """Responses come run after run, and onsets begin anew in each."""
    images, onsets = [4, 12, 33, 7], [1, 2, 1, 2]
    write_events(own, 1, images, onset=onsets, run=[1, 1, 2, 2])
    assert reader(own, "run1.tsv").trials()["image"].tolist() == images
    write_events(own, 1, images, onset=onsets)
    with pytest.raises(InputError, match=r"run1\.tsv: found onsets that do not ascend within a"):
        reader(own, "run1.tsv").trials()
    write_events(own, 1, images, onset=onsets, session=[1, 1, 2, 2])
    assert reader(own, "run1.tsv", sessions=[1, 2]).trials()["image"].tolist() == images


@pytest.mark.parametrize("trials", ["run1.tsv", "run{run}.tsv"])
def test_an_onset_that_is_no_number_is_named(own, trials):
    write_events(own, 1, [4, 12, 33], onset=[1, "soon", 3])
    with pytest.raises(InputError, match=r"run1\.tsv: found no number as onset of trial 2"):
        reader(own, trials).trials()


def test_events_that_are_no_trials_are_left_out(own):
    write_events(own, 1, ["3", "blank", "5"])
    assert reader(own, "run{run}.tsv", ignored=["blank"]).trials()["image"].tolist() == ["3", "5"]
    write_events(own, 1, ["3", "n/a", "5"])
    found = reader(own, "run{run}.tsv", ignored=["n/a"]).trials()
    assert found["image"].tolist() == [3, 5]
    with pytest.raises(InputError, match=r"run1.tsv: found no trial_type in event 2"):
        reader(own, "run{run}.tsv").trials()


def test_a_run_that_is_not_there_is_named(own):
    write_events(own, 1, [1])
    write_events(own, 3, [1])
    with pytest.raises(InputError, match=r"run2.tsv: found no file; expected one, as there is"):
        reader(own, "run{run}.tsv").trials()
    with pytest.raises(InputError, match=r"none1.tsv: found no file; expected the design"):
        reader(own, "none{run}.tsv").trials()


def test_a_design_matrix_names_images_by_their_column(own):
    design = np.zeros((20, 38))
    design[[3, 7, 12], [5, 31, 5]] = 1
    np.save(own.folder / "design1.npy", design)
    table = reader(own, "design{run}.npy").trials()
    assert table["image"].tolist() == [5, 31, 5]
    assert table["split"].tolist() == ["train", "test", "train"]
    np.save(own.folder / "design1.npy", design * 0.5)
    with pytest.raises(InputError, match=r"design1.npy: found an array of shape \(20, 38\)"):
        reader(own, "design{run}.npy").trials()


@pytest.mark.parametrize("shape", ["volumes", "voxels", "voxels, 1, 1"])
@pytest.mark.parametrize("form", ["h5", "npy"])
def test_responses_are_found_in_every_form(own, shape, form):
    write_events(own, 1, own.trials["image"])
    values = {"volumes": own.volumes(), "voxels": own.betas.T}.get(
        shape, own.betas.T[:, None, None]
    )
    path = own.folder / f"TYPED.{form}"
    if form == "h5":
        with h5py.File(path, "w") as file:
            file["betasmd"] = values
    else:
        outputs = {"betasmd": values, "R2": None, "FRACvalue": [0.1], "pcnum": np.int64(2)}
        np.save(path, outputs, allow_pickle=True)
    found = reader(own, "run{run}.tsv", path.name)
    responses = found.betas(1, found.trials(), found.voxels())
    np.testing.assert_array_equal(responses, own.betas)


class Command:
    def __reduce__(self):
        return print, ("this ran",)


def test_a_pickle_that_would_run_something_is_refused(own, capsys):
    write_events(own, 1, own.trials["image"])
    np.save(own.folder / "TYPED.npy", {"betasmd": Command()}, allow_pickle=True)
    found = reader(own, "run{run}.tsv", "TYPED.npy")
    with pytest.raises(InputError, match=r"it holds builtins.print, which is no number"):
        found.betas(1, found.trials(), found.voxels())
    assert "this ran" not in capsys.readouterr().out


def test_outputs_of_another_kind_are_refused(own):
    write_events(own, 1, own.trials["image"])
    np.save(own.folder / "TYPED.npy", {"R2": 1}, allow_pickle=True)
    found = reader(own, "run{run}.tsv", "TYPED.npy")
    with pytest.raises(InputError, match=r"TYPED.npy: found data that do not read \(KeyError"):
        found.betas(1, found.trials(), found.voxels())
