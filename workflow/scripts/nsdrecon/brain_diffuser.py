"""The published Brain-Diffuser (Ozcelik & VanRullen 2023) as settings of this workflow.

``config/brain-diffuser.yaml`` lays these settings over a configuration. Only a run that has all of
them gives its systems the titles of the published ones (`nsdrecon.systems.PUBLISHED_TITLES`).
"""

from __future__ import annotations

from collections.abc import Mapping

from nsdrecon.settings import setting

SETTINGS: Mapping[str, object] = {
    "nsd.sessions": 37,
    "nsd.space": "func1pt8mm",
    "nsd.betas": "betas_fithrf_GLMdenoise_RR",
    "nsd.mask": "nsdgeneral",
    "responses.session_zscore": False,
    "responses.min_ncsnr": None,
    "latents.vdvae_layers": 31,
    "latents.vdvae_values": "sample",
    "latents.vdvae_precision": "float32",
    "latents.vision_resize": "brain-diffuser",
    "regression.alpha.vdvae": 50000,
    "regression.alpha.vd-text": 100000,
    "regression.alpha.vd-vision": 60000,
    "regression.rescale": "test",
    "stage1.output": "sample",
    "stage1.temperature": 1.0,
    "stage1.rounding": "truncate",
    "stage1.precision": "float32",
    "stage2.steps": 50,
    "stage2.strength": 0.75,
    "stage2.guidance": 7.5,
    "stage2.start": "brain-diffuser",
    "stage2.encoding": "sample",
    "stage2.text_weight": 0.4,
    "stage2.samples": 1,
    "stage2.precision": "float16",
    "stage2.rounding": "truncate",
}


def as_published(settings: Mapping[str, object]) -> bool:
    """Whether a complete configuration has every published setting."""
    try:
        return all(setting(settings, key) == value for key, value in SETTINGS.items())
    except KeyError:  # the penalty of a feature space that the run does not predict
        return False
