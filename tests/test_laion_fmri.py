"""LAION-fMRI's files: where they lie, what is read of them, and what is refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from laion_fmri_files import GLMSINGLE, R2, ROOT, SECTION, name_of, write_own
from minimal_runs import MINIMAL
from nsdrecon.data.contract import contract_trials
from nsdrecon.data.laion_fmri import LAIONfMRI, PackedPictures, read_captions
from nsdrecon.datasets import data_files
from nsdrecon.errors import InputError
from nsdrecon.sources import ModelFiles, records
from own_files import N_TRAIN, OwnFiles
from settings_in_process import run_of
from workflow_runs import ROOT as PROJECT

KIND = "laion-fmri"


def run(section, **settings):
    config = {**MINIMAL, "dataset": {"kind": KIND}, KIND: section, **settings}
    return run_of({k: v for k, v in config.items() if k not in ("nsd", "simulation")})


def test_the_settings_of_the_page_are_a_run():
    page = (PROJECT / "docs/laion-fmri.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.M | re.S)
    settings = yaml.safe_load(block)
    found = run(settings.pop(KIND), **settings)
    assert found.tests == ["ood"]
    (mask,) = {path for path in data_files(found).needed()["subj01"] if "rsquare" in path}
    assert mask == f"resources/laion-fmri/{GLMSINGLE}/sub-01_{R2}"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A person's files in this form, as those of the working directory."""
    monkeypatch.chdir(tmp_path)
    own = OwnFiles(tmp_path / "own").with_further_test("ood")
    own.trials.loc[own.trials["image"] == 4, "split"] = None  # in no split
    write_own(tmp_path, own)
    return own


def reader(tests=()):
    place, *arguments = data_files(
        run(dict(SECTION), dataset={"kind": KIND, "tests": list(tests)})
    ).arguments("subj01")
    assert place.endswith(":LAIONfMRI")
    return LAIONfMRI(*arguments)


def test_its_files_are_those_of_the_bucket():
    data = data_files(run({"source": "s3", "mask": "m.nii.gz"}, subjects=[1, 3]))
    assert data.sessions == {name: list(range(1, 31)) for name in ("subj01", "subj03")}
    needed = data.needed()["subj03"]
    key = "derivatives/glmsingle-tedana/sub-03/ses-07/func/sub-03_ses-07_task-images"
    volume = "_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
    files = [f"{key}_desc-SingletrialBetas_trials.tsv", f"{key}{volume}"]
    root = "resources/laion-fmri"
    assert {f"{root}/{file}" for file in files} <= set(needed)
    assert len(needed) == 1 + 2 * 30
    assert data.temporary.count(f"{root}/{key}{volume}") == 1
    assert len(data.temporary) == 2 * 30
    assert set(records(ModelFiles(data.run), data)) >= {f"{path}.record.tsv" for path in needed}
    kept, removed = data.keys
    assert re.fullmatch(kept, files[0])
    assert not re.fullmatch(kept, files[1])
    assert re.fullmatch(removed, files[1])
    assert not re.fullmatch(kept, f"{files[0]}.record.tsv")
    assert not re.fullmatch(kept, "stimuli/task-images_stimuli.h5")
    assert data.source == "s3://laion-fmri"
    # What is not public is brought, and looked for before anything runs.
    brought = data.own_files()
    assert brought[f"{KIND}.pictures"] == [f"{root}/stimuli/task-images_stimuli.h5"]
    assert brought[f"{KIND}.splits"] == [f"{root}/splits/sub-01", f"{root}/splits/sub-03"]
    assert f"{KIND}.betas" not in brought


def test_a_subject_that_it_has_not_is_refused():
    with pytest.raises(InputError, match="found 2; expected subjects of laion-fmri: 1, 3"):
        data_files(run({"source": "s3", "mask": "m.nii.gz"}, subjects=[1, 2]))


def test_trials_of_every_split_have_their_responses(own):
    files = reader(["ood"])
    trials = files.trials()
    used = own.trials["split"].notna().to_numpy()
    assert trials["trial"].tolist() == np.flatnonzero(used).tolist()
    assert trials["image"].tolist() == own.trials.loc[used, "image"].map(name_of).tolist()
    expected = own.trials.loc[used, "split"].replace({"ood": "test-ood"})
    assert trials["split"].tolist() == expected.tolist()
    found = [files.betas(session, trials, files.voxels()) for session in (1, 2)]
    np.testing.assert_array_equal(np.concatenate(found), own.betas[used])
    table = contract_trials(files, PackedPictures(SECTION["pictures"]))
    assert table["nsd_id"].tolist() == own.trials.loc[used, "image"].tolist()


