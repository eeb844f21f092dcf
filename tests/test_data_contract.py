"""The page that describes every file of a run, held against the files of a finished one."""

import re
import shutil
from pathlib import Path

import h5py
import pytest

from flipped_bytes import flip_a_byte
from nsdrecon.checked_files import read_provenance
from nsdrecon.data.volumes import read_mask
from nsdrecon.errors import InputError
from nsdrecon.store import open_h5, read_table
from workflow_runs import ROOT

NETWORK = "CLIP (demo)"  # the one that the tiny run is scored by
PAGE = (ROOT / "docs/data-contract.md").read_text()
OF_ALL = {"provenance", "crc32"}
SECTIONS = dict(re.findall(r"^### `(\S+)`\n(.*?)(?=^##|\Z)", PAGE, flags=re.M | re.S))


def pattern(name: str) -> re.Pattern:
    """Paths that a heading stands for."""
    text = re.escape(name).replace(
        r"\{variant\}", r"(?:-repeats\d|-holdout|-sessions\d+|-test-\w+)?"
    )
    return re.compile(re.sub(r"\\{\w+\\}", r"[^/]+", text))


def files(project: Path, name: str) -> list[Path]:
    paths = sorted(path for path in (project / "results").rglob("*") if path.is_file())
    # Benchmarks are Snakemake's own; their folder could be a subject's by its place.
    names = {p: p.relative_to(project).as_posix() for p in paths if "benchmarks" not in p.parts}
    return [path for path, text in names.items() if pattern(name).fullmatch(text)]


def datasets(section: str) -> dict[str, tuple[str, list[str], bool]]:
    """Name to type, letters of the shape, and whether it may be absent."""
    section = section.replace("{metric}", NETWORK)
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| \((.*?)\) \| (.*?) \|$", section, flags=re.M)
    return {
        name: (dtype, shape.split(", "), meaning.startswith("optional"))
        for name, dtype, shape, meaning in rows
    }


def attributes(section: str) -> dict[str, bool]:
    """Name to whether it may be absent."""
    _, _, text = section.partition("Attributes:")
    return {name: bool(word) for word, name in re.findall(r"(optional\s+)?`(\w+)`", text)}


def described_by(path: str) -> list[str]:
    """Headings for a file; the one without a wildcard in its last part stands first."""
    found = [name for name in SECTIONS if pattern(name).fullmatch(path)]
    return sorted(found, key=lambda name: "{" in Path(name).name)


def test_those_who_write_and_read_a_file_are_rules():
    texts = [path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")]
    rules = set(re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)", "\n".join(texts), flags=re.M))
    said = re.findall(r"^Written by .*?(?=\.\s)", PAGE, flags=re.M | re.S)
    assert set(re.findall(r"`([a-z_]+)`", "\n".join(said))) <= rules


@pytest.mark.parametrize("name", [name for name in SECTIONS if name.endswith(".h5")])
def test_arrays_are_what_the_page_says(tiny, name):
    found = [p for p in files(tiny, name) if described_by(str(p.relative_to(tiny)))[0] == name]
    assert found, f"no file of the run is a {name}"
    wanted, about = datasets(SECTIONS[name]), attributes(SECTIONS[name])
    assert "nsd_id" in wanted
    for path in found:
        with h5py.File(path) as file:
            required = {key for key, (_, _, optional) in wanted.items() if not optional}
            assert required <= set(file) <= set(wanted), path
            required = {key for key, optional in about.items() if not optional}
            own = set(file.attrs) - OF_ALL
            assert required <= own <= set(about), path
            assert set(file.attrs) >= OF_ALL, path
            sizes: dict[str, int] = {}
            for key in file:
                dtype, letters, _ = wanted[key]
                assert file[key].fletcher32, (path, key)
                assert file[key].dtype == dtype, (path, key)
                assert len(file[key].shape) == len(letters), (path, key)
                for letter, size in zip(letters, file[key].shape, strict=True):
                    fixed = int(letter) if letter.isdigit() else sizes.setdefault(letter, size)
                    assert size == fixed, (path, key, letter)


@pytest.mark.parametrize("name", [name for name in SECTIONS if name.endswith(".tsv")])
def test_tables_have_the_columns_that_the_page_names(tiny, name):
    found = files(tiny, name)
    assert found, f"no file of the run is a {name}"
    columns = re.findall(r"^\| `(\w+)` \|", SECTIONS[name], flags=re.M)
    listed = re.search(r"[Cc]olumns (.*?)\.\n", SECTIONS[name], flags=re.S)
    columns = columns or (re.findall(r"`(\w+)`", listed.group(1)) if listed else [])
    for path in found:
        if columns:
            assert list(read_table(path).columns) == columns, path


@pytest.mark.parametrize("name", SECTIONS)
def test_a_flipped_byte_is_noticed(tiny, name, tmp_path):
    """In every kind of file: in each array of one, in the middle of a table or volume."""
    path = tmp_path / Path(name).name
    original = files(tiny, name)[0]
    if not name.endswith(".h5"):
        shutil.copyfile(original, path)
        flip_a_byte(path)
        read = read_table if name.endswith(".tsv") else read_mask
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: found .*Remove it"):
            read(path)
        return
    with h5py.File(original) as file:
        arrays = [key for key in file if file[key].size]
    for key in arrays:
        shutil.copyfile(original, path)
        flip_a_byte(path, key)
        with (
            pytest.raises(InputError, match=f"{re.escape(str(path))}: found .*Remove it"),
            open_h5(path) as file,
        ):
            file[key][()]


def test_every_array_and_table_says_what_it_is(tiny):
    results = tiny / "results/demo"
    apart = {"benchmarks", "data"}  # of Snakemake; of models and downloads
    paths = [path for kind in ("h5", "tsv") for path in results.rglob(f"*.{kind}")]
    for path in paths:
        name = path.relative_to(results)
        if name.parts[0] not in apart:
            about = read_provenance(path)
            assert about["file"] == name.as_posix()
            assert about["code"], path
            # What is drawn from the rules knows no data.
            assert about.get("source", "simulated") == "simulated", path
            assert name.parts[0] == "dag" or "source" in about, path


def test_every_array_and_table_of_a_run_is_described(tiny):
    folders = {"benchmarks"}
    paths = [
        path.relative_to(tiny)
        for kind in ("h5", "tsv")
        for path in (tiny / "results").rglob(f"*.{kind}")
    ]
    unknown = [p for p in paths if not folders & set(p.parts) and not described_by(p.as_posix())]
    assert len(paths) > 40
    assert unknown == []
