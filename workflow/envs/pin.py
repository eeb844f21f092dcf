"""Write nsdrecon.yaml, the environment of every rule, from requirements.lock.

Usage: python workflow/envs/pin.py  (part of ``make lock``)
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "workflow" / "envs" / "nsdrecon.yaml"


def pinned(lock: str) -> dict[str, str]:
    """Name to version of every package in the text of a lock file."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s\\;]+)", lock, flags=re.MULTILINE))


def environment() -> str:
    """The text of the conda environment: Python, and pip packages at the locked versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = pinned((ROOT / "requirements.lock").read_text())
    lines = [
        "# Written by workflow/envs/pin.py from requirements.lock: change that, not this.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
    ]
    for requirement in project["dependencies"]:
        name, _, exact = requirement.partition("==")
        lines.append(f"      - {name}=={exact or versions[name]}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(environment())
