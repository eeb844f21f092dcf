"""What a node sees: run there as a program of its own, with nothing of the library.

Usage: python probe.py FOLDER NAME [--torch]

Reads the token in the folder and writes it, with the node's name, into ``NAME.json`` beside it.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")
AMD = Path("/dev/kfd")


def driver() -> str | None:
    """Version of the GPU's driver on this machine, None without one."""
    if DRIVER.exists():
        found = re.search(r"\b\d+\.\d+[.\d]*", DRIVER.read_text(encoding="utf-8"))
        return found[0] if found else "of unknown version"
    return "of AMD" if AMD.exists() else None


def torch_facts() -> dict[str, str | None]:
    """torch's version and what it is built for, the driver, and what came of computing on a GPU.

    ``build`` is None for a build for CPUs alone; ``device`` is the GPU's name, None if it did not
    compute, and ``error`` then says why.
    """
    import torch

    facts = {
        "torch": torch.__version__,
        "build": torch.version.cuda or torch.version.hip,
        "driver": driver(),
        "device": None,
        "error": None,
    }
    try:
        torch.ones(2, device="cuda").sum().item()
        facts["device"] = torch.cuda.get_device_name()
    except (AssertionError, RuntimeError) as error:
        facts["error"] = " ".join(str(error).split())
    return facts


def main(folder: str, name: str, *options: str) -> None:
    """Write what this node is to ``name.json`` in a folder, with the ``token`` it finds there."""
    token = (Path(folder) / "token").read_text(encoding="utf-8")
    facts: dict[str, object] = {"token": token, "node": platform.node()}
    if "--torch" in options:
        facts["torch"] = torch_facts()
    partial = Path(folder) / f"{name}.partial"
    partial.write_text(json.dumps(facts), encoding="utf-8")
    partial.rename(Path(folder) / f"{name}.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
