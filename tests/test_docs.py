"""The pages for people: their links lead somewhere, and their commands exist."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from workflow_runs import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
RULES = {
    name
    for file in (ROOT / "workflow/rules").glob("*.smk")
    for name in re.findall(r"^ *(?:use )?rule (\w+)", file.read_text(), flags=re.M)
}
IDS = [page.name for page in PAGES]


def blocks(text: str, language: str = "") -> str:
    """What stands in a page's blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S)
    return "\n".join(block for name, block in found if name == language)


def commands(page: Path) -> list[list[str]]:
    """The words of every command in a block, without comments."""
    lines = re.findall(r"^(?:make|\S*snakemake) .*$", blocks(page.read_text()), flags=re.M)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_exist(page, monkeypatch):
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.M))
    inline = re.findall(r"`make ([a-z-]+)", page.read_text())
    called = [words[1] for words in commands(page) if words[0] == "make"]
    assert {*inline, *called} <= targets
    monkeypatch.chdir(ROOT)  # where profiles are looked for
    for program, *words in commands(page):
        if Path(program).name == "snakemake":
            _, asked = parse_args(words)  # as Snakemake reads them
            assert set(asked.targets) <= RULES, words
            for file in asked.configfile:  # one without a folder is the reader's own
                assert file.exists() or re.fullmatch(r"\w+\.yaml", str(file)), words


def test_the_readme_is_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_the_site_has_every_page():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = re.findall(r"[\w-]+\.md", str(site["nav"]))
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
