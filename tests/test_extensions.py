"""Files of a user that add rows: run once, checked, and blamed by name where they are at fault.

At the end the rows of ``tests/extensions`` are added to a finished run, as a user would.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
import torch
import yaml

from nsdrecon.errors import InputError
from nsdrecon.extensions import implementation, load, rows, source
from nsdrecon.store import read_table
from tiny_runs import OVERLAYS, TINY
from workflow_runs import ROOT, snakemake, started_jobs

SYSTEM = "toy-tinted-ddim"
METRICS = ["toy gap", "toy network"]
DEMO_NETWORKS = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["evaluation"]["networks"]
TOYS = {
    "extensions": ["extensions/toy_systems.py", "extensions/toy_metrics.py"],
    "systems": [*TINY["systems"], SYSTEM],
    "models": {"toy": {"folder": "workflow/demo_models/stable-diffusion"}},
    "regression": {"alpha": {"toy-colour": "loo"}},
    "evaluation": {
        "networks": [*DEMO_NETWORKS, {"name": METRICS[1], "weights": "extensions/toy.pt"}]
    },
}


@dataclass(frozen=True)
class Colour:
    """A row of a table."""

    name: str
    mixer: str = "nsdrecon.store:mixed"


COLOURS = """
from test_extensions import Colour
COLOURS = [Colour("red", ":mix"), Colour("blue"), Colour("green", "paints/mixers.py:mix")]
def mix(): return "mixed"
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes ``mine.py`` into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "mine.py").write_text(text)
        return "mine.py"

    return write


def test_rows_are_listed_and_name_their_own_file(written):
    path = written(COLOURS)
    red, blue, _ = rows(path, "COLOURS", Colour)
    assert (red, blue) == (Colour("red", "mine.py:mix"), Colour("blue"))
    assert implementation(red.mixer)() == "mixed"
    assert source(red.mixer).read_text() == COLOURS
    assert rows(path, "SHAPES", Colour) == []


def test_a_place_in_another_file_is_looked_for_beside_the_row(written, tmp_path):
    written(COLOURS)
    (*_, green) = rows(tmp_path / "mine.py", "COLOURS", Colour)
    assert green.mixer == f"{tmp_path}/paints/mixers.py:mix"


def test_a_file_runs_once_in_a_process(written):
    path = written("import random\nDRAWN = random.random()\n")
    assert load(path).DRAWN == load(path).DRAWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\n1 / 0\n", "mine.py: found ZeroDivisionError in line 2: division by zero"),
        ("def f(:\n", "mine.py: found SyntaxError: invalid syntax"),
        ("COLOURS = 3\n", "mine.py: COLOURS: found int; expected a list of Colour"),
        ("COLOURS = ['red']\n", r"mine.py: COLOURS\[0\]: found 'red'; expected a Colour"),
    ],
)
def test_faults_name_the_file_and_the_place(written, text, said):
    with pytest.raises(InputError, match=said):
        rows(written(text), "COLOURS", Colour)


def test_missing_files_and_names_are_named(written):
    with pytest.raises(InputError, match=r"none.py: found no Python file"):
        load("none.py")
    path = written("")
    with pytest.raises(InputError, match=r"mine.py: found nothing with the name Mixer"):
        implementation(f"{path}:Mixer")
    with pytest.raises(InputError, match="Mixer: found no such place; expected module:Name"):
        implementation("Mixer")


def test_places_in_the_library_are_found_without_running_them():
    assert source("nsdrecon.diffusion.loop:reconstruct").name == "loop.py"
    assert implementation("nsdrecon.errors:InputError") is InputError


# In a run


@pytest.fixture(scope="module")
def extended(tiny, tmp_path_factory):
    """The finished run in another folder, with the toys; and the jobs that they started."""
    project = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("toys") / "p", symlinks=True))
    shutil.copytree(ROOT / "tests/extensions", project / "extensions")
    matrix = torch.randn((3 * 16 * 16, 40), generator=torch.Generator().manual_seed(0))
    torch.save({"matrix": matrix}, project / "extensions/toy.pt")
    return project, started_jobs(project, overlays=(*OVERLAYS, TOYS))


