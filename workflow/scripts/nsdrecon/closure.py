"""A fingerprint of a script and of everything it imports from this project.

Snakemake reruns a rule when the text of its script changes, but not when a module that the script
imports does. A rule that lists this fingerprint among its params is rerun for exactly the code it
runs: its script, the modules of the library it imports, and those they import.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


def code_fingerprint(script: str | Path, root: str | Path, *loaded: str | Path) -> str:
    """SHA-256 (first 16 hex digits) of a script's local import closure.

    Only what a file says to Python counts: comments, docstrings and layout do not.

    Parameters
    ----------
    script
        Python file.
    root
        Folder from which local modules are imported; other imports are not followed.
    loaded
        Files that the script runs without an import statement, such as extensions of a user.
    """
    root = Path(root).resolve()
    hasher = hashlib.sha256()
    files = set().union(*(import_closure(path, root) for path in (script, *loaded)))
    for path in sorted(files):
        name = path.relative_to(root) if path.is_relative_to(root) else path.name
        hasher.update(f"{name}\n{_meaning(path)}\n".encode())
    return hasher.hexdigest()[:16]


def text_fingerprint(texts: Iterable[str | bytes]) -> str:
    """SHA-256 (first 16 hex digits) of some texts, whatever their order."""
    encoded = sorted(text.encode() if isinstance(text, str) else text for text in texts)
    return hashlib.sha256(b"\0".join(encoded)).hexdigest()[:16]


def import_closure(script: str | Path, root: str | Path) -> set[Path]:
    """The script and all files below ``root`` that it imports, directly or not.

    Importing ``a.b`` counts ``a/__init__.py`` too, as Python runs it, and so do imports inside
    functions.
    """
    root = Path(root).resolve()
    found: set[Path] = set()
    waiting = [Path(script).resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path, root))
    return found


@cache
def _tree(path: Path) -> ast.Module:
    """What a file says to Python: its syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree


@cache
def _imports(path: Path, root: Path) -> frozenset[Path]:
    package = path.relative_to(root).parent.parts if path.is_relative_to(root) else ()
    files: set[Path] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                files.update(_files(tuple(alias.name.split(".")), root))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            files.update(_files(base, root))
            for alias in node.names:
                files.update(_files((*base, alias.name), root))
    return frozenset(files)


def _files(parts: tuple[str, ...], root: Path) -> set[Path]:
    """Files that importing a dotted name runs, as far as they lie below ``root``."""
    files = set()
    for depth in range(1, len(parts) + 1):
        stem = root.joinpath(*parts[:depth])
        for candidate in (stem / "__init__.py", stem.with_suffix(".py")):
            if candidate.is_file():
                files.add(candidate)
    return files


@cache
def _meaning(path: Path) -> str:
    return ast.dump(_tree(path))
