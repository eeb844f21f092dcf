"""Training of the small models of the demo, from nothing, on procedurally drawn scenes.

``python -m workflow.demo_models.training`` rebuilds every folder beside this package. The library
itself is not needed to be installed: its folder is put on the import path here.
"""

from __future__ import annotations

import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1]
_LIBRARY = str(MODELS.parent / "scripts")
if _LIBRARY not in sys.path:
    sys.path.insert(0, _LIBRARY)
