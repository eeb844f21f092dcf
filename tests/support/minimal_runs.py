"""A run of nothing but what the schema requires, at the sizes of a small simulation."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from nsdrecon.vdvae.config import VDVAEConfig
from vdvae_models import random_model
from workflow_runs import copy_project

# As many layers as are predicted where nothing else is said, and one more.
VDVAE = {
    "image_size": 8,
    "width": 8,
    "bottleneck": 0.5,
    "zdim": 3,
    "n_mixtures": 2,
    "encoder_blocks": "8x1,8d2,4d4,1x1",
    "decoder_blocks": "1x1,4m1,4x14,8m4,8x15",
}
SIMULATION = {
    "subjects": [{"shape": [20, 24, 18], "n_voxels": 900}],
    "n_sessions": 1,
    "trials_per_session": 90,
    "n_shared": 8,
    "n_unique": 40,
}
MINIMAL = {
    "run": {"name": "demo"},
    "subjects": [1],
    "systems": ["vdvae"],
    "shards": 1,
    "nsd": {"source": "simulated"},
    "simulation": SIMULATION,
    "models": {"vdvae": {"checkpoint": "vdvae.th", **VDVAE}},
    "regression": {"alpha": {"vdvae": 1000}},
}


def minimal_project(folder: Path) -> Path:
    """A project whose config/config.yaml is the minimal one, with a random VDVAE."""
    project = copy_project(folder)
    (project / "config/config.yaml").write_text(yaml.safe_dump(MINIMAL))
    torch.save(random_model(VDVAEConfig(**VDVAE)).state_dict(), project / "vdvae.th")
    return project
