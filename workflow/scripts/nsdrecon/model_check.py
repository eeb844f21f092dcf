"""Load each model once, strictly, before hours are spent on what it is used for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from nsdrecon.diffusion.backbone import Backbone

# Each model's own libraries are imported where it is loaded: they take seconds.

Part = dict[str, object]


def loaded_parts(model: str, settings: Mapping[str, object]) -> list[Part]:
    """The networks of a model after loading them: ``part``, ``source``, number of ``parameters``.

    Parameters
    ----------
    model
        ``vdvae``, ``stable_diffusion``, ``versatile_diffusion``, or ``networks`` for all that
        score.
    settings
        Its section of the configuration; of ``networks`` the ``protocol`` and the ``networks``,
        whose parameters are not counted.

    Raises
    ------
    InputError
        If a file is damaged or of another model.
    """
    return list(_LOADERS[model](**settings))


def _vdvae(checkpoint: str, **architecture: object) -> Iterator[Part]:
    from nsdrecon.vdvae.checkpoint import load_vdvae
    from nsdrecon.vdvae.config import VDVAEConfig

    yield _row("vdvae", load_vdvae(checkpoint, VDVAEConfig(**architecture)), checkpoint)


def _stable_diffusion(**folders: str | None) -> Iterator[Part]:
    from nsdrecon.diffusion.stable_diffusion import StableDiffusion

    yield from _backbone(StableDiffusion.load(**folders))


def _versatile_diffusion(**folders: str | None) -> Iterator[Part]:
    from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion

    yield from _backbone(VersatileDiffusion.load(**folders))


def _backbone(model: Backbone) -> Iterator[Part]:
    yield _row("unet", model.unet, model.spec.folder)
    yield _row("vae", model.vae, model.spec.vae_folder)


def _networks(protocol: str, networks: Sequence[dict[str, str]]) -> Iterator[Part]:
    from nsdrecon.evaluation.networks import (
        FeatureExtractor,
        by_network,
        check_metrics,
        configured_metrics,
    )
    from nsdrecon.evaluation.protocols import protocol as named

    rules = named(protocol)
    metrics = configured_metrics(rules, networks)
    check_metrics(rules, metrics)
    for group in by_network(metrics):
        FeatureExtractor(group, rules)
        yield {"part": ", ".join(m.name for m in group), "source": group[0].weights}


def _row(part: str, network: nn.Module, source: str | Path) -> Part:
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"part": part, "source": source, "parameters": count}


_LOADERS = {
    "networks": _networks,
    "stable_diffusion": _stable_diffusion,
    "vdvae": _vdvae,
    "versatile_diffusion": _versatile_diffusion,
}
