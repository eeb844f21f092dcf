"""A rule is what it says: it runs the script of its name, and its fingerprint is that script's."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"
SCRIPTS = {path.stem: path for path in (WORKFLOW / "scripts").glob("*.py")}
LONGEST_SCRIPT, LONGEST_MODULE = 60, 450


def rules() -> Iterator[tuple[str, str]]:
    """Name and text of every rule, twins (``use rule``) apart."""
    for file in sorted((WORKFLOW / "rules").glob("*.smk")):
        text = file.read_text(encoding="utf-8")
        heads = list(re.finditer(r"^ *(use )?rule (\w+).*:$", text, re.MULTILINE))
        for head, following in zip_longest(heads, heads[1:]):
            if not head[1]:
                yield head[2], text[head.end() : following.start() if following else None]


RULES = dict(rules())


@pytest.mark.parametrize("name", RULES)
def test_a_rule_runs_the_script_of_its_name(name):
    assert re.findall(r'"\.\./scripts/(\w+)\.py"', RULES[name]) == [name]


@pytest.mark.parametrize("name", RULES)
def test_a_fingerprint_is_of_the_rules_own_script(name):
    assert set(re.findall(r'\bcode\(\s*"(\w+)"', RULES[name])) <= {name}


def test_every_script_has_a_rule():
    assert set(SCRIPTS) == set(RULES)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"doctor"}))
def test_settings_that_cannot_change_a_result_rerun_nothing(name):
    counted = " ".join(re.findall(r"\bcfg=settings\(([^)]*)\)", RULES[name]))
    assert not re.search(r'batch_size"|"device"|\.block"', counted), "give them as how=untracked()"


@pytest.mark.parametrize("name", [name for name in RULES if "localrule:" not in RULES[name]])
def test_a_rule_on_a_node_is_measured(name):
    assert "    benchmark:\n" in RULES[name]


def test_rules_have_no_message():
    """A message would hide the rule, the log and the wildcards of a job that failed."""
    for file in (WORKFLOW / "rules").glob("*.smk"):
        assert not re.search(r"^ *message:", file.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_thin(name):
    lines = SCRIPTS[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_SCRIPT, "what a script does belongs to the library"


def test_modules_are_read_in_one_sitting():
    paths = [
        p
        for package in ("nsdrecon", "nsdsim")
        for p in (WORKFLOW / "scripts" / package).rglob("*.py")
    ]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert [path for path, length in lengths.items() if length > LONGEST_MODULE] == []
