"""The fingerprint changes with the code that a script runs, and with nothing else."""

from pathlib import Path

import pytest

from nsdrecon.closure import code_fingerprint, import_closure


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "script.py": "from lib.used import f\nprint(f())\n",
        "other.py": "import lib.unused\n",
        "lib/__init__.py": '"""Package."""\n',
        "lib/used.py": "from . import deep\n\n\ndef f():\n    return deep.VALUE\n",
        "lib/deep/__init__.py": "from lib.deep.inner import VALUE\n",
        "lib/deep/inner.py": "VALUE = 1\n",
        "lib/unused.py": "import os\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def edited(project: Path, name: str, text: str) -> bool:
    """Does the fingerprint of script.py change when a file gets another text?"""
    # A fresh folder: a fingerprint is taken once per parse, and files are read once.
    before = code_fingerprint(project / "script.py", project)
    copy = project.parent / f"{project.name}-edited"
    for path in project.rglob("*.py"):
        target = copy / path.relative_to(project)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    (copy / name).write_text(text)
    return code_fingerprint(copy / "script.py", copy) != before


def test_closure_follows_absolute_relative_and_package_imports(project):
    names = {
        str(path.relative_to(project)) for path in import_closure(project / "script.py", project)
    }
    assert names == {
        "script.py",
        "lib/__init__.py",
        "lib/used.py",
        "lib/deep/__init__.py",
        "lib/deep/inner.py",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("script.py", "from lib.used import f\nprint(f(), 2)\n"),
        ("lib/deep/inner.py", "VALUE = 2\n"),
        ("lib/__init__.py", "SETTING = 1\n"),
    ],
)
def test_changes_with_the_code_that_runs(project, name, text):
    assert edited(project, name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lib/unused.py", "import sys\n"),
        ("lib/deep/inner.py", "# A reason.\nVALUE = 1  # one\n"),
        ("lib/__init__.py", '"""Another description."""\n'),
        ("lib/used.py", 'from . import deep\n\n\ndef f():\n    "doc"\n    return deep.VALUE\n'),
    ],
)
def test_ignores_other_modules_comments_and_docstrings(project, name, text):
    assert not edited(project, name, text)


def test_another_script_has_its_own_fingerprint(project):
    assert code_fingerprint(project / "other.py", project) != code_fingerprint(
        project / "script.py", project
    )


def test_files_that_a_script_loads_count_with_what_they_import(project):
    script, loaded = project / "script.py", project / "lib/unused.py"
    plain = code_fingerprint(script, project)
    assert code_fingerprint(script, project, loaded) != plain
    assert code_fingerprint(script, project, project / "lib/used.py") == plain  # imported anyway
    one = code_fingerprint(loaded, project, project / "lib/deep/inner.py")
    (project / "more.py").write_text("from lib.deep import inner\n")
    assert code_fingerprint(loaded, project, project / "more.py") != one