def test_images_of_a_test_that_is_not_asked_for_train_nothing(own):
    trials = reader().trials()
    assert set(trials["split"]) == {"train", "test"}
    unused = own.trials["split"].isna() | (own.trials["split"] == "ood")
    assert len(trials) == (~unused).sum()


def rewrite_split(name, change):
    path = f"{ROOT}/splits/sub-01/{name}.json"
    with open(path) as file:
        split = json.load(file)
    change(split["variants"])
    with open(path, "w") as file:
        json.dump(split, file)


def images_that_two_tests_share(own):
    rewrite_split("ood", lambda variants: variants[0]["test_ids"].append(name_of(N_TRAIN)))


def a_test_image_that_trains(own):
    rewrite_split("ood", lambda variants: variants[0]["test_ids"].append(name_of(0)))


def a_split_of_another_form(own):
    rewrite_split("ood", lambda variants: variants.append(variants[0]))


def a_split_of_another_subject(own):
    rewrite_split("ood", lambda variants: variants[0].update(test_ids=["unique_p02.jpg"]))


def rows_that_are_not_the_volumes(own):
    change_trials(lambda table: table.assign(beta_index=table["beta_index"].to_numpy()[::-1]))


def a_trial_without_an_image(own):
    change_trials(lambda table: table.assign(label=table["label"].where(table["beta_index"] != 3)))


def change_trials(change):
    path = (
        f"{ROOT}/{GLMSINGLE}/ses-02/func/sub-01_ses-02_task-images_desc-SingletrialBetas_trials.tsv"
    )
    change(pd.read_csv(path, sep="\t")).to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            images_that_two_tests_share,
            r"ood\.json: found test image shared_4rep.* \(test\);",
        ),
        (
            a_test_image_that_trains,
            r"ood\.json: found test image shared_4rep.* \(train\);",
        ),
        (a_split_of_another_form, r"ood\.json: found no split that reads \(ValueError"),
        (a_split_of_another_subject, r"splits/sub-01: found no trial of split test-ood"),
        (rows_that_are_not_the_volumes, "trials.tsv: found a beta_index that is not the row"),
        (a_trial_without_an_image, "trials.tsv: found no label in row 4"),
    ],
)
def test_one_clear_error_each(own, damage, message):
    damage(own)
    with pytest.raises(InputError, match=message):
        reader(["ood"]).trials()


def test_names_that_are_not_those_of_the_pictures_are_refused(own):
    path = f"{ROOT}/stimuli/task-images_metadata.csv"
    names = pd.read_csv(path)
    names.iloc[:-1].to_csv(path, index=False)
    with pytest.raises(InputError, match="found 38 pictures; expected 37, a row of"):
        PackedPictures(SECTION["pictures"])
    pd.concat([names, names.iloc[:1]]).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"cluster_0_i0\.jpg twice; expected each picture"):
        PackedPictures(SECTION["pictures"])


def test_captions_are_those_of_people_in_their_order(own, tmp_path):
    pictures = PackedPictures(SECTION["pictures"])
    captions = read_captions(f"{ROOT}/stimuli/task-images_desc-captions.csv", pictures)
    assert captions == {row: [f"picture {row}"] for row in range(38)}
    rows = [(name_of(3), 2, "human", "second"), (name_of(3), 0, "ai", "model")]
    rows += [(name_of(3), 1, "human", " the  first")]
    table = pd.DataFrame(rows, columns=["image_name", "caption_idx", "source", "caption"])
    table.to_csv(tmp_path / "captions.csv", index=False)
    assert read_captions(tmp_path / "captions.csv", pictures) == {3: ["the first", "second"]}
    table.drop(columns="source").to_csv(tmp_path / "captions.csv", index=False)
    with pytest.raises(InputError, match=r"captions\.csv: .*expected also source"):
        read_captions(tmp_path / "captions.csv", pictures)
