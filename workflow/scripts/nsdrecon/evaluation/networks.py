"""Networks whose features are compared, read from local files.

``alexnet``, ``inception_v3``, ``efficientnet_b1``
    torchvision's, with torchvision's weight files.
``resnet50-swav``
    torchvision's ResNet-50 with the trunk of a SwAV checkpoint (Caron et al. 2020).
``clip-vit-l-14``
    CLIP ViT-L/14 (Radford et al. 2021) in a folder of transformers.
``clip``
    Any CLIP in a folder of transformers.

torchvision is needed only where one of its networks is loaded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.protocols import (
    CLIP_MEAN,
    CLIP_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PROTOCOLS,
    Protocol,
)
from nsdrecon.pretrained import UNREADABLE, config_value, load_fault, load_model, read_config

Device = str | torch.device

SCORES = ("two-way", "distance")
IMAGE_EMBEDDING = "image_embeds"
_PIXEL_METRICS = ("PixCorr", "SSIM")


@dataclass(frozen=True)
class NetworkMetric:
    """One column of the tables that a network computes.

    Attributes
    ----------
    name
        Column name. A name of the published tables is only for the network of that table.
    architecture
        One of ``ARCHITECTURES``.
    weights
        Weight file, or the folder of a CLIP.
    layer
        Module of the network whose output is compared, such as ``features.4``; ``image_embeds``,
        the projected image embedding, for CLIP.
    score
        ``two-way``: two-way identification; ``distance``: correlation distance.
    size
        Height and width of the network's input, pixels.
    mean, std
        Of the red, green and blue values, in [0, 1], that the network was trained on.
    """

    name: str
    architecture: str
    weights: Path
    layer: str
    score: str
    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"metric {self.name!r}",
                found=f"architecture {self.architecture!r}",
                expected=f"one of {', '.join(ARCHITECTURES)}",
            )
        if self.score not in SCORES:
            raise InputError(
                f"metric {self.name!r}",
                found=f"score {self.score!r}",
                expected=f"one of {', '.join(SCORES)}",
            )


def published_metric(protocol: Protocol, name: str, weights: str | Path) -> NetworkMetric:
    """The metric of a protocol's published tables, with its weight file or folder.

    Raises
    ------
    InputError
        If the protocol has no network metric of that name.
    """
    if name not in protocol.networks:
        raise InputError(
            f"protocol {protocol.name!r}",
            found=f"network metric {name!r}",
            expected=f"one of {', '.join(protocol.networks)}",
        )
    spec = protocol.networks[name]
    return NetworkMetric(
        name,
        spec.architecture,
        Path(weights),
        spec.layer,
        spec.score,
        spec.size,
        spec.mean,
        spec.std,
    )


def clip_metric(name: str, folder: str | Path) -> NetworkMetric:
    """Two-way identification by the image embedding of any CLIP, at the CLIP's own input size.

    Raises
    ------
    InputError
        If the folder's configuration is missing or names no input size.
    """
    config = _clip_config(folder)
    size = config_value(config.get("vision_config", config), "image_size", folder)
    return NetworkMetric(
        name, "clip", Path(folder), IMAGE_EMBEDDING, "two-way", size, CLIP_MEAN, CLIP_STD
    )


def configured_metrics(
    protocol: Protocol, entries: Iterable[Mapping[str, str]]
) -> list[NetworkMetric]:
    """The network metrics of a configuration, in its order.

    Parameters
    ----------
    protocol
        Protocol of the run.
    entries
        ``name`` and ``weights`` of each column. A name of the protocol's published tables stands
        for the network of that table; any other for a CLIP in a folder of transformers.
    """
    return [
        published_metric(protocol, entry["name"], entry["weights"])
        if entry["name"] in protocol.networks
        else clip_metric(entry["name"], entry["weights"])
        for entry in entries
    ]


def check_metrics(protocol: Protocol, metrics: Sequence[NetworkMetric]) -> None:
    """Check that no column name stands twice, or for another network than the published one.

    Names are compared without case and punctuation, so ``clip`` is reserved like ``CLIP``.

    Raises
    ------
    InputError
        If a name is double or taken, or if a weight file is not the published one.
    """
    names = [_plain(name) for name in (*_PIXEL_METRICS, *(metric.name for metric in metrics))]
    for metric in metrics:
        if names.count(_plain(metric.name)) > 1:
            raise InputError("evaluation metrics", found=f"{metric.name!r} twice", expected="once")
        reserved = {_plain(name): name for known in PROTOCOLS.values() for name in known.networks}
        name = reserved.get(_plain(metric.name))
        if name is None:
            continue
        if metric != published_metric(protocol, name, metric.weights):
            raise InputError(
                f"metric {metric.name!r}",
                found=f"{metric.architecture}, layer {metric.layer}, {metric.size} pixels",
                expected=f"under this name only the {name} of protocol {protocol.name!r}",
                remedy="Give another network another name.",
            )
        _check_digest(metric.weights, protocol.networks[name].sha256_prefixes)


def by_network(metrics: Sequence[NetworkMetric]) -> Iterator[list[NetworkMetric]]:
    """Metrics in groups that share one network and input, so that each picture passes it once."""

    def network(metric: NetworkMetric) -> tuple:
        return (metric.architecture, str(metric.weights), metric.size, metric.mean, metric.std)

    for _, group in groupby(sorted(metrics, key=network), key=network):
        yield list(group)


class FeatureExtractor:
    """The layers of one network that a group of metrics compares.

    Parameters
    ----------
    metrics
        Metrics that share one network and input (:func:`by_network`).
    protocol
        Says how pictures are resized to the network's input.
    device
        Where the network runs.

    Raises
    ------
    InputError
        If torchvision is needed and missing, if the weights are not of the architecture, or if it
        has no such layer.
    """

    def __init__(
        self, metrics: Sequence[NetworkMetric], protocol: Protocol, device: Device = "cpu"
    ) -> None:
        first = metrics[0]
        self._resize = protocol.network_input
        self._size = first.size
        self._mean = torch.tensor(first.mean).view(3, 1, 1)
        self._std = torch.tensor(first.std).view(3, 1, 1)
        self._layer = {metric.name: metric.layer for metric in metrics}
        self._device = device
        self._forward = ARCHITECTURES[first.architecture](
            first.weights, sorted(set(self._layer.values())), device
        )

    def __call__(
        self, images: Iterable[np.ndarray], n_images: int, batch_size: int = 32
    ) -> dict[str, np.ndarray]:
        """Features of pictures.

        Parameters
        ----------
        images
            ``n_images`` pictures, uint8 (height, width, 3), read as they are needed.
        n_images
            Their number.
        batch_size
            Pictures that pass the network together.

        Returns
        -------
        Metric name to float32 features, (n_images, n_features), layers flattened in C order.
        """
        found: dict[str, np.ndarray] = {}
        start = 0
        for batch in _batches(images, batch_size):
            pixels = torch.from_numpy(
                np.stack([self._resize(image, self._size) for image in batch])
            )
            outputs = self._forward(((pixels - self._mean) / self._std).to(self._device))
            for name, layer in self._layer.items():
                values = outputs[layer]
                if name not in found:
                    found[name] = np.empty((n_images, values.shape[1]), dtype=np.float32)
                found[name][start : start + len(batch)] = values
            start += len(batch)
        return found


Forward = Callable[[torch.Tensor], Mapping[str, np.ndarray]]


def _alexnet(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    model = _torchvision().models.alexnet(weights=None)
    return _hooked(_filled(model, _state_dict(weights), weights), layers, device, weights)


def _inception(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    # The published features come from torchvision's pretrained form, which maps its input from
    # ImageNet's normalisation to the one of the original weights (transform_input).
    model = _torchvision().models.inception_v3(
        weights=None, init_weights=False, transform_input=True, aux_logits=True
    )
    return _hooked(_filled(model, _state_dict(weights), weights), layers, device, weights)


def _efficientnet(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    model = _torchvision().models.efficientnet_b1(weights=None)
    return _hooked(_filled(model, _state_dict(weights), weights), layers, device, weights)


def _resnet50_swav(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    model = _torchvision().models.resnet50(weights=None)
    model.fc = nn.Identity()
    state = {name.removeprefix("module."): value for name, value in _state_dict(weights).items()}
    # SwAV's own heads; the trunk is what is compared.
    heads = ("projection_head.", "prototypes.")
    trunk = {name: value for name, value in state.items() if not name.startswith(heads)}
    return _hooked(_filled(model, trunk, weights), layers, device, weights)


def _clip(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    from transformers import CLIPModel, CLIPVisionModelWithProjection

    if list(layers) != [IMAGE_EMBEDDING]:
        raise InputError(weights, found=f"layer {listing(layers)}", expected=IMAGE_EMBEDDING)
    whole = "text_config" in _clip_config(weights)
    model = load_model(
        CLIPModel if whole else CLIPVisionModelWithProjection, weights, device=device
    )
    size = model.vision_model.config.image_size

    def forward(pixels: torch.Tensor) -> dict[str, np.ndarray]:
        if pixels.shape[-1] != size:
            raise InputError(
                weights,
                found=f"a CLIP for pictures of {size} pixels",
                expected=f"{pixels.shape[-1]} as the metric says",
            )
        with torch.inference_mode():
            pooled = model.vision_model(pixel_values=pixels).pooler_output
            return {IMAGE_EMBEDDING: model.visual_projection(pooled).float().cpu().numpy()}

    return forward


def _clip_config(folder: str | Path) -> dict[str, Any]:
    if Path(folder).is_file():
        raise InputError(
            folder, found="a file", expected="the folder of a CLIP in the format of transformers"
        )
    return read_config(folder)


def _clip_vit_l_14(weights: Path, layers: Sequence[str], device: Device) -> Forward:
    config = _clip_config(weights)
    vision = config.get("vision_config", config)
    expected = {"hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14}
    for key, value in expected.items():
        if config_value(vision, key, weights) != value:
            raise InputError(
                weights, found=f"a CLIP with {key} {vision[key]}", expected=f"{value}: ViT-L/14"
            )
    return _clip(weights, layers, device)


ARCHITECTURES: Mapping[str, Callable[[Path, Sequence[str], Device], Forward]] = {
    "alexnet": _alexnet,
    "inception_v3": _inception,
    "efficientnet_b1": _efficientnet,
    "resnet50-swav": _resnet50_swav,
    "clip-vit-l-14": _clip_vit_l_14,
    "clip": _clip,
}


def _torchvision() -> ModuleType:
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:
        # RuntimeError: a build for another torch fails while it registers its operators.
        raise InputError(
            "torchvision",
            found=f"not usable ({error})",
            expected="the release that matches the installed torch",
            remedy="Install it, or take the metrics of its networks out of the configuration.",
        ) from error
    return torchvision


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a weight file (.safetensors, or a state dict saved by torch)."""
    path = Path(path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="the weights of a network")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            path, found=f"no readable weights ({load_fault(error)})", expected="a state dict"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(torch.is_tensor(item) for item in state.values()):
        raise InputError(path, found=type(state).__name__, expected="a state dict of tensors")
    return state


