"""What a job does before its work: it takes what a killed run had finished, repeats a refusal."""

import os
from pathlib import Path

import pytest

from nsdrecon import refusals, whole_files
from nsdrecon.errors import InputError
from nsdrecon.job import job
from nsdrecon.logs import job_log
from nsdrecon.whole_files import whole_folder
from stand_ins import script_of

GIVEN, LOG = "photo.png", "logs/rule.log"
MADE = ["a.txt", "b.txt"]


def write_text(path):
    Path(path).write_text(f"{path} of {Path(GIVEN).read_text()}")


def write_folder(path):
    with whole_folder(path) as partial:
        (partial / "picture").write_text(Path(GIVEN).read_text())


def run(raw=False, made=MADE, write=write_text, **params):
    """A job that writes two files from a third; whether it did, or found them."""
    params = {"code": "c0de", "how": {"device": "cpu"}} | params
    try:
        with job(script_of([GIVEN], made, log=LOG, **params), raw=raw):
            for path in made:
                write(path)
    except SystemExit as end:
        return bool(end.code)
    return True


def started_again():
    """As Snakemake starts a job again of which it knows no end: it removes outputs and log."""
    whole_files.keep_whole(MADE, LOG)
    for path in (*MADE, LOG):
        Path(path).unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What a run sets for its jobs is undone for the tests that follow.
    monkeypatch.setenv("NSDRECON_RUN", "before")
    (tmp_path / GIVEN).write_text("a cat")
    assert run()


def content():
    return {path.name: path.read_text() for path in Path().iterdir() if path.is_file()}


def test_what_was_whole_when_its_run_was_killed_is_taken_as_often_as_it_is_killed():
    before, files = content(), [os.stat(path).st_ino for path in MADE]
    for _ in range(2):
        os.utime(MADE[0])  # as Snakemake does when the job has ended
        started_again()
        assert not run()
        assert content() == before
        assert [os.stat(path).st_ino for path in MADE] == files


def test_raw_data_are_taken_as_well():
    Path(LOG).unlink()
    assert run(raw=True)
    started_again()
    assert not run(raw=True)


def test_a_folder_is_taken_as_well():
    assert run(made=["folder"], write=write_folder)
    for _ in range(2):  # killed again before the job has started
        whole_files.remove_leftovers(["folder"])
        whole_files.keep_whole(["folder"], LOG)
        assert not Path("folder").exists()
    Path(LOG).unlink()
    assert not run(made=["folder"], write=write_folder)
    assert Path("folder/picture").read_text() == "a cat"
    assert [path.name for path in Path().glob(".*")] == []


def test_what_is_left_of_a_folder_is_removed():
    with whole_folder("folder") as partial:
        pass
    partial.mkdir()
    (partial / "picture").write_text("half")
    assert whole_files.remove_leftovers(["folder"]) == [partial]
    assert not partial.exists()


def other_input():
    Path(GIVEN).write_text("a dog")


def same_input_of_another_date():
    os.utime(GIVEN, ns=(1, 1))


def file_replaced():
    Path(MADE[0]).write_text("mine")


def file_missing():
    Path(MADE[1]).unlink()


def stopped_midway():
    text = Path(LOG).read_text()
    Path(LOG).write_text(text[: text.index(whole_files.WHOLE)])


CHANGES = [other_input, same_input_of_another_date, file_replaced, file_missing, stopped_midway]


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])
def test_after_a_change_it_is_made_again(change):
    change()
    started_again()
    assert run()
    assert content() == {GIVEN: (given := Path(GIVEN).read_text())} | {
        name: f"{name} of {given}" for name in MADE
    }


@pytest.mark.parametrize("params", [{"code": "0ther"}, {"steps": 5}, {"how": {"device": "cuda"}}])
def test_with_other_params_it_is_made_again(params):
    started_again()
    assert run(**params)
    assert set(content()) == {GIVEN, *MADE}


def test_second_names_that_nobody_asked_for_are_removed_at_the_next_start():
    whole_files.keep_whole(MADE, LOG)
    assert len(whole_files.remove_leftovers(MADE)) == 2
    assert set(content()) == {GIVEN, *MADE}


def attempt(error=None, **options):
    with job_log(LOG, "rule", **options):
        if error:
            raise error


def test_wrong_input_is_named_again_without_a_second_try():
    refusals.begin_run()
    wrong = InputError("a.h5", found="no file", expected="one", remedy="Make it.")
    with pytest.raises(InputError):
        attempt(wrong)
    for _ in range(2):
        with pytest.raises(InputError) as repeated:
            attempt()
        assert str(repeated.value) == f"{wrong} It was not tried again in this run."
    assert "not tried again" in Path(LOG).read_text()
    # Mended, in another run; and there is nothing left that could be repeated.
    refusals.begin_run()
    attempt()
    assert [path.name for path in Path("logs").iterdir()] == ["rule.log"]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (InputError("a server", found="another checksum", expected="this"), {"again": True}),
        (RuntimeError("out of memory"), {}),
    ],
)
def test_what_may_pass_is_tried_again(error, options):
    refusals.begin_run()
    with pytest.raises(type(error)):
        attempt(error, **options)
    attempt(**options)


def test_outside_of_a_run_nothing_is_noted(monkeypatch):
    monkeypatch.delenv("NSDRECON_RUN")
    with pytest.raises(InputError):
        attempt(InputError("a.h5", found="no file", expected="one"))
    attempt()
