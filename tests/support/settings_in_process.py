"""What is looked at in a configuration before anything is planned, without starting Snakemake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from snakemake.utils import update_config

from nsdrecon.datasets import data_files
from nsdrecon.diffusion.settings import Sampling
from nsdrecon.run import Run
from nsdrecon.settings import complete_settings, read_schema, with_workflow_folder
from nsdrecon.sources import ModelFiles
from nsdrecon.systems import Registry, registry
from nsdrecon.vdvae.config import VDVAEConfig
from nsdsim.config import SimulationConfig
from workflow_runs import ROOT

REGISTRY = registry()
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"


def settings_of(
    *overlays: str | Mapping[str, Any], base: str = "config/config.yaml", rows: Registry = REGISTRY
) -> dict[str, Any]:
    """A configuration with others laid over it, checked against the schema and with its defaults.

    Files are looked for in the project's folder; those that win come first in errors.
    """
    settings: dict[str, Any] = {}
    files = []
    for overlay in (base, *overlays):
        if isinstance(overlay, str):
            files.insert(0, ROOT / overlay)
            overlay = yaml.safe_load((ROOT / overlay).read_text())
        update_config(settings, overlay)
    settings = with_workflow_folder(settings, ROOT / "workflow", ROOT)
    complete_settings(settings, read_schema(SCHEMA, rows), files)
    return settings


def run_of(settings: dict[str, Any], rows: Registry = REGISTRY) -> Run:
    """The run of a whole configuration, which gets its defaults."""
    complete_settings(settings, read_schema(SCHEMA, rows))
    return Run(settings, rows)


def looked_at(*overlays: str | Mapping[str, Any], rows: Registry = REGISTRY) -> Run:
    """The run of a configuration, after everything that its rules look at when they are read."""
    settings = settings_of(*overlays, rows=rows)
    run = Run(settings, rows)
    data, models = data_files(run), ModelFiles(run)
    data.needed(), data.downloads_in_detail(), models.downloads()
    architecture = {k: v for k, v in settings["models"]["vdvae"].items() if k != "checkpoint"}
    VDVAEConfig(**architecture).n_latent_layers(settings["latents"]["vdvae_layers"])
    names = ("encoding", "guidance", "rounding", "start", "steps", "strength", "variance")
    Sampling(**{name: settings["stage2"][name] for name in names})
    if data.simulated:
        SimulationConfig.from_mapping(settings["simulation"])
    return run