def _filled(model: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> nn.Module:
    """The model with all its weights taken from a state dict, and none left over."""
    own = model.state_dict()
    faults = {
        "no weight": [name for name in own if name not in state],
        "an unknown weight": [name for name in state if name not in own],
        "another shape of": [
            name for name in own if name in state and own[name].shape != state[name].shape
        ],
    }
    for fault, names in faults.items():
        if names:
            raise InputError(
                path,
                found=f"{fault} {listing(names)}",
                expected=f"the weights of {type(model).__name__}",
            )
    model.load_state_dict(state)
    return model


def _hooked(model: nn.Module, layers: Sequence[str], device: Device, source: Path) -> Forward:
    """Run a model and keep the flattened outputs of some of its modules."""
    model = model.eval().requires_grad_(False).to(device)
    kept: dict[str, np.ndarray] = {}

    def keep(layer: str) -> Callable[[nn.Module, tuple, torch.Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
            # Copied at once: a later module may work in place on the same memory.
            kept[layer] = output.flatten(1).float().cpu().numpy().copy()

        return hook

    for layer in layers:
        try:
            module = model.get_submodule(layer)
        except AttributeError as error:
            raise InputError(
                source,
                found=f"no layer {layer!r} in {type(model).__name__}",
                expected=f"one of {listing(name for name, _ in model.named_children())}",
            ) from error
        module.register_forward_hook(keep(layer))

    def forward(pixels: torch.Tensor) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            model(pixels)
        return dict(kept)

    return forward


def _check_digest(path: Path, prefixes: Sequence[str]) -> None:
    if not prefixes:
        return
    if not Path(path).is_file():
        raise InputError(path, found="no file", expected="the weights of a network")
    with Path(path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(tuple(prefixes)):
        raise InputError(
            path, found=f"sha256 {digest[:16]}...", expected=f"{' or '.join(prefixes)}..."
        )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _batches(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
