"""One lock file is the single source of versions."""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "envs"))

import pin  # noqa: E402  (the folder has to be on the path first)

LOCKED = pin.pinned((ROOT / "requirements.lock").read_text())


def test_conda_environment_is_the_one_written_from_the_lock():
    (file,) = (ROOT / "workflow/envs").glob("*.yaml")
    assert file.read_text() == pin.environment()


def test_exact_requirements_agree_with_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name, _, exact = requirement.partition("==")
        if exact and name != "torch":
            assert LOCKED[name] == exact


def test_this_environment_is_the_locked_one():
    for name in ("snakemake", "diffusers", "transformers", "numpy", "h5py", "scikit-learn"):
        assert version(name) == LOCKED[name]


def test_lock_holds_no_gpu_libraries_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert "nvidia" not in text
    assert "://" not in text
