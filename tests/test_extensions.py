"""Files of a user that add rows: run once, checked, and blamed by name where they are at fault."""

from dataclasses import dataclass

import pytest

from nsdrecon.errors import InputError
from nsdrecon.extensions import implementation, load, rows, source


@dataclass(frozen=True)
class Colour:
    """A row of a table."""

    name: str
    mixer: str = "nsdrecon.store:mixed"


TWO_COLOURS = """
from test_extensions import Colour
COLOURS = [Colour("red", mixer=":mix"), Colour("blue")]
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
    path = written(TWO_COLOURS)
    red, blue = rows([path], "COLOURS", Colour)
    assert (red, blue) == (Colour("red", "mine.py:mix"), Colour("blue"))
    assert implementation(red.mixer)() == "mixed"
    assert source(red.mixer).read_text() == TWO_COLOURS
    assert rows([path], "SHAPES", Colour) == []


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
        rows([written(text)], "COLOURS", Colour)


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
