"""A change reruns what it touches, and nothing else: one finished run, many changes, dry runs.

``CHANGES`` is the table of the README; ``make readme`` writes it there.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from job_graph import Job, in_order, planned_jobs
from nsdrecon.run import ANALYSES
from own_files import OwnFiles
from tiny_runs import OVERLAYS, TINY
from workflow_runs import ROOT, copy_project, started_jobs, write_overlays

LIBRARY = "workflow/scripts/nsdrecon"
NETWORKS = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["evaluation"]["networks"]
ANOTHER = {**NETWORKS[0], "name": "CLIP (another)"}
NETWORK_CHECK = "results/demo/data/models/networks.tsv"
VDVAE = "workflow/demo_models/vdvae/vdvae.th"
# What a clone gives new dates.
COMMITTED = [
    str(path.relative_to(ROOT))
    for folder in ("config", "profiles", "workflow")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
]
# Drawn or printed from the whole configuration, so any setting reruns them; cheap, and on no node.
ABOUT_THE_RUN = {"dag", "usage", "report"}


@dataclass(frozen=True)
class Change:
    """A change and the jobs that it touches; what is made from their files follows by itself.

    Parameters
    ----------
    what, touched : for the README; rules by name, what follows them is not named.
    starts : is a job touched?
    settings : laid over the configuration of the finished run.
    edits : files, with what is appended to each; nothing appended is a touch.
    arguments : of the command line.
    """

    what: str
    touched: str
    starts: Callable[[Job], bool]
    settings: dict = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def rules(*names: str, where: str = "") -> Callable[[Job], bool]:
    return lambda job: job.rule in names and where in job.label


def nothing(job: Job) -> bool:
    return False


CODE = "\nADDED = 1\n"
CHANGES = [
    Change("nothing", "nothing", nothing),
    Change(
        "a script (`train_stimuli.py`)",
        "`train_stimuli`",
        rules("train_stimuli"),
        edits={"workflow/scripts/train_stimuli.py": CODE},
    ),
    Change(
        "a library module that two rules use (`session_files.py`)",
        "`session_betas`, `average_betas`",
        rules("session_betas", "average_betas"),
        edits={f"{LIBRARY}/data/session_files.py": CODE},
    ),
    Change(
        "a library module of stage 2 (`diffusion/backbone.py`)",
        "`diffusion_images`",
        rules("diffusion_images"),
        edits={f"{LIBRARY}/diffusion/backbone.py": CODE},
    ),
    Change(
        "a comment in a module that all rules use (`store.py`)",
        "nothing",
        nothing,
        edits={f"{LIBRARY}/store.py": "\n# A remark.\n"},
    ),
    Change(
        "one ridge penalty (`regression.alpha.sd-text`)",
        "`weights` of that feature",
        rules("weights", where="feature=sd-text"),
        settings={"regression": {"alpha": {"sd-text": 1000}}},
    ),
    Change(
        "the guidance scale (`stage2.guidance`)",
        "`diffusion_images`",
        rules("diffusion_images"),
        settings={"stage2": {"guidance": 2.0}},
    ),
    Change(
        "a subject added (`subjects`)",
        "all jobs of that subject; the tables",
        lambda job: "subject=subj02" in job.label,
        settings={"subjects": [1, 2]},
    ),
    Change(
        "a session added (`nsd.sessions`)",
        "`trials`; the new session alone is read",
        lambda job: job.rule == "trials" or "session=03" in job.label,
        settings={"nsd": {"sessions": [1, 2, 3]}},
    ),
    Change(
        "a metric added (`evaluation.networks`)",
        "`model_check`, `seen_features`, `evaluation` and the tables",
        lambda job: (
            job.rule in {"seen_features", "evaluation", "metrics", "metrics_figure"}
            or NETWORK_CHECK in job.outputs
        ),
        settings={"evaluation": {"networks": [*NETWORKS, ANOTHER]}},
    ),
    Change(
        "a system added (`systems`)",
        "jobs of that system; `evaluation`; the tables",
        lambda job: "system=sd-ddpm" in job.label,
        settings={"systems": ["vdvae", "sd-ddim", "sd-ddpm"]},
    ),
    Change(
        "the number of parts of a model stage (`shards`)",
        "nothing",
        nothing,
        settings={"shards": 2},
    ),
    Change(
        "files touched, or checked out again",
        "nothing",
        nothing,
        edits={
            "workflow/scripts/weights.py": "",
            f"{LIBRARY}/store.py": "",
            "config/config.yaml": "",
            "results/demo/subj01/betas/train.h5": "",
        },
    ),
    Change(
        "how much is computed at a time, and where (batch sizes, `regression.block`, `device`)",
        "nothing",
        nothing,
        settings={
            "device": "cpu",
            "latents": {"batch_size": 3},
            "regression": {"block": 7},
            "stage1": {"batch_size": 3},
            "stage2": {"batch_size": 3},
        },
    ),
    Change(
        "threads, memory and times of jobs (in a profile)",
        "nothing",
        nothing,
        arguments=("--set-threads", "weights=1", "--set-resources", "weights:mem_mb=9000"),
    ),
    Change(
        "a fresh clone, with copied `results/` and `.snakemake/`",
        "nothing",
        nothing,
        edits=dict.fromkeys(COMMITTED, ""),
    ),
    Change(
        "a weights file replaced (`vdvae.th`)",
        "`model_check`, `vdvae_latents`, `vdvae_images`; `manifest`",
        lambda job: VDVAE in job.inputs,
        edits={VDVAE: "another file"},
    ),
]


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A copy of the finished run, to make changes in."""
    return Path(shutil.copytree(tiny, tmp_path_factory.mktemp("reruns") / "p", symlinks=True))


