"""The whole workflow at its smallest: every rule, one subject, one backbone; the demo has both."""

from __future__ import annotations

# Laid over config/demo.yaml.
TINY = {
    "subjects": [1],
    "systems": ["vdvae", "sd-ddim"],
    "oracles": ["oracle-vdvae"],
    "nsd": {"sessions": [1, 2]},
    "simulation": {
        "subjects": [{"shape": [14, 16, 12], "n_voxels": 300}] * 2,
        "n_sessions": 3,
        "trials_per_session": 60,
        "n_shared": 12,
        "n_unique": 60,
    },
    "latents": {"vdvae_layers": 4},
    "stage2": {"steps": 4},
    "evaluation": {"bootstrap": 100},
    # Correlation needs the other backbone's encoder; the other two are the demo's.
    "brain": {"correlation": [], "dimensions": [], "pictures": []},
}
OVERLAYS = ("config/demo.yaml", TINY)
