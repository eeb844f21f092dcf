"""What this machine lacks stops a run while it is planned, or before its first job."""

from pathlib import Path

import numpy as np
import pytest

from nsdrecon import before_start
from nsdrecon.datasets import data_files
from nsdrecon.errors import InputError
from nsdrecon.sources import ModelFiles
from nsdrecon.whole_files import remove_leftovers, whole_file
from settings_in_process import looked_at

LOCAL = {"subjects": [1], "nsd": {"source": "local", "root": "nsd", "sessions": [1, 2]}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(overlay):
    run = looked_at(overlay)
    return data_files(run), ModelFiles(run)


def make(data, *without):
    """Empty files of a local copy."""
    for paths in data.needed().values():
        for path in paths:
            if path not in without:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).touch()


def test_a_local_copy_has_all_that_the_run_reads():
    data, models = files(LOCAL)
    with pytest.raises(InputError, match=r"nsd.root: found nsd, which is no folder here"):
        before_start.require_files(data, models)
    last = data.betas("subj01", 2)
    make(data, last)
    with pytest.raises(InputError, match=f"nsd.root: found no file {last};"):
        before_start.require_files(data, models)
    make(data)
    before_start.require_files(data, models)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nsd": {"captions": "mine.npy"}}, "nsd.captions: found no file mine.npy"),
        (
            {"models": {"vdvae": {"checkpoint": "mine.th"}}},
            "models.vdvae.checkpoint: found no file mine.th",
        ),
        (
            {"models": {"stable_diffusion": {"folder": "mine"}}},
            "models.stable_diffusion.folder: found no file mine/config.json",
        ),
        (
            {"evaluation": {"networks": [{"name": "my CLIP", "weights": "mine"}]}},
            "evaluation.networks: found no file mine/config.json",
        ),
    ],
)
def test_files_of_the_users_own_are_there(settings, said):
    with pytest.raises(InputError, match=said):
        before_start.require_files(*files(settings))


def test_a_published_name_is_for_the_published_network(folder):
    (folder / "mine.pth").write_bytes(b"another")
    networks = [{"name": "AlexNet(2)", "weights": "mine.pth"}]
    with pytest.raises(InputError, match=r"mine.pth: found sha256 .* give another network another"):
        before_start.require_files(*files({"evaluation": {"networks": networks}}))


def test_there_are_captions_for_every_stimulus(folder):
    data, models = files({**LOCAL, "nsd": {**LOCAL["nsd"], "captions": "mine.npy"}})
    make(data)
    (folder / data.stimulus_table).write_text(",cocoId\n" + "".join(f"{n},1\n" for n in range(5)))
    np.save("mine.npy", np.array([["one"]] * 4))
    with pytest.raises(
        InputError, match=r"mine.npy with captions of 4 images; expected 5, one row"
    ):
        before_start.require_files(data, models)
    np.save("mine.npy", np.array([["one"]] * 5))
    before_start.require_files(data, models)


def test_terms_are_asked_for_where_something_of_nsd_is_to_be_downloaded():
    data, _ = files({})
    made = set(data.needed()["subj01"])
    with pytest.raises(InputError, match=r"nsd.terms_accepted: found False"):
        before_start.require_terms_for(made, data)
    before_start.require_terms_for({"results/dag/plan.txt"}, data)
    before_start.require_terms_for(made, files({"nsd": {"terms_accepted": True}})[0])
    local, _ = files(LOCAL)
    before_start.require_terms_for(set(local.needed()["subj01"]), local)


def test_a_run_on_slurm_needs_slurm(monkeypatch):
    monkeypatch.setenv("PATH", "")
    before_start.require_slurm(None)
    with pytest.raises(InputError, match=r"found no sbatch on this machine; .* profiles/local"):
        before_start.require_slurm({"attempts": 3})


def test_what_killed_jobs_left_of_a_file_is_removed_and_nothing_else(folder):
    with whole_file("a/weights.h5") as partial:
        pass
    # As a kill leaves it: named, half written.
    partial.write_text("half")
    others = [".partial-weights.h5", f"{partial.name}.record.tsv", "weights.h5"]
    for name in others:
        (folder / "a" / name).touch()
    assert remove_leftovers(["a/weights.h5"], untouched_s=600) == []
    assert remove_leftovers(["a/weights.h5", "b/none.h5"]) == [partial.relative_to(folder)]
    assert {path.name for path in (folder / "a").iterdir()} == set(others)
