"""A user's rows: a feature space, and a backbone that it guides together with one of the library.

What needs torch stands in a file of its own: this one is read by every job.
"""

import numpy as np

from nsdrecon.systems import Backbone, Feature


def mean_colours(nsd_id, seen, folder, *, batch_size, device):
    """Mean colour of each image, red to blue in -1..1, shape (n, 1, 3)."""
    batches = [seen[start : start + batch_size] for start in range(0, len(nsd_id), batch_size)]
    means = np.concatenate([batch.mean(axis=(1, 2)) for batch in batches])
    return (means / 127.5 - 1).astype(np.float32)[:, None]


FEATURES = [Feature("toy-colour", model="toy", encoder=":mean_colours", kind="vision")]
BACKBONES = [
    Backbone(
        "toy-tinted",
        model="toy",
        title="Tinted Diffusion",
        loader="toy_backbone.py:TintedDiffusion",
        features={"text": "sd-text", "colour": "toy-colour"},
    )
]
