"""Make torchvision importable beside a CPU build of torch: part of ``make setup``.

The published torchvision is built for CUDA. Beside a CPU build of torch its compiled operators do
not load, and registering their shapes then fails as a whole. The networks that the workflow uses
need none of these operators, so the two registrations are taken out; where torchvision imports as
it is, nothing is done.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

REGISTRATION = re.compile(
    r'^@torch\.library\.register_fake\("torchvision::q?nms"\)\n', re.MULTILINE
)


def error_of_import() -> str:
    """What ``import torchvision`` says in a process of its own, empty if it works."""
    command = [sys.executable, "-c", "import torchvision"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def main() -> None:
    """Take the registrations out if, and only if, the import fails because of them."""
    if "operator torchvision::nms does not exist" not in error_of_import():
        return
    folder = Path(importlib.util.find_spec("torchvision").origin).parent
    path = folder / "_meta_registrations.py"
    path.write_text(REGISTRATION.sub("", path.read_text()))
    if remaining := error_of_import():
        sys.exit(f"torchvision cannot be imported beside this torch:\n{remaining}")


if __name__ == "__main__":
    main()
