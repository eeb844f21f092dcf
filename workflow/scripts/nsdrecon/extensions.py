"""Python files of a user that add rows to the tables of what the workflow can use.

The configuration names such files (``extensions``). Each may hold lists of rows under fixed names,
for instance ``FEATURES``. What a row stands for is named as ``module:Name``, as ``:Name`` where it
is in the row's own file, or as ``file.py:Name`` in a file beside it. Every job reads the rows, so a
file of rows is quick if what needs torch stands in another.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from dataclasses import fields, replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from nsdrecon.errors import InputError

Row = TypeVar("Row", bound=Any)

_TITLE = re.compile(r"[\w .,:()+/=%&-]+")


def load(path: str | Path) -> ModuleType:
    """Run a Python file once in this process, under a module name that nothing else has.

    Parameters
    ----------
    path
        Relative to the working directory.

    Raises
    ------
    InputError
        If there is no such file, or it raises; the error names its line.
    """
    file = Path(path).resolve()
    name = f"nsdrecon_extension_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(path, found="no Python file", expected="a file that `extensions` names")
    module = module_from_spec(spec)
    # Registered before it runs: dataclasses look their own module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(
            path, found=_reason(error, file), expected="a Python file that runs without an error"
        ) from error
    return module


def rows(path: str | Path, name: str, kind: type[Row]) -> list[Row]:
    """The rows that a file adds to one table.

    Parameters
    ----------
    path
        Python file.
    name
        Of the list in it; a file without it adds nothing to this table.
    kind
        Class of the rows, a dataclass. Places in files get the path of the file.

    Raises
    ------
    InputError
        If the file does not run, or ``name`` is not a list of such rows.
    """
    found = []
    listed = getattr(load(path), name, [])
    if not isinstance(listed, list | tuple):
        raise InputError(
            f"{path}: {name}", found=type(listed).__name__, expected=f"a list of {kind.__name__}"
        )
    for number, row in enumerate(listed):
        if not isinstance(row, kind):
            raise InputError(
                f"{path}: {name}[{number}]", found=repr(row), expected=f"a {kind.__name__}"
            )
        found.append(_with_paths(row, path))
    return found


def check_title(title: str, source: str | Path) -> None:
    """Stop at a title that would be read as markup in tables and pages.

    Raises
    ------
    InputError
        If it has other characters than letters, digits, blanks and plain punctuation.
    """
    if not _TITLE.fullmatch(title):
        raise InputError(
            source,
            found=f"the title {title!r}",
            expected="letters, digits, blanks and any of . , : ( ) + - _ / = % &",
        )


def implementation(dotted: str) -> Any:
    """What ``module:Name`` or ``file.py:Name`` stands for.

    Raises
    ------
    InputError
        If the file or module cannot be used or has nothing of that name.
    """
    place, name = _split(dotted)
    try:
        module = load(place) if _is_file(place) else importlib.import_module(place)
        return getattr(module, name)
    except ImportError as error:
        raise InputError(
            place, found=str(error), expected="a Python file or an installed module"
        ) from error
    except AttributeError:
        raise InputError(
            place, found=f"nothing with the name {name}", expected=f"a class or function {name}"
        ) from None


def source(dotted: str) -> Path:
    """The file in which ``module:Name`` or ``file.py:Name`` stands, without running it.

    Raises
    ------
    InputError
        If there is no such module, or it is no file.
    """
    place, _ = _split(dotted)
    if _is_file(place):
        return Path(place)
    spec = find_spec(place)
    if spec is None or spec.origin is None:
        raise InputError(place, found="no such file", expected="a Python file or a module in one")
    return Path(spec.origin)


def _split(dotted: str) -> tuple[str, str]:
    place, separator, name = dotted.rpartition(":")
    if not (separator and place and name):
        raise InputError(dotted, found="no such place", expected="module:Name or file.py:Name")
    return place, name


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _with_paths(row: Row, path: str | Path) -> Row:
    """The row, with ``:Name`` and ``beside.py:Name`` as places below the working directory."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    found = {}
    for field, value in values.items():
        place, separator, name = value.rpartition(":") if isinstance(value, str) else ("", "", "")
        if separator and (not place or _is_file(place)):
            found[field] = f"{Path(path).parent / place if place else path}:{name}"
    return replace(row, **found)


def _reason(error: Exception, file: Path) -> str:
    """The error and, where it is known, the line of the file that led to it."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == file
    ]
    place = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{place}: {error}"
