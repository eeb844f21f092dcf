"""Settings that a run can try several values of, each in a variant of the subjects.

Imports nothing heavy: the workflow reads this module whenever it is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping

ABLATIONS: Mapping[str, str] = {
    "strength": "stage2.strength",
    "guidance": "stage2.guidance",
    "steps": "stage2.steps",
    "samples": "stage2.samples",
    "variance": "stage2.variance",
    "rescale": "regression.rescale",
    "alpha": "regression.alpha",
}
"""Keys of ``ablations`` in the configuration to the settings that they change.

A variant has files of its own from the first job on that uses the setting, and shares the others.
"""
