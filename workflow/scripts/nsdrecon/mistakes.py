"""Mistakes in a configuration, each as one line: file and key, what is there, what may be there.

jsonschema says what a rule of the schema forbids; a person wants to know what to write.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from jsonschema import ValidationError

from nsdrecon.errors import InputError, listing

PAGE = "config/README.md"
"""Where every setting is explained."""

_MANY = 12  # names of a list in a message
_KINDS = {
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("a text", "texts"),
    "boolean": ("true or false", "true or false"),
    "null": ("null", "null"),
    "array": ("a list", "lists"),
    "object": ("a section of settings", "sections of settings"),
}


def mistakes(
    errors: Iterable[ValidationError], schema: Mapping[str, Any], files: Sequence[str | Path]
) -> list[InputError]:
    """What a person is told of the errors that a schema finds in a configuration.

    Parameters
    ----------
    errors
        Of jsonschema.
    schema
        The whole schema: a key that is not known in one section may be one of another.
    files
        The configuration's files, those that win first; an error names the one that it is in.
    """
    found = (mistake for error in errors for mistake in _mistakes(error, schema, files))
    # Of several missing keys of a section the schema tells each as often as there are keys.
    return list({mistake.source: mistake for mistake in found}.values())


@contextmanager
def plainly(files: Sequence[str | Path]) -> Iterator[None]:
    """Bad input ends the program with one line, not with places in the code.

    Parameters
    ----------
    files
        The configuration's files, those that win first; the one that has the setting is named.
    """
    try:
        yield
    except InputError as error:
        key = error.source.split(".")
        file = next((file for file in files if _has(file, key)), None)
        raise SystemExit(f"Error: {f'{_below(file)}: ' if file else ''}{error}") from None


def without_places(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one line that a person stopped the program; in Python's way whatever else ended it.

    For ``sys.excepthook``, since Snakemake lets an interrupt through while it plans.
    """
    if issubclass(kind, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def readable(path: str | Path) -> str:
    """The path of a configuration file that holds settings.

    Raises
    ------
    InputError
        If it is not YAML, with the line, or has no keys.
    """
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not text"
        raise InputError(
            place, found=f"no YAML ({problem})", expected=f"settings as in {PAGE}"
        ) from None
    if not isinstance(settings, dict):
        raise InputError(path, found=_shown(settings), expected=f"keys with values, as in {PAGE}")
    return str(path)


def described(rule: Mapping[str, Any], plural: bool = False) -> str:
    """The values that a rule of the schema allows, in words."""
    if "oneOf" in rule:
        return ", or ".join(described(one, plural) for one in rule["oneOf"])
    if "const" in rule:
        return str(rule["const"])
    if "enum" in rule:
        return f"{'some' if plural else 'one'} of {listing(rule['enum'], _MANY)}"
    kinds = rule.get("type", "object")
    names = [_KINDS[kind][plural] for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    text = " or ".join(names) + _bounds(rule)
    if "items" in rule:
        named = "enum" in rule["items"]
        several = "different " if rule.get("uniqueItems") and not named else ""
        text = f"{text} of {several}{described(rule['items'], plural=True)}"
    if "pattern" in rule:
        text = f"{text} that matches {rule['pattern']}"
    return text


def _bounds(rule: Mapping[str, Any]) -> str:
    low, high = rule.get("minimum"), rule.get("maximum")
    if low is not None:
        return f" from {low} to {high}" if high is not None else f" of {low} or more"
    if (above := rule.get("exclusiveMinimum")) is None:
        return ""
    below = rule.get("exclusiveMaximum")
    ends = f" and below {below}" if below is not None else f" and up to {high}"
    return f" above {above}" + (ends if (high, below) != (None, None) else "")


def _mistakes(
    error: ValidationError, schema: Mapping[str, Any], files: Sequence[str | Path]
) -> Iterator[InputError]:
    keys = list(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for name in error.instance:
            if name not in known:
                yield InputError(
                    _place([*keys, name], files),
                    found="a key that does not exist",
                    expected=f"one of {listing(known, 2 * _MANY)}",
                    remedy=_remedy(_similar_key(str(name), keys, known, schema)),
                )
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield InputError(
                    _place([*keys, name], files, keys),
                    found="nothing",
                    expected=_described_key(schema, [*keys, name]),
                    remedy=_remedy(None),
                )
    else:
        yield InputError(
            _place(keys, files),
            found=_shown(error.instance),
            expected=described(error.schema),
            remedy=_remedy(_similar_value(error)),
        )


def _place(
    keys: Sequence[str | int],
    files: Sequence[str | Path],
    inside: Sequence[str | int] | None = None,
) -> str:
    """File and key, such as ``config/mine.yaml: subjects[0]``; the key alone if no file has it."""
    name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    looked_for = [key for key in (keys if inside is None else inside) if isinstance(key, str)]
    file = next((file for file in files if looked_for and _has(file, looked_for)), None)
    return f"{_below(file)}: {name.lstrip('.')}" if file else name.lstrip(".")


def _below(file: str | Path) -> Path:
    """The file's path from the working folder, if it lies below it."""
    path, here = Path(file), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _has(file: str | Path, keys: Sequence[str]) -> bool:
    try:
        settings = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return False  # that is an error of its own, which names the file
    for key in keys:
        # Below a list the keys go on in one of its items: the list itself says whose file it is.
        if isinstance(settings, list):
            return True
        if not isinstance(settings, dict) or key not in settings:
            return False
        settings = settings[key]
    return True


def _described_key(schema: Mapping[str, Any], keys: Sequence[str | int]) -> str:
    """What is expected of a key, from the whole schema: a condition in it requires names alone."""
    rule = schema
    for key in keys:
        if isinstance(key, int):
            rule = rule["items"]
        else:
            rule = rule.get("properties", {}).get(key) or rule["additionalProperties"]
    text = rule.get("description", "").rstrip(".")
    if not text[1:2].isupper():  # a name such as NIfTI keeps its capital
        text = text[:1].lower() + text[1:]
    return f"{described(rule)}: {text}" if text else described(rule)


def _similar_key(
    name: str, keys: Sequence[str | int], known: Sequence[str], schema: Mapping[str, Any]
) -> str | None:
    """The key that was meant: one of the same section, or the same name in another."""
    if close := difflib.get_close_matches(name, known, 1):
        return ".".join(str(key) for key in [*keys, close[0]])
    # Of sections that have the same key the first, which the others are about.
    others = {path.rpartition(".")[2]: path for path in reversed([*_paths(schema)])}
    close = difflib.get_close_matches(name, others, 1, cutoff=0.8)
    return others[close[0]] if close else None


def _paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, rule in schema.get("properties", {}).items():
        yield prefix + name
        yield from _paths(rule, f"{prefix}{name}.")


def _similar_value(error: ValidationError) -> str | None:
    if error.validator == "enum":
        close = difflib.get_close_matches(str(error.instance), map(str, error.validator_value), 1)
        return close[0] if close else None
    if error.validator == "type" and isinstance(error.instance, str):
        digits = "".join(filter(str.isdigit, error.instance))
        whole = "integer" in error.validator_value
        return str(int(digits)) if whole and digits and len(error.instance) < 8 else None
    return None


def _remedy(meant: str | None) -> str:
    page = f"See {PAGE}."
    return f"Did you mean {meant}? {page}" if meant else page


def _shown(value: Any) -> str:
    """A value as it stands in YAML, without the values of a whole section."""
    if value is None:
        return "nothing (null)"
    text = repr(value)
    if isinstance(value, bool):
        return text.lower()
    return text if len(text) < 80 else f"{text[:77]}..."
