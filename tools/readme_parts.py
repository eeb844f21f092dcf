"""The parts of the README that are written from the code.

Usage: python tools/readme_parts.py  (``make readme``)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def graph_of_rules() -> str:
    """The rules of a full run, as GitHub draws them."""
    from nsdrecon.graph.plan import PlannedJob, mermaid

    command = [
        sys.executable,
        "workflow/scripts/nsdrecon/graph/planned_jobs.py",
        "workflow/Snakefile",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    jobs = [PlannedJob.from_mapping(job) for job in json.loads(done.stdout.splitlines()[-1])]
    return f"```mermaid\n{mermaid(jobs)}```"


def table_of_reruns() -> str:
    """What each change of the tests runs again."""
    from test_reruns import CHANGES

    rows = [f"| {change.what} | {change.touched} |" for change in CHANGES]
    return "\n".join(["| changed | runs again, with what follows from it |", "|---|---|", *rows])


PARTS = {"graph of the rules": graph_of_rules, "table of reruns": table_of_reruns}


def written(readme: str) -> str:
    """The README with these parts as they are now."""
    for name, part in PARTS.items():
        start, end = f"<!-- {name} -->", f"<!-- end of the {name} -->"
        before, found, rest = readme.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"README.md: expected {start} and {end}")
        readme = f"{before}{start}\n{part()}\n{end}{after}"
    return readme


if __name__ == "__main__":
    sys.path[:0] = [
        str(ROOT / "workflow/scripts"),
        str(ROOT / "tests"),
        str(ROOT / "tests/support"),
    ]
    README.write_text(written(README.read_text()))