def test_rows_of_a_user_run_what_they_add_and_nothing_else(extended):
    _, jobs = extended
    tables = {"metrics", "metrics_figure", "reconstructions_figure", "regression_figure"}
    tables |= {"extremes_figure", "gallery", "gallery_pictures"}
    about = {"dag", "manifest", "usage", "report"}
    own = {"model_check", "features", "latents", "weights", "predictions"}
    own |= {"diffusion_images", "reconstructions", "maps", "regions"}
    own |= {"seen_features", "evaluation"}
    assert dict(jobs) == dict.fromkeys(tables | about | own, 1) | {"model_check": 2}


def test_a_backbone_and_a_feature_space_of_a_user_reach_the_tables_and_the_report(extended):
    project, _ = extended
    metrics = read_table(project / "results/demo/tables/metrics.tsv")
    assert {SYSTEM, f"shuffled-{SYSTEM}"} <= set(metrics["system"])
    contrasts = read_table(project / "results/demo/tables/contrasts.tsv")
    assert set(contrasts["contrast"]) == {"Stable - Tinted Diffusion (DDIM)"}
    assert "Tinted Diffusion, DDIM" in (project / "results/demo/report.html").read_text()
    folder = project / "results/demo/subj01/reconstructions"
    with h5py.File(folder / f"{SYSTEM}.h5") as tinted, h5py.File(folder / "sd-ddim.h5") as plain:
        assert tinted.attrs["system"] == SYSTEM
        assert tinted["images"].shape == plain["images"].shape
        assert (tinted["images"][()] != plain["images"][()]).mean() > 0.1  # told the colour too


def test_metrics_of_a_user_reach_the_tables_and_the_report(extended):
    project, _ = extended
    metrics = read_table(project / "results/demo/tables/metrics.tsv")
    means = metrics.query("subject == 'subj01'").pivot(
        index="system", columns="metric", values="mean"
    )
    # Every system, floor and oracle has a value of each, which is not all the same.
    assert set(means.index) == set(metrics["system"])
    assert (means[METRICS].nunique() > 1).all()
    assert means.loc["oracle-vdvae", "toy network"] < means.loc["shuffled-vdvae", "toy network"]
    # A constant picture has no features to correlate: it counts as a miss.
    assert means.loc["flat-grey", "toy network"] == 1
    for page in ("tables/metrics.md", "report.html"):
        text = (project / "results/demo" / page).read_text()
        assert all(f"{name} ↓" in text for name in METRICS), page


@pytest.mark.parametrize(
    ("name", "touched"),
    [("toy_backbone.py", {"diffusion_images"}), ("toy_network.py", set())],
)
def test_a_change_of_a_users_file_runs_its_jobs_again(extended, name, touched):
    project, _ = extended
    path = project / "extensions" / name
    text = path.read_text()
    path.write_text(text + "\n# A remark.\n")
    assert not started_jobs(project, "-n", overlays=(*OVERLAYS, TOYS))
    path.write_text(text + "\nADDED = 1\n")
    found = started_jobs(project, "-n", overlays=(*OVERLAYS, TOYS))
    assert touched | {"evaluation", "report"} <= set(found)
    others = {"diffusion_images"} - touched
    assert not ({"features", "model_check", "weights", "manifest"} | others) & set(found)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "toy_backbone.py",
            "class TintedDiffusion(StableDiffusion)",
            "class TintedDiffusion",
            "toy_backbone.py:TintedDiffusion: found no method predict",
        ),
        (
            "toy_network.py",
            "def __call__",
            "def call",
            "toy_network.py:Projection: found no method __call__",
        ),
    ],
)
def test_a_fault_of_a_users_file_is_named_before_anything_is_planned(
    extended, name, old, new, message
):
    project, _ = extended
    path = project / "extensions" / name
    text = path.read_text()
    path.write_text(text.replace(old, new))
    done = snakemake(project, "-n", overlays=(*OVERLAYS, TOYS))
    path.write_text(text)
    said = done.stdout + done.stderr
    assert message in said
    assert "Traceback" not in said
