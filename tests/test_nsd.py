import numpy as np
import pandas as pd
import pytest

from nsdrecon.data.nsd import (
    Design,
    read_design,
    read_stimulus_table,
    read_trials,
    require_design,
    require_repeats,
    require_same_shared,
    split_ids,
    trial_table,
)
from nsdrecon.errors import InputError
from nsdrecon.store import write_table
from small_nsd import design_variables, small_design, truncate, write_design

# 73k-IDs (1-based) of two subjects: two shared images, then four of their own.
SUBJECT_IMAGES = np.array([[500, 300, 1, 2, 3, 4], [500, 300, 11, 12, 13, 73000]])
ORDER = [1, 3, 2, 4, 1, 5, 6, 3, 1]  # 10k-IDs (1-based)


@pytest.fixture
def variables():
    return design_variables(ORDER, [4, 5], SUBJECT_IMAGES, n_shared=2)


def test_design_counts_from_zero(tmp_path, variables):
    design = read_design(write_design(tmp_path / "design.mat", **variables))
    assert design.image_of_trial.tolist() == [number - 1 for number in ORDER]
    assert design.nsd_id.tolist() == (SUBJECT_IMAGES - 1).tolist()
    assert design.trials_per_session.tolist() == [4, 5]
    assert design.n_shared == 2
    assert design.nsd_id.dtype == design.image_of_trial.dtype == np.int64


def test_a_design_of_shared_images_alone(tmp_path):
    both = np.array([[500, 300], [500, 300]])
    path = write_design(tmp_path / "design.mat", **design_variables([1, 2, 1], [3], both, 2))
    assert set(trial_table(read_design(path), "subj02", [1])["split"]) == {"test"}


def test_a_design_of_one_trial(tmp_path):
    path = write_design(tmp_path / "design.mat", **design_variables([3], [1], SUBJECT_IMAGES, 2))
    assert trial_table(read_design(path), "subj01", [1])["nsd_id"].tolist() == [0]


def test_trial_table_by_hand(tmp_path, variables):
    design = read_design(write_design(tmp_path / "design.mat", **variables))
    trials = trial_table(design, "subj02", [1, 2])
    rows = [
        # session, trial, nsd_id, shared, split, repeat
        (1, 0, 499, 1, "test", 1),
        (1, 1, 10, 0, "train", 1),
        (1, 2, 299, 1, "test", 1),
        (1, 3, 11, 0, "train", 1),
        (2, 4, 499, 1, "test", 2),
        (2, 5, 12, 0, "train", 1),
        (2, 6, 72999, 0, "train", 1),
        (2, 7, 10, 0, "train", 2),
        (2, 8, 499, 1, "test", 3),
    ]
    expected = pd.DataFrame(
        rows, columns=["session", "trial", "nsd_id", "shared", "split", "repeat"]
    )
    pd.testing.assert_frame_equal(trials, expected)


def test_repeats_are_counted_among_the_used_sessions(tmp_path, variables):
    design = read_design(write_design(tmp_path / "design.mat", **variables))
    trials = trial_table(design, "subj01", [2])
    assert trials["trial"].tolist() == [4, 5, 6, 7, 8]
    assert trials["repeat"].tolist() == [1, 1, 1, 1, 2]


def test_splits_share_no_image_and_test_images_are_everybodys():
    design = small_design()
    tables = [trial_table(design, subject, [1, 2, 3]) for subject in ("subj01", "subj02")]
    for table in tables:
        assert not set(split_ids(table, "train")) & set(split_ids(table, "test"))
        np.testing.assert_array_equal(split_ids(table, "train"), sorted(split_ids(table, "train")))
    np.testing.assert_array_equal(*[split_ids(table, "test") for table in tables])
    assert not set(split_ids(tables[0], "train")) & set(split_ids(tables[1], "train"))


def test_subject_or_session_that_the_design_lacks():
    design = small_design()
    with pytest.raises(InputError, match="small design: found 2 subjects; expected also subj03"):
        trial_table(design, "subj03", [1])
    with pytest.raises(InputError, match="found 3 sessions; expected also session 4"):
        trial_table(design, "subj01", [1, 4])


def test_too_few_repeats_are_named_with_their_setting():
    trials = trial_table(small_design(), "subj01", [1, 2, 3])
    most = trials.loc[trials["split"] == "test", "repeat"].max()
    require_repeats(trials, most)
    with pytest.raises(
        InputError, match=r"evaluation\.repeats: found sessions 1, 2, 3, in which no"
    ):
        require_repeats(trials, most + 1)
    with pytest.raises(InputError, match="expected test images with 1 repeats"):
        require_repeats(trials[trials["split"] == "train"], 1)


