"""The table of data sets, and what a data set of one's own says while a run is planned."""

from copy import deepcopy

import pytest
import yaml

from minimal_runs import MINIMAL
from nsdrecon.datasets import READERS, data_files
from nsdrecon.errors import InputError
from nsdrecon.extensions import implementation
from nsdrecon.sources import ModelFiles, planned_models, records
from own_files import OwnFiles
from settings_in_process import SCHEMA, run_of

READ_BY = ("betas", "trials", "units", "voxels")


@pytest.fixture
def section(tmp_path):
    return OwnFiles(tmp_path / "own").write()


def run(section, kind="prepared", **settings):
    config = deepcopy(MINIMAL) | {"dataset": {"kind": kind}, kind: section} | settings
    del config["nsd"], config["simulation"]
    return run_of(config)


def test_every_kind_has_a_section_and_a_reader():
    schema = yaml.safe_load(SCHEMA.read_text())["properties"]
    kinds = schema["dataset"]["properties"]["kind"]["enum"]
    assert kinds == ["nsd", "simulated", *(reader.kind for reader in READERS)]
    for reader in READERS:
        assert set(reader.settings) <= set(schema[reader.kind]["properties"])
        assert all(hasattr(implementation(reader.place), name) for name in READ_BY)


def test_the_kind_simulated_is_nsd_from_a_simulation():
    found = []
    for changes in ({}, {"dataset": {"kind": "simulated"}, "nsd": {}}):
        data = data_files(run_of(deepcopy(MINIMAL) | changes))
        found.append((data.rules, data.sessions, data.root, data.captions, data.max_repeats))
    assert found[0] == found[1]
    assert found[0][0][0] == "data_simulated"


@pytest.mark.parametrize("kind", ["nsd", "simulated", "prepared", "glmsingle", "laion-fmri"])
def test_what_a_kind_needs_is_asked_for(kind):
    config = deepcopy(MINIMAL) | {"dataset": {"kind": kind}}
    del config["nsd"], config["simulation"]
    needed = {"nsd": "source", "simulated": "simulation"}.get(kind, kind)
    with pytest.raises(InputError, match=needed):
        run_of(config)


def test_sessions_are_those_of_the_table(section):
    assert data_files(run(section)).sessions == {"subj01": [1, 2]}
    assert data_files(run(section | {"sessions": [2]})).sessions == {"subj01": [2]}
    with pytest.raises(InputError, match="found 3; expected sessions 1 to 2"):
        _ = data_files(run(section | {"sessions": [3]})).sessions


def test_sessions_are_those_of_the_files(section, tmp_path):
    for session in (1, 3):
        (tmp_path / f"{session:02d}.tsv").touch()
    several = section | {"trials": f"{tmp_path}/{{session:02d}}.tsv"}
    data = data_files(run(several))
    assert data.sessions == {"subj01": [1, 3]}
    assert data.trials("subj01") == [f"{tmp_path}/01.tsv", f"{tmp_path}/03.tsv"]
    # One file of responses: what is in it, the tables of all sessions tell.
    last = data_files(run(several | {"sessions": [3]}))
    assert last.trials("subj01") == data.trials("subj01")
    by_session = several | {"sessions": [3], "betas": f"{tmp_path}/{{session}}.npy"}
    assert data_files(run(by_session)).trials("subj01") == [f"{tmp_path}/03.tsv"]
    with pytest.raises(InputError, match=r"some of the sessions 1, 3"):
        _ = data_files(run(several | {"sessions": [2]})).sessions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "found no file; expected a table of trials"),
        ("session\timage\n1\t2\nx\t3\n", "found session x; expected numbers from 1 to 99"),
        ("session\timage\n100\t3\n", "found session 100; expected numbers from 1 to 99"),
        ("session\timage\n", "found session of no trial"),
    ],
)
def test_tables_without_sessions_are_named(section, tmp_path, text, message):
    if text is not None:
        (tmp_path / "trials.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        _ = data_files(run(section | {"trials": str(tmp_path / "trials.tsv")})).sessions


def test_patterns_have_the_number_of_the_subject(section):
    data = data_files(
        run(section | {"mask": "sub-{subject:03d}.nii", "betas": "{session:02d}.npy"})
    )
    assert data.mask("subj01") == "sub-001.nii"
    assert data.betas("subj01", "07") == "07.npy"
    assert data.source == "prepared ."
    assert data.ncsnr("subj01") == "<results>/subj01/ncsnr.nii.gz"
    wrong = data_files(run(section | {"mask": "{subj}.nii"}))
    with pytest.raises(InputError, match=r"prepared\.mask: found '\{subj\}\.nii' \(KeyError"):
        wrong.mask("subj01")


def test_text_needs_captions(section):
    without = {key: value for key, value in section.items() if key != "captions"}
    assert data_files(run(without)).own_captions == []
    text = {
        "systems": ["sd-ddim"],
        "models": MINIMAL["models"] | {"stable_diffusion": {"folder": "sd"}},
        "regression": {"alpha": {"vdvae": 1, "sd-text": 1}},
    }
    with pytest.raises(
        InputError, match=r"prepared\.captions: found nothing \(null\), with systems"
    ):
        data_files(run(without, **text))
    assert data_files(run(section, **text)).own_captions == [section["captions"]]


def test_nothing_of_it_is_downloaded(section):
    found = run(section)
    data, models = data_files(found), ModelFiles(found)
    assert records(models, data) == []
    assert planned_models(models, data) == {}
    assert not any(data.downloads_in_detail().values())
