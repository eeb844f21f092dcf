"""Settings drawn from the schema: all of them can be planned, and some are run to the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from job_graph import planned_jobs
from nsdrecon.datasets import READERS
from nsdrecon.errors import InputError
from nsdrecon.settings import read_schema
from nsdrecon.store import read_table
from one_process import run_jobs
from settings_in_process import REGISTRY, SCHEMA, looked_at
from tiny_runs import TINY
from workflow_runs import copy_project, write_overlays

RULES = read_schema(SCHEMA, REGISTRY)
# What is of the data, the models and the machine is as in the demo; all else is drawn.
DEMO = {"run", "nsd", "simulation", "models", "extensions", "container", "device", "downloads"}
FEW = 5
TABLE = "results/demo/tables/metrics.tsv"


def drawn(rule: Mapping[str, Any]) -> SearchStrategy:
    """Values that a rule of the schema allows, the smallest of them."""
    if named := rule.get("enum", rule.get("examples")):
        return st.sampled_from(named)
    if "const" in rule:
        return st.just(rule["const"])
    if "oneOf" in rule:
        return st.one_of(map(drawn, rule["oneOf"]))
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    # Instead of the name of a file there is none.
    return st.one_of(*(_OF_KIND[kind](rule) for kind in kinds if kind != "string"))


def section(rule: Mapping[str, Any], without: set[str] = frozenset()) -> SearchStrategy:
    """Some settings of a section, without names of files and a user's own keys."""
    optional = {
        name: drawn(value)
        for name, value in rule.get("properties", {}).items()
        if name not in without and (value.get("type") != "string" or "examples" in value)
    }
    required = {name: optional.pop(name) for name in rule.get("required", []) if name in optional}
    return st.fixed_dictionaries(required, optional=optional)


def _whole(rule: Mapping[str, Any]) -> SearchStrategy:
    low = rule.get("minimum", 0)
    return st.integers(low, min(low + FEW, rule.get("maximum", low + FEW)))


def _number(rule: Mapping[str, Any]) -> SearchStrategy:
    low = rule.get("minimum", rule.get("exclusiveMinimum", 0))
    return st.sampled_from([low + 0.01, low + 0.1, low + 1])


def _list(rule: Mapping[str, Any]) -> SearchStrategy:
    if "properties" in rule["items"]:
        return st.just([])
    unique = rule.get("uniqueItems", False)
    return st.lists(
        drawn(rule["items"]), min_size=rule.get("minItems", 0), max_size=FEW, unique=unique
    )


_OF_KIND = {
    "array": _list,
    "boolean": lambda rule: st.booleans(),
    "integer": _whole,
    "null": lambda rule: st.none(),
    "number": _number,
    "object": section,
}
# The demo has two subjects, and its data set is of one kind. Each value of an ablation is a run:
# `test_curves.py` has some.
KINDS = {"dataset", *(reader.kind for reader in READERS)}
SETTINGS = section(RULES, without={*DEMO, "subjects", "ablations", *KINDS}).flatmap(
    lambda found: st.sampled_from([[1], [2], [1, 2]]).map(lambda some: found | {"subjects": some})
)


def refusal(overlay: Mapping[str, Any]) -> str:
    """What is said of settings that are allowed but do not fit together; nothing if they do."""
    try:
        looked_at("config/demo.yaml", overlay)
    except InputError as error:
        return str(error)
    return ""


FITTING = SETTINGS.filter(lambda overlay: not refusal(overlay))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SETTINGS)
def test_settings_fit_together_or_one_line_says_why_not(overlay):
    assert len(refusal(overlay).splitlines()) <= 1


@settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(FITTING)
def test_settings_that_fit_together_are_planned(tmp_path_factory, overlay):
    project = copy_project(tmp_path_factory.mktemp("drawn") / "p")
    jobs = planned_jobs(project, write_overlays(project, ("config/demo.yaml", overlay)))
    assert any(TABLE in job.outputs for job in jobs)


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(FITTING)
def test_settings_that_are_planned_run_to_the_table(tmp_path_factory, overlay):
    project = copy_project(tmp_path_factory.mktemp("drawn") / "p")
    small = {"simulation": TINY["simulation"], "nsd": {"sessions": "all"}}
    run_jobs(project, TABLE, overlays=("config/demo.yaml", small, overlay))
    assert len(read_table(project / TABLE))