def changed(**changes):
    return lambda variables: {**variables, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(stimpattern=np.ones((2, 2, 8), np.uint8)), "32 stimuli .* and 9 trials"),
        (changed(masterordering=np.array([[7, *ORDER[1:]]])), "numbers from 1 to 6"),
        (changed(masterordering=np.array([[0, *ORDER[1:]]])), "numbers from 1 to 6"),
        (changed(sharedix=np.array([[300, 501]])), "differ from 'sharedix'"),
        (changed(sharedix=np.arange(1, 8)[None]), "of shape .* 7 shared images first"),
        (changed(subjectim=SUBJECT_IMAGES - 1), "below 1|differ"),
        (
            changed(subjectim=np.array([[500, 300, 1, 2, 3, 3], SUBJECT_IMAGES[1]])),
            "two numbers for subject 1",
        ),
        (
            changed(subjectim=np.where(SUBJECT_IMAGES == 4, 0, SUBJECT_IMAGES)),
            "an id below 1 in 'subjectim'",
        ),
        (
            changed(masterordering=np.zeros((1, 0)), stimpattern=np.zeros((2, 2, 8))),
            "a 'masterordering' that is empty",
        ),
        (changed(masterordering=np.array(["text"])), "expected numbers"),
        (lambda v: {k: v[k] for k in v if k != "sharedix"}, "no variable sharedix"),
    ],
)
def test_designs_that_contradict_themselves(tmp_path, variables, change, message):
    path = write_design(tmp_path / "design.mat", **change(variables))
    with pytest.raises(InputError, match=message) as caught:
        read_design(path)
    assert str(path) in str(caught.value)


def test_damaged_design(tmp_path, variables):
    with pytest.raises(InputError, match="no file"):
        read_design(tmp_path / "design.mat")
    for share in (0, 0.01, 0.2, 0.6, 0.95):
        path = truncate(write_design(tmp_path / "design.mat", **variables), share)
        with pytest.raises(InputError, match=r"design\.mat"):
            read_design(path)


def stimulus_csv(path, **changes):
    columns = {
        "cocoId": [532481, 245764, 385029],
        "cocoSplit": ["val2017", "train2017", "train2017"],
        "cropBox": ["(0, 0, 0.1, 0.1)"] * 3,
        "nsdId": [0, 1, 2],
        "shared1000": [False, True, False],
        "subject1": [0, 1, 0],
    }
    pd.DataFrame({**columns, **changes}).to_csv(path)
    return path


def test_bad_stimulus_tables(tmp_path):
    path = tmp_path / "stim.csv"
    with pytest.raises(InputError, match="no file"):
        read_stimulus_table(path)
    with pytest.raises(InputError, match="'nsdId' that is not its row"):
        read_stimulus_table(stimulus_csv(path, nsdId=[0, 2, 1]))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="expected also nsdId, cocoId"):
        read_stimulus_table(path)
    path.write_text("")
    with pytest.raises(InputError, match="does not parse"):
        read_stimulus_table(path)


def test_trial_table_round_trip(tmp_path):
    trials = trial_table(small_design(), "subj01", [1, 2])
    write_table(tmp_path / "trials.tsv", trials)
    pd.testing.assert_frame_equal(read_trials(tmp_path / "trials.tsv"), trials)


def test_trial_table_with_another_split_is_refused(tmp_path):
    trials = trial_table(small_design(), "subj01", [1]).assign(split="validation")
    write_table(tmp_path / "trials.tsv", trials)
    with pytest.raises(InputError, match="split validation; expected train or test"):
        read_trials(tmp_path / "trials.tsv")


def test_a_trial_whose_split_is_not_that_of_its_image_is_refused(tmp_path):
    trials = trial_table(small_design(), "subj01", [1])
    tested = trials.index[trials["split"] == "test"][0]
    trials.loc[tested, "split"] = "train"
    write_table(tmp_path / "trials.tsv", trials)
    with pytest.raises(InputError, match=rf"found trials {tested} whose split is not that"):
        read_trials(tmp_path / "trials.tsv")


@pytest.mark.parametrize("column", ["nsd_id", "shared", "session", "repeat"])
def test_trials_against_the_design_are_refused(column):
    trials = trial_table(small_design(), "subj01", [2, 3])
    require_design(
        trials.sample(frac=1, random_state=0, ignore_index=True), small_design(), "subj01"
    )
    changed = trials.copy()
    changed.loc[4, column] = {"nsd_id": 47, "shared": 1 - changed["shared"][4]}.get(column, 3)
    if column == "shared":  # marked for the other split altogether
        changed.loc[4, "split"] = "train" if changed["split"][4] == "test" else "test"
    with pytest.raises(InputError, match=r"other images, splits or repeats of trials 14; expected"):
        require_design(changed, small_design(), "subj01")
    with pytest.raises(InputError, match=r"found 19 trials; expected 20 by small design"):
        require_design(trials[:-1], small_design(), "subj01")


def test_shared_images_of_another_meaning_are_refused(tmp_path):
    """Table of stimuli and design call the same images shared."""
    path = tmp_path / "stim.csv"
    shown = np.array([1, 2, 1]), np.array([True, False, True])
    require_same_shared(*shown, read_stimulus_table(stimulus_csv(path)), path)
    other = read_stimulus_table(stimulus_csv(path, shared1000=[True, False, False]))
    with pytest.raises(InputError, match=r"stim\.csv: found another 'shared1000' of nsd_id 1;"):
        require_same_shared(*shown, other, path)
    with pytest.raises(InputError, match=r"found 1 stimuli; expected also nsd_id 1, 2, 1"):
        require_same_shared(*shown, other[:1], path)


def test_sessions_may_differ_in_length():
    design = Design(np.array([0, 4, 1, 5, 2]), np.array([2, 3]), np.arange(12).reshape(2, 6), 4, "")
    assert trial_table(design, "subj01", [2])["trial"].tolist() == [2, 3, 4]
