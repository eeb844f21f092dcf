"""Do the tests notice when the library is wrong? One fault at a time is put into its core.

Usage: python -m benchmarks.mutants [--sample N] [--seed N] [NAME ...]   (``make mutants``)

A fault is one comparison, operator, number, condition or statement changed in a copy of the
project; the tests of that part then run on it, in a process forked from one that has the libraries
loaded. What no test notices is listed, unless ``mutants_explained.yaml`` says why it makes no
difference. The command fails below 95 % noticed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "workflow/scripts/nsdrecon"
EXPLAINED = Path(__file__).with_name("mutants_explained.yaml")
WANTED = 0.95
# A fault may make a loop endless, or a thread wait for ever.
PATIENCE = 10  # times the processor's seconds of the tests without a fault
LONGEST = 300  # seconds by the clock

# Names for the command line: modules, and the tests that are to notice.
PARTS = {
    "ridge": (["ridge/*.py"], ["ridge", "ridge_files", "ridge_refused"]),
    "metrics": (
        ["metrics.py", "evaluation/pixels.py", "evaluation/similarity.py"],
        ["metrics", "pixels", "similarity"],
    ),
    "statistics": (["evaluation/statistics.py"], ["statistics"]),
    "nsd": (["data/nsd.py"], ["nsd"]),
    "betas": (["data/betas.py"], ["betas", "betas_refused", "imagery"]),
    "sampling": (["diffusion/sampling.py"], ["diffusion_sampling"]),
    "randomness": (["randomness.py"], ["randomness"]),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
# Loaded once, before any fault; nothing of the project is among them.
LIBRARIES = (
    "diffusers",
    "h5py",
    "hypothesis.extra.numpy",
    "nibabel",
    "pandas",
    "pytest",
    "scipy.io",
    "scipy.stats",
    "skimage.metrics",
    "sklearn.linear_model",
    "sklearn.metrics",
    "torch",
)


@dataclass(frozen=True)
class Mutant:
    """A module with one fault: its line as it was, what is changed, and the text with the fault."""

    module: str
    line: int
    was: str
    change: str
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.was}    [{self.change}]"


def mutants(module: str, text: str) -> Iterator[Mutant]:
    """Every fault of a module."""
    lines = text.splitlines()
    for number, (node, *_) in enumerate(_changes(ast.parse(text))):
        tree = ast.parse(text)
        _, change, apply = next(c for n, c in enumerate(_changes(tree)) if n == number)
        apply()
        changed = ast.unparse(ast.fix_missing_locations(tree))
        yield Mutant(module, node.lineno, lines[node.lineno - 1].strip(), change, changed)


def _changes(tree: ast.Module) -> Iterator[tuple]:
    """(node, what is changed, function that changes it), in a fixed order."""
    for parent, field, node in _computing(tree):
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in OPERATORS:
            other = OPERATORS[type(node.op)]
            yield node, _arrow(node.op, other), lambda n=node, o=other: setattr(n, "op", o())
        elif isinstance(node, ast.Compare):
            for k, op in enumerate(node.ops):
                other = OPERATORS[type(op)]
                yield (
                    node,
                    _arrow(op, other),
                    lambda n=node, k=k, o=other: n.ops.__setitem__(k, o()),
                )
        elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
            name = type(node.op).__name__
            yield (
                node,
                f"without {name}",
                lambda p=parent, f=field, n=node: _put(p, f, n, n.operand),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            value = _other(node.value)
            change = f"{node.value} -> {value}"
            yield node, change, lambda n=node, v=value: setattr(n, "value", v)
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node, "condition negated", lambda n=node: setattr(n, "test", _negated(n.test))
        elif isinstance(node, ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        ):
            kind = type(node).__name__
            yield (
                node,
                f"without {kind}",
                lambda p=parent, f=field, n=node: _put(p, f, n, ast.Pass()),
            )


def _computing(node: ast.AST) -> Iterator[tuple[ast.AST, str, ast.AST]]:
    """Parent, field and node of what computes; not annotations, messages and logs."""
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if (
                not isinstance(child, ast.AST)
                or _says(child)
                or getattr(child, "arg", "") == "strict"
            ):
                continue
            yield node, field, child
            if not isinstance(child, ast.Raise | ast.JoinedStr):
                yield from _computing(child)


def _says(node: ast.AST) -> bool:
    """Whether a node only tells something to a person."""
    call = node.value if isinstance(node, ast.Expr) else node
    if isinstance(node, ast.Expr) and isinstance(call, ast.Constant):
        return True  # a docstring
    called = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return called.startswith(("logger.", "log.")) or called == "InputError"


def _arrow(op: ast.AST, other: type) -> str:
    return f"{type(op).__name__} -> {other.__name__}"


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), copy.deepcopy(test))


def _other(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value * 2 or 1.0


def _put(parent: ast.AST, field: str, node: ast.AST, other: ast.AST) -> None:
    found = getattr(parent, field)
    if isinstance(found, list):
        found[found.index(node)] = other
    else:
        setattr(parent, field, other)


def passes(project: Path, tests: list[str], seconds: int | None = None) -> float | None:
    """Processor's seconds of tests in a copy of the project, in a process of their own.

    Nothing if they fail, or take more than ``seconds``.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.alarm(LONGEST)
        if seconds is not None:
            spent = int(time.process_time())
            resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, spent + seconds))
        os.chdir(project)
        with open("tests.log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        import pytest
        from hypothesis import Phase, settings

        # That there is an example counts, not which is the smallest.
        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutants")
        files = [f"tests/test_{name}.py" for name in tests]
        # Of the project's options none is for so short a run.
        options = ["-x", "-q", "-o", "addopts=", "-m", "not slow", "-p", "no:cacheprovider"]
        os._exit(int(pytest.main([*options, *files])))
    _, status, used = os.wait4(child, 0)
    return used.ru_utime + used.ru_stime if status == 0 else None


def explained(mutant: Mutant, reasons: list[dict]) -> str | None:
    """Why a fault makes no difference that a test could notice."""
    for reason in reasons:
        same = mutant.module == reason["module"] and mutant.was == reason["line"]
        if same and mutant.change in reason["changes"]:
            return reason["why"]
    return None


def survivors(name: str, project: Path, sample: int | None, seed: int) -> tuple[int, list[Mutant]]:
    """How many faults of a part were tried, and those that its tests do not notice."""
    patterns, tests = PARTS[name]
    modules = [path for pattern in patterns for path in sorted((ROOT / LIBRARY).glob(pattern))]
    found = [
        mutant
        for path in modules
        for mutant in mutants(path.relative_to(ROOT / LIBRARY).as_posix(), path.read_text())
    ]
    reasons = yaml.safe_load(EXPLAINED.read_text())
    found = [mutant for mutant in found if not explained(mutant, reasons)]
    if sample is not None and sample < len(found):
        found = random.Random(seed).sample(found, sample)
    seconds = passes(project, tests)
    if seconds is None:
        raise SystemExit(f"{name}: its tests fail without any fault; see {project}/tests.log")
    alive, patience = [], math.ceil(PATIENCE * seconds)
    for mutant in found:
        path = project / LIBRARY / mutant.module
        path.write_text(mutant.text)
        if passes(project, tests, patience) is not None:
            alive.append(mutant)
            print(f"  not noticed: {mutant}", flush=True)
        shutil.copy(ROOT / LIBRARY / mutant.module, path)
    return len(found), alive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PARTS, []], help="parts; by default all")
    parser.add_argument("--sample", type=int, help="faults of each part, drawn; by default all")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True
    for library in LIBRARIES:
        __import__(library)
    tried = unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        skipped = shutil.ignore_patterns(".*", "__pycache__", "results", "resources", "demo_models")
        shutil.copytree(ROOT, project, ignore=skipped, symlinks=True)
        for name in arguments.names or PARTS:
            n_faults, alive = survivors(name, project, arguments.sample, arguments.seed)
            print(f"{name}: {n_faults - len(alive)} of {n_faults} faults noticed", flush=True)
            tried, unnoticed = tried + n_faults, unnoticed + len(alive)
    share = 1 - unnoticed / tried
    print(f"all: {tried - unnoticed} of {tried} noticed, {share:.1%}; wanted {WANTED:.0%}")
    sys.exit(share < WANTED)


if __name__ == "__main__":
    main()
