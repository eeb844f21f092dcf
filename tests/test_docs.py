"""The pages for people: their links lead somewhere, and their commands exist."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from workflow_runs import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
RULES = {
    name
    for file in (ROOT / "workflow/rules").glob("*.smk")
    for name in re.findall(r"^ *(?:use )?rule (\w+)", file.read_text(), flags=re.M)
}
IDS = [page.name for page in PAGES]


def commands(page: Path) -> list[list[str]]:
    """The words of every command in a block, without comments."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    lines = re.findall(r"^(?:make|\S*snakemake) .*$", "\n".join(blocks), flags=re.M)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.M))
    inline = re.findall(r"`make ([a-z-]+)", page.read_text())
    called = [words[1] for words in commands(page) if words[0] == "make"]
    assert {*inline, *called} <= targets
    for words in commands(page):
        if Path(words[0]).name == "snakemake":
            options = dict(pairwise(words))
            assert (ROOT / options.get("--profile", ".")).exists(), words
            named = {word for word in words if re.fullmatch("[a-z_]+", word)}
            assert named - {"slurm"} <= RULES, words


def test_the_readme_is_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_every_target_says_what_it_is_for():
    phony = re.search(r"^\.PHONY: (.*?)$", MAKEFILE.replace("\\\n", ""), flags=re.M)[1].split()
    silent = [name for name in phony if not re.search(rf"^{name}:.*## ", MAKEFILE, flags=re.M)]
    assert silent == []


def test_the_site_has_every_page():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = re.findall(r"[\w-]+\.md", str(site["nav"]))
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
