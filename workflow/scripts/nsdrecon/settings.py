"""Checks of the configuration, with one line for each mistake.

Snakemake's own ``validate`` answers a misspelt key with the whole configuration.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators

from nsdrecon.errors import InputError
from nsdrecon.mistakes import PAGE, mistakes
from nsdrecon.systems import STAGE1, Registry

_WORKFLOW = "<workflow>"
# To JSON 2.0 is an integer; what takes one would stumble over it later.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def named_extensions(settings: Mapping[str, Any]) -> list[str]:
    """The user's files that a configuration names, before it is checked.

    Anything but a text is left to the check, which knows how to name it.
    """
    named = settings.get("extensions", [])
    return [path for path in named if isinstance(path, str)] if isinstance(named, list) else []


def read_schema(path: str | Path, registry: Registry) -> dict[str, Any]:
    """The JSON schema of the configuration, with the names of a registry in it.

    Its definitions of a system and of an oracle are given their names; each feature space gets a
    penalty and each model a section of its folders. Features that pictures have are examples of
    what responses can be predicted from, since networks that score can be, too.
    """
    schema = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    definitions, sections = schema["$defs"], schema["properties"]
    definitions["system"]["enum"] = list(registry.systems)
    definitions["oracle"]["enum"] = list(registry.oracles)
    sections["brain"]["properties"]["encoding"]["examples"] = registry.pictured
    penalties = dict.fromkeys((STAGE1, *registry.features), definitions["alpha"])
    sections["regression"]["properties"]["alpha"]["properties"] = penalties
    sections["models"]["properties"] |= dict.fromkeys(registry.models, definitions["model"])
    return schema


def complete_settings(
    settings: dict[str, Any], schema: Mapping[str, Any], files: Sequence[str | Path] = ()
) -> None:
    """Compare a configuration with its JSON schema, and fill in the defaults it leaves out.

    Parameters
    ----------
    settings
        Completed in place.
    schema
        Of :func:`read_schema`.
    files
        Where the settings come from, files that win first; errors name the file that they are in.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value is not of the right kind; every mistake is named
        with its place.
    """
    _fill(settings, schema)
    found = mistakes(_Validator(schema).iter_errors(settings), schema, files)
    if len(found) == 1:
        raise found[0]
    if found:
        raise InputError(
            "configuration",
            found=f"{len(found)} mistakes:\n  " + "\n  ".join(map(str, found)) + "\n",
            expected=f"settings as in {PAGE}",
        )


def with_workflow_folder(
    settings: Mapping[str, Any], folder: Path, working_folder: Path
) -> dict[str, Any]:
    """A configuration in which ``<workflow>`` at the start of a text is the workflow's folder.

    Files that come with the workflow are found that way wherever it runs. The folder is written
    relative to the working directory if it lies below it, so that a clone may be moved without a
    change of settings.

    Raises
    ------
    InputError
        If such a text is there, and the workflow is no folder of this machine: one that Snakemake
        fetches file by file has no models.
    """
    below = folder.is_relative_to(working_folder)
    place = str(folder.relative_to(working_folder) if below else folder)

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        if isinstance(value, str) and value.startswith(f"{_WORKFLOW}/"):
            if not folder.is_dir():
                raise InputError(
                    "configuration",
                    found=f"{value}, with a workflow that lies in no folder of this machine",
                    expected="a clone of the workflow",
                    remedy="Clone it, and give the path of its Snakefile.",
                )
            return place + value.removeprefix(_WORKFLOW)
        return value

    return filled(settings)


def default_values(schema: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names of the settings that have a default, with it."""
    found: dict[str, Any] = {}
    for name, rule in schema.get("properties", {}).items():
        if rule.get("properties"):
            found |= default_values(rule, f"{prefix}{name}.")
        elif "default" in rule:
            found[f"{prefix}{name}"] = rule["default"]
    return found


def setting(settings: Mapping[str, Any], key: str) -> Any:
    """One value of a configuration; dots in its key reach into sections."""
    value: Any = settings
    for part in key.split("."):
        value = value[part]
    return value


def _fill(settings: dict[str, Any], rules: Mapping[str, Any]) -> None:
    for name, rule in rules.get("properties", {}).items():
        if "default" in rule:
            settings.setdefault(name, copy.deepcopy(rule["default"]))
        if isinstance(settings.get(name), dict):
            _fill(settings[name], rule)