def joined(paths: Iterable[str]) -> set[str]:
    """Files without the shards, of which others make one again."""
    return {path for path in paths if "/shards/" not in path}


def expected(project: Path, jobs: list[Job], change: Change, before: list[Job]) -> Counter:
    """The touched jobs, everything made from them, and what has to make their temporary files."""
    known = {path: job for job in before for path in job.outputs}
    chosen = set()
    for number, job in enumerate(jobs):
        new_files = any(
            path not in known or joined(job.inputs) != joined(known[path].inputs)
            for path in joined(job.outputs)
        )
        about = bool(change.settings) and job.rule in ABOUT_THE_RUN
        if job.outputs and (change.starts(job) or new_files or about):
            chosen.add(number)
    maker = {path: number for number, job in enumerate(jobs) for path in job.outputs}
    while True:
        made = {path for number in chosen for path in jobs[number].outputs}
        grown = chosen | {
            number for number, job in enumerate(jobs) if job.outputs and made & set(job.inputs)
        }
        needed = {path for number in grown for path in jobs[number].inputs}
        grown |= {maker[path] for path in needed if path in maker and not (project / path).exists()}
        if grown == chosen:
            return Counter(jobs[number].rule for number in chosen)
        chosen = grown


@pytest.fixture(scope="module")
def before(finished):
    return planned_jobs(finished, write_overlays(finished, OVERLAYS))


def test_another_number_of_shards_hides_no_other_change(finished):
    """What is joined knows with what its shards are made."""
    overlays = (*OVERLAYS, {"shards": 2, "stage2": {"guidance": 2.0}})
    found = started_jobs(finished, "-n", overlays=overlays)
    assert found["diffusion_images"] == 2
    assert {"reconstructions", "evaluation", "metrics"} <= set(found)
    assert not {"weights", "features", "vdvae_images"} & set(found)


@pytest.mark.parametrize("change", CHANGES, ids=[change.what for change in CHANGES])
def test_exactly_what_a_change_touches_is_done_again(finished, before, change):
    overlays = (*OVERLAYS, change.settings) if change.settings else OVERLAYS
    jobs = planned_jobs(finished, write_overlays(finished, overlays)) if change.settings else before
    wanted = expected(finished, jobs, change, before)
    states = {name: (finished / name).stat() for name in change.edits}
    contents = {name: (finished / name).read_bytes() for name in change.edits}
    try:
        for name, added in change.edits.items():
            with (finished / name).open("ab") as stream:
                stream.write(added.encode())
            os.utime(finished / name)
        found = started_jobs(finished, "-n", *change.arguments, overlays=overlays)
        assert found == wanted
        if change.settings.get("nsd"):
            assert found["session_betas"] == 1, "sessions that are there are read again"
    finally:
        for name, state in states.items():
            (finished / name).write_bytes(contents[name])
            os.utime(finished / name, ns=(state.st_atime_ns, state.st_mtime_ns))


