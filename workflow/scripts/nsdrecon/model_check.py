"""Load each model once, strictly, before hours are spent on what it is used for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nsdrecon.extensions import implementation

if TYPE_CHECKING:
    from torch import nn

    from nsdrecon.diffusion.backbone import Backbone

# Each model's own libraries are imported where it is loaded: they take seconds.

Part = dict[str, object]
Encoder = Callable[..., object]


def loaded_parts(kind: str, settings: Mapping[str, object], place: str | None = None) -> list[Part]:
    """The networks of a model after loading them: ``part``, ``source``, number of ``parameters``.

    Parameters
    ----------
    kind
        ``vdvae``, ``backbone``, ``text`` or ``vision`` for the encoder of a feature space, or
        ``networks`` for all that score.
    settings
        The model's section of the configuration; of ``networks`` the ``protocol`` and the
        ``networks``. Parameters of networks and of encoders are not counted.
    place
        Of a backbone's class or an encoder's function, as ``module:Name``.

    Raises
    ------
    InputError
        If a file is damaged or of another model.
    """
    load = _LOADERS[kind]
    return list(load(**settings) if place is None else load(implementation(place), **settings))


def _vdvae(checkpoint: str, **architecture: object) -> Iterator[Part]:
    from nsdrecon.vdvae.checkpoint import load_vdvae
    from nsdrecon.vdvae.config import VDVAEConfig

    yield _row("vdvae", load_vdvae(checkpoint, VDVAEConfig(**architecture)), checkpoint)


def _backbone(loader: type[Backbone], folder: str) -> Iterator[Part]:
    model = loader.load(folder)
    yield _row("unet", model.unet, model.spec.folder)
    yield _row("vae", model.vae, model.spec.folder / "vae")


def _text(encoder: Encoder, folder: str) -> Iterator[Part]:
    yield _encoded(encoder, [["a caption"]], folder)


def _vision(encoder: Encoder, folder: str) -> Iterator[Part]:
    import numpy as np

    yield _encoded(encoder, np.full((1, 64, 64, 3), 127, dtype=np.uint8), folder)


def _encoded(encoder: Encoder, seen: object, folder: str) -> Part:
    """The encoder after it has encoded one caption or image."""
    import numpy as np

    encoder(np.array([0]), seen, folder, batch_size=1, device="cpu")
    return {"part": encoder.__name__, "source": folder}


def _networks(protocol: str, networks: Sequence[Mapping[str, object]]) -> Iterator[Part]:
    from nsdrecon.evaluation.networks import FeatureExtractor, by_network
    from nsdrecon.evaluation.protocols import protocol as named
    from nsdrecon.metrics import from_params

    for group in by_network([from_params(row) for row in networks]):
        FeatureExtractor(group, named(protocol))
        yield {"part": ", ".join(m.name for m in group), "source": group[0].weights}


def _row(part: str, network: nn.Module, source: str | Path) -> Part:
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"part": part, "source": source, "parameters": count}


_LOADERS = {
    "backbone": _backbone,
    "networks": _networks,
    "text": _text,
    "vdvae": _vdvae,
    "vision": _vision,
}
