"""The parts of pages that are written from the code.

Usage: python tools/readme_parts.py  (``make readme``)
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fault_table import table_of_faults, table_of_settings_faults

ROOT = Path(__file__).resolve().parents[1]
RULES, CLUSTER, FAULTS = "docs/rules.md", "docs/cluster.md", "docs/faults.md"
SETTINGS = ("config/README.md", "docs/settings.md")


def graph_of_rules() -> str:
    """The rules of a full run, as GitHub draws them."""
    from nsdrecon.graph.plan import PlannedJob, mermaid

    program = "workflow/scripts/nsdrecon/graph/planned_jobs.py"
    command = [sys.executable, program, "workflow/Snakefile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    jobs = [PlannedJob.from_mapping(job) for job in json.loads(done.stdout.splitlines()[-1])]
    return f"```mermaid\n{mermaid(jobs)}```"


def table_of_reruns() -> str:
    """What each change of the tests runs again."""
    from test_reruns import CHANGES

    rows = [f"| {change.what} | {change.touched} |" for change in CHANGES]
    return "\n".join(["| changed | runs again, with what follows from it |", "|---|---|", *rows])


def table_of_settings() -> str:
    """Every setting of the schema."""
    from nsdrecon.settings import read_schema
    from nsdrecon.systems import registry

    schema = read_schema(ROOT / "workflow/schemas/config.schema.yaml", registry())
    rows = [
        f"| `{name}` | {_default(rule)} | {rule['description']} |"
        for name, rule in settings(schema)
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def settings(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted names of all settings that hold a value, with their rules."""
    for key, rule in schema.get("properties", {}).items():
        if rule.get("properties"):
            yield from settings(rule, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", rule


def _default(rule: Mapping[str, Any]) -> str:
    """A default for a person; empty where the setting has none and must be given."""
    if "default" not in rule:
        return ""
    value = rule["default"]
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_amount, value))
    return _amount(value)


def _amount(value: object) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


PARTS = {
    RULES: {"graph of the rules": graph_of_rules},
    CLUSTER: {"table of reruns": table_of_reruns},
    **{page: {"table of settings": table_of_settings} for page in SETTINGS},
    FAULTS: {
        "table of wrong settings": table_of_settings_faults,
        "table of faults": table_of_faults,
    },
}


def written(page: str) -> str:
    """A page's text with its parts as they are now."""
    text = (ROOT / page).read_text()
    for name, part in PARTS[page].items():
        start, end = f"<!-- {name} -->", f"<!-- end of the {name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page}: expected {start} and {end}")
        text = f"{before}{start}\n{part()}\n{end}{after}"
    return text


if __name__ == "__main__":
    folders = ("workflow/scripts", "tests", "tests/support")
    sys.path[:0] = [str(ROOT / folder) for folder in folders]
    for page in PARTS:
        (ROOT / page).write_text(written(page))