# Settings that decide which files a job is given, laid over one that asks for everything.
EVERYTHING = {
    "dataset": {"tests": ["vision", "synthetic"]},
    "subjects": [1, 2],
    "systems": ["vdvae", "sd-ddim", "vd-ddim"],
    "oracles": ["oracle-vdvae", "oracle-sd-ddim"],
    "stage2": {"samples": 2},
    "evaluation": {
        "categories": 3,
        "held_out": [0],
        "holdout": ["vdvae", "sd-ddim"],
        "repeats": ["vdvae", "sd-ddim"],
        "learning": ["vdvae"],
        "learning_sessions": [1, 2],
    },
    "ablations": {"systems": ["vdvae"], "rescale": ["loo", "none"]},
    "brain": {name: [1, 2] for name in ANALYSES}
    | {"best_of": ["sd-ddim"], "surfaces": {"lh": "lh_{subject:02d}.mgz"}},
}
FEW = {
    "dataset": {"tests": []},
    "subjects": [1],
    "systems": ["vdvae", "sd-ddim"],
    "oracles": [],
    "stage2": {"samples": 1},
    "evaluation": {"categories": None, "holdout": [], "repeats": [], "learning": []},
    "ablations": {"systems": []},
    "brain": {"best_of": [], "dimensions": [], "surfaces": {"lh": None}},
}
# Rules that a run has only where it is asked for their files, and the one for models in folders,
# which the demo brings.
NOT_PLANNED = {"doctor", "export", "plan", "validate", "verify_data", "download_repository"}
REMOTE = FEW | {
    "dataset": {"tests": ["vision"]},
    "nsd": {"source": "s3", "terms_accepted": True, "format": "hdf5", "root": "nsd"},
}
MAPS = FEW["brain"] | {"maps": [1], "regions": [], "correlation": [], "pictures": []}
OWN = FEW | {"dataset": {"kind": "prepared", "tests": []}, "brain": MAPS}
OTHER_FILES = {
    "a subject less": ({}, {"subjects": [2]}),
    "a system less": ({}, {"systems": ["vdvae", "sd-ddim"]}),
    "no oracles, a curve less, and one sample": (
        {},
        {
            "oracles": [],
            "evaluation": {"repeats": ["vdvae"], "holdout": ["vdvae"]},
            "stage2": {"samples": 1},
            "brain": {"best_of": []},
        },
    ),
    "no categories": ({}, {"evaluation": {"categories": None, "holdout": []}}),
    "volumes of another format": (FEW, {"nsd": {"format": "hdf5"}}),
    "another mask to be fetched": (REMOTE, {"nsd": {"mask": "V1"}}),
    "another place for what is fetched": (REMOTE, {"nsd": {"root": "elsewhere"}}),
    "another region": (REMOTE, {"brain": {"rois": {"mine": {"volume": "HCP_MMP1"}}}}),
    "pictures elsewhere": (OWN, {"prepared": {"pictures": "copy.h5"}}),
    "captions elsewhere": (OWN, {"prepared": {"captions": "copy.tsv"}}),
    "a mask elsewhere": (OWN, {"prepared": {"mask": "copy.nii.gz"}}),
    "another test set": (OWN, {"dataset": {"tests": ["far"]}}),
    "a noise ceiling of one's own": (OWN, {"prepared": {"noise_ceiling": "copy.nii.gz"}}),
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Jobs by settings, each planned once."""
    project = copy_project(tmp_path_factory.mktemp("inputs") / "p")
    section = OwnFiles(project / "own").write()
    for subject in EVERYTHING["subjects"]:
        (project / f"lh_{subject:02d}.mgz").touch()
    for name, ending in {"pictures": "h5", "captions": "tsv", "mask": "nii.gz"}.items():
        shutil.copy(section[name], project / f"copy.{ending}")
    always = ("config/demo.yaml", TINY, EVERYTHING, {"prepared": section})
    planned = {}

    def jobs(*overlays):
        words = repr(overlays)
        if words not in planned:
            planned[words] = planned_jobs(project, write_overlays(project, (*always, *overlays)))
        return planned[words]

    return jobs


def test_every_rule_is_among_the_plans(plan):
    """A new rule is asked for by one of the settings above."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    planned = {job.rule for base, _ in OTHER_FILES.values() for job in plan(base)}
    assert set(re.findall(r"^rule (\w+):", text, re.MULTILINE)) - planned <= NOT_PLANNED


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_job_that_is_given_other_files_runs_again(plan, name):
    """By its params, or because one of its files is made again: Snakemake compares no sets."""
    base, change = OTHER_FILES[name]
    former = {path: job for job in plan(base) for path in job.outputs}
    again, differ, unnoticed = set(), set(), {}
    for job in in_order(plan(base, change)):
        for before in (former[path] for path in job.outputs if path in former):
            given = set(job.inputs) ^ set(before.inputs)
            differ |= given
            if job.counted != before.counted or again & set(job.inputs):
                again.update(job.outputs)
            elif given:
                unnoticed[job.rule] = given
    assert differ, "the setting decides about no file"
    assert unnoticed == {}
