"""Training of the small models of the demo, from nothing, on procedurally drawn scenes.

``make demo-models`` rebuilds every folder of ``workflow/demo_models``.
"""

from pathlib import Path

MODELS = Path(__file__).resolve().parents[3] / "demo_models"
