"""Every command of the README and of Getting started: run here, by another test, or not, and why.

The recipes of make are run with the programs of this environment, in a copy of the project.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from test_docs import blocks
from workflow_runs import ROOT, copy_project, environment

PAGES = {page: (ROOT / page).read_text() for page in ("README.md", "docs/getting-started.md")}
BIN = Path(sys.executable).parent

# Run by tests of other files: the file, and what it runs.
ELSEWHERE = {
    ".venv/bin/snakemake --profile profiles/demo --cores 2": ("test_demo.py", '"profiles/demo"'),
    ".venv/bin/snakemake --profile slurm": ("test_slurm.py", '"--profile", "slurm"'),
    ".venv/bin/snakemake --profile slurm doctor": ("test_slurm.py", 'submitted(project, "doctor"'),
    ".venv/bin/snakemake --profile profiles/local --configfile mine.yaml -- doctor": (
        "test_doctor.py",
        '"2", "doctor"',
    ),
    ".venv/bin/snakemake --profile slurm export": ("test_demo.py", '*PROFILE, "export"'),
}
INSTALLS = "fetches gigabytes of packages; the tests run in what it has made"
NOT_RUN = {
    "make test": "this is it",
    "make demo-models": "trains for hours; test_training.py trains a few steps",
    "make setup": INSTALLS,
    "make setup PYTHON=python3.12": INSTALLS,
    "make setup TORCH_INDEX=<address of its wheels>": INSTALLS,
    "python3.11 -m venv .venv": INSTALLS,
    ".venv/bin/pip install torch==2.13.0": INSTALLS,
    ".venv/bin/pip install --no-deps --require-hashes -r requirements.lock": INSTALLS,
    ".venv/bin/python workflow/envs/mend_torchvision.py": INSTALLS,
}
FIRST_STEPS = ".venv/bin/snakemake --profile profiles/local --configfile mine.yaml"
RUN_HERE = {"make help", "make demo", "make demo CORES=8", "make plan", "make docs", FIRST_STEPS}


def commands() -> set[str]:
    """What a page asks a reader to type, in blocks without a language and in lines."""
    text = "\n".join(PAGES.values())
    lines = re.findall(r"^(?:make|\.venv|python)\S* .*$", blocks(text), flags=re.M)
    inline = re.findall(r"`((?:make|\.venv/\S+) [^`]+)`", text)
    return {line.partition("#")[0].strip() for line in (*lines, *inline)}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("commands") / "project")
    for name in ("docs", "tools", "Makefile", "mkdocs.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    return project


def make(project: Path, *words: str) -> str:
    """What make says; nothing is installed, and programs are this environment's."""
    command = ["make", "--assume-old", ".venv/.installed", *words, f"BIN={BIN}"]
    # The tests may run under make themselves, whose settings a make within it would take over.
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CORES")
    variables = {key: value for key, value in environment().items() if key not in outer}
    done = subprocess.run(
        command, cwd=project, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_every_command_is_run_or_not_for_a_reason():
    assert commands() == {*ELSEWHERE, *NOT_RUN, *RUN_HERE}
    for file, words in ELSEWHERE.values():
        assert words in (ROOT / "tests" / file).read_text()


def test_make_help_lists_every_target(project):
    said = make(project, "help")
    phony = re.search(r"^\.PHONY: (.*?[^\\])$", (ROOT / "Makefile").read_text(), flags=re.M | re.S)
    for target in phony[1].replace("\\\n", "").split():
        assert re.search(rf"^{target} ", said, flags=re.M)


@pytest.mark.parametrize("cores", [2, 8])
def test_make_demo_runs_what_the_test_of_the_demo_runs(project, cores):
    words = ["demo", "--dry-run", *([f"CORES={cores}"] if cores != 2 else [])]
    last = make(project, *words).splitlines()[-1]
    assert last == f"{BIN}/snakemake --profile profiles/demo --cores {cores}"


def test_make_plan_says_what_the_full_run_asks_for(project):
    said = make(project, "plan")
    assert "diffusion_images" in said
    assert re.search(r"gpu_hours_H100: +\d", said)


def test_make_docs_builds_a_site_whose_links_lead_somewhere(project):
    make(project, "docs")
    pages = {path: path.read_text() for path in (project / "site").glob("*.html")}
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert names <= {path.stem for path in pages}
    assert "<svg" in pages[project / "site/rules.html"]
    for path, page in pages.items():
        assert "mermaid" not in page, path
        for link in re.findall(r'(?:href|src)="(?!https?:|data:)([^"]+)"', page):
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            inside = target.is_relative_to(project / "site")
            assert target.exists() or not inside, (path.name, link)
            if anchor and target in pages:
                assert f'id="{anchor}"' in pages[target], (path.name, link)


def test_first_steps_with_nsd_are_planned(project):
    page = PAGES["docs/getting-started.md"]
    (project / "mine.yaml").write_text(blocks(page, "yaml"))
    line = [BIN / "snakemake", *FIRST_STEPS.split()[1:], "--dry-run", "--quiet", "all"]
    done = subprocess.run(
        line, cwd=project, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
