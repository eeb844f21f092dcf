"""What pyproject.toml declares is what the code imports, no more and no less."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("workflow/scripts", "workflow/envs")
AROUND = ("tests", "tools", "benchmarks")
# Needed, though no file of the project imports it.
NOT_IMPORTED = {
    "accelerate": "diffusers and transformers load weights with it",
    "pygments": "Snakemake's own report shows code with it",
    "snakemake-executor-plugin-slurm": "a plug-in that profiles/slurm names",
}
PROGRAMS = {
    "import-linter": "make lint",
    "moto": "the server of S3 for the tests, a program of its own",
    "mkdocs": "make docs",
    "mypy": "make lint",
    "pytest-cov": "make coverage",
    "pytest-xdist": "make test",
    "ruff": "make lint",
    "snakefmt": "make lint",
}


@pytest.fixture(scope="module")
def distributions() -> dict[str, list[str]]:
    """Each importable name to the distributions that have it."""
    return packages_distributions()


def imported(folders: tuple[str, ...], distributions: dict[str, list[str]]) -> set[str]:
    """Distributions that files import anywhere, the project's own modules apart."""
    own = {
        place.stem
        for folder in (*LIBRARY, *AROUND)
        for place in (ROOT / folder, *(ROOT / folder).rglob("*"))
        if place.suffix == ".py" or place.is_dir()
    }
    names = {
        name
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        for name in top_level_imports(file)
    }
    missing = names - own - sys.stdlib_module_names - distributions.keys()
    assert not missing, f"imported, but not installed: {missing}"
    found = names - own - sys.stdlib_module_names
    return {normalised(distributions[name][0]) for name in found}


def top_level_imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def declared(requirements: list[str]) -> set[str]:
    return {normalised(re.match(r"[\w.-]+", text).group()) for text in requirements}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_declared_dependencies_are_the_imported_ones(distributions):
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    main = declared(metadata["project"]["dependencies"])
    library = imported(LIBRARY, distributions)
    assert main == library | NOT_IMPORTED.keys()
    assert not library & NOT_IMPORTED.keys()


def test_declared_tools_of_development_are_the_used_ones(distributions):
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    main = declared(metadata["project"]["dependencies"])
    development = declared(metadata["dependency-groups"]["dev"])
    around = imported(AROUND, distributions)
    assert development == (around - main) | PROGRAMS.keys()
    assert not around & PROGRAMS.keys()
