"""The faults that are tried, as the tests name them: docs/faults.md (``make readme``).

A test's name says what was tried and what is to happen (``a_truncated_mask_is_refused``); cases
that have names in words stand with it. What happened is what was expected, or the test fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

TESTS = Path(__file__).resolve().parents[1] / "tests"
OUTCOMES = (
    # Greedy: what is tried may have a verb of its own.
    r"test_(?P<tried>.+)_(?P<expected>(is|are)_"
    r"(refused|noticed|not_read|not_kept|fetched_again|warned_of|named(_(with|and|before)_.+)?))",
    r"test_(?P<tried>.*(kill|damage|flipped|lasting|replaced|interrupted|truncated).*?)_"
    r"(?P<expected>(is|are|goes|ends|stops|fail|breaks|leaves)_.+)",
)
# Of these files each test is a fault, whatever its name says.
ALL_FAULTS = {"bad_input", "slurm_faults"}


def table_of_settings_faults() -> str:
    """Settings that are wrong, laid over ``config/config.yaml``, and what is said of them."""
    from nsdrecon.errors import InputError
    from settings_in_process import looked_at
    from test_config import FAULTS as faults

    rows = ["| setting | said, before anything is planned |", "|---|---|"]
    for fault in faults:
        text = yaml.safe_dump(fault.settings, default_flow_style=True, width=1000).strip()
        try:
            looked_at(*fault.over, fault.settings)
        except InputError as error:
            rows.append(f"| `{_cell(text[1:-1])}` | {_cell(str(error))} |")
    return "\n".join(rows)


def table_of_faults() -> str:
    """What else is tried, by the file of the tests."""
    parts = []
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        rows = [f"| {_cell(tried)} | {expected} |" for tried, expected in _faults(path, tree)]
        if rows:
            about = (ast.get_docstring(tree) or path.stem.removeprefix("test_")).splitlines()[0]
            head = (
                f"### {about.rstrip('.')}\n\n`tests/{path.name}`\n\n| tried | expected |\n|---|---|"
            )
            parts.append("\n".join([head, *rows]))
    return "\n\n".join(parts)


def _faults(path: Path, tree: ast.Module) -> Iterator[tuple[str, str]]:
    always = path.stem.removeprefix("test_") in ALL_FAULTS
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        cases = _cases(node, tree)
        matches = (re.fullmatch(outcome, node.name) for outcome in OUTCOMES)
        if match := next(filter(None, matches), None):
            tried, expected = _words(match["tried"]), _words(match["expected"])
            yield (f"{tried}: {', '.join(cases)}" if cases else tried), expected
        elif always:
            yield from ((case, _words(node.name.removeprefix("test_"))) for case in cases)


def _cases(test: ast.FunctionDef, tree: ast.Module) -> list[str]:
    """Names of a test's cases, where they are written out in words."""
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("parametrize"):
            for keyword in decorator.keywords:
                if keyword.arg == "ids" and isinstance(keyword.value, ast.List):
                    return [str(one.value) for one in keyword.value.elts]
            values = decorator.args[1]
            if isinstance(values, ast.Name):
                values = _assigned(values.id, tree) or values
            keys = getattr(values, "keys", None) or getattr(values, "elts", [])
            texts = [one.value for one in keys if isinstance(one, ast.Constant)]
            return [text for text in texts if isinstance(text, str)]
    return []


def _assigned(name: str, tree: ast.Module) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    return None


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
