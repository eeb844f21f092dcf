"""A run that is killed at any moment, again and again, ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nsdrecon.whole_files import remove
from tiny_runs import OVERLAYS
from workflow_runs import copy_project, snakemake, started, started_jobs

FAULTS = Path(__file__).parent / "support/faults"
PROFILE = ("--profile", "profiles/demo")
SUBJECT = Path("results/demo/subj01")
# Made again in the short series: volumes, voxels, responses, weights and predictions.
FOLDERS = [SUBJECT / name for name in ("betas", "weights", "predictions")]
# Where a job stops to be killed: before a file has its name, after that, when all is done; or none
# stops, and what runs shortly after a file or after the start is killed, wherever it is.
STOPS = ("wait", "named", "ended")
KINDS = (*STOPS, "noted", "started")
# Files that are not the same twice: times that were measured, dates, and what is made of them.
MEASURED = ("benchmarks", "usage", "plan", "report.html", "record.tsv", "manifest.tsv")


def contents(project: Path, folders: list[Path]) -> dict[str, bytes]:
    files = (path for folder in folders for path in (project / folder).rglob("*"))
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in files
        if path.is_file() and not any(name in str(path) for name in MEASURED)
    }


def strike(project: Path, kind: str, which: object, *targets: str, after: float = 0) -> None:
    """Kill a run with all its jobs, seconds after one has stopped, a file is there or it began."""
    for name in ("waiting", "written.txt"):
        (project / name).unlink(missing_ok=True)
    (project / "fault.txt").write_text(f"{kind} {which}")
    process = started(project, *PROFILE, *targets, overlays=OVERLAYS, PYTHONPATH=str(FAULTS))
    struck, said = (project / "waiting").exists, None
    while kind != "started" and not struck() and said is None:
        with suppress(subprocess.TimeoutExpired):
            said = process.communicate(timeout=0.2)
    assert kind == "started" or struck(), f"no job stopped at {kind} {which}: {said}"
    time.sleep(after)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def unlock(project: Path) -> None:
    assert snakemake(project, *PROFILE, "--unlock", overlays=OVERLAYS).returncode == 0


@pytest.mark.parametrize(
    ("n_kills", "folders"),
    [
        pytest.param(5, FOLDERS, id="responses and regression"),
        pytest.param(50, [Path("results")], id="a whole run", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(tiny, tmp_path, n_kills, folders):
    """By the README's words alone: unlock, and the same command."""
    whole = contents(tiny, folders)
    assert whole
    if folders is FOLDERS:
        project = Path(shutil.copytree(tiny, tmp_path / "p", symlinks=True))
        for folder in folders:
            shutil.rmtree(project / folder)
        targets = list(whole)
    else:
        project, targets = copy_project(tmp_path / "p"), []
    drawn = random.Random(0)
    for _ in range(n_kills):
        # So many files at each kill that there are some left for the last one. A job beside the one
        # that stops is killed wherever it is.
        kind, number = drawn.choice(KINDS), drawn.randint(1, len(whole) // n_kills)
        after = 0 if kind in STOPS else drawn.uniform(0, 2)
        strike(project, kind, number, *targets, after=after)
        unlock(project)
    done = snakemake(project, *PROFILE, *targets, overlays=OVERLAYS)
    assert done.returncode == 0, done.stderr[-6000:]
    found = contents(project, folders)
    assert set(found) == set(whole)
    assert [path for path in whole if found[path] != whole[path]] == []
    assert not list((project / "results").rglob(".partial-*"))


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        pytest.param(SUBJECT / "betas", ["train.h5", "test.h5"], id="responses"),
        pytest.param(SUBJECT.parent / "data/models", ["vdvae.tsv", "vdvae.record.tsv"], id="model"),
        pytest.param(SUBJECT.parent / "gallery/pictures", ["subj01"], id="folder"),
    ],
)
def test_what_was_whole_before_a_kill_is_taken_when_snakemake_had_no_note_of_it(
    tiny, tmp_path, folder, names
):
    project = Path(shutil.copytree(tiny, tmp_path / "p", symlinks=True))
    targets = [str(folder / name) for name in names]
    whole = contents(project, [folder])
    for target in targets:
        remove(project / target)
    strike(project, "ended", targets[0], *targets)
    files = [(project / target).stat().st_ino for target in targets]
    unlock(project)
    done = snakemake(project, *PROFILE, *targets, overlays=OVERLAYS)
    assert done.returncode == 0, done.stderr[-6000:]
    assert "what a killed run had finished is taken as it is" in done.stderr
    assert [(project / target).stat().st_ino for target in targets] == files
    assert contents(project, [folder]) == whole
    assert not started_jobs(project, "-n", *targets, overlays=OVERLAYS)
