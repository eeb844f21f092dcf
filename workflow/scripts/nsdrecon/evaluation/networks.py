"""Networks whose features are compared, read from local files.

Each is a function of a weight file, or of a CLIP's folder, and a device, as a row of
:mod:`nsdrecon.metrics` names it: torchvision's AlexNet, Inception v3 and EfficientNet-B1 with
torchvision's weight files; torchvision's ResNet-50 with the trunk of a SwAV checkpoint (Caron et
al. 2020); CLIP (Radford et al. 2021) in a folder of transformers.

torchvision is needed only where one of its networks is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from nsdrecon.ahead import ahead
from nsdrecon.devices import reuse_memory
from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.protocols import Protocol, protocol
from nsdrecon.extensions import implementation
from nsdrecon.metrics import ANOTHER_NAME, NetworkMetric, check_published, from_params
from nsdrecon.pretrained import config_value, load_model, read_config
from nsdrecon.state_dicts import read_state_dict

Device = str | torch.device

COUNTER = ".num_batches_tracked"


def by_network(metrics: Sequence[NetworkMetric]) -> Iterator[list[NetworkMetric]]:
    """Metrics in groups that share one network and input, so that each picture passes it once."""

    def network(metric: NetworkMetric) -> tuple:
        return (metric.source, metric.weights, metric.size or 0, metric.mean, metric.std)

    for _, group in groupby(sorted(metrics, key=network), key=network):
        yield list(group)


class FeatureExtractor:
    """The features of one network that a group of metrics compares.

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
        If the weights are not the published ones of a published metric, are not of the network, or
        if it has no such layer or another input size; if torchvision is needed and missing.
    """

    def __init__(
        self, metrics: Sequence[NetworkMetric], protocol: Protocol, device: Device = "cpu"
    ) -> None:
        first = metrics[0]
        for metric in metrics:
            check_published(metric.weights, metric.sha256)
        self._source = first.source
        self._network = implementation(first.source)(Path(first.weights), device)
        self._size = _input_size(first, self._network)
        self._resize = protocol.network_input
        self._mean = torch.tensor(first.mean).view(3, 1, 1)
        self._std = torch.tensor(first.std).view(3, 1, 1)
        self._layer = {metric.name: metric.layer for metric in metrics}
        self._device = device
        self._kept: dict[str, torch.Tensor] = {}
        for layer in set(self._layer.values()) - {""}:
            module = _layer(self._network, layer, first.weights)
            module.register_forward_hook(self._keep(layer))

    def __call__(
        self, images: Iterable[np.ndarray], n_images: int, batch_size: int = 32
    ) -> dict[str, torch.Tensor]:
        """Features of pictures, which are prepared while the network computes.

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
        Metric name to float32 features on the network's device, (n_images, n_features), flattened
        in C order.
        """
        found: dict[str, torch.Tensor] = {}
        start = 0
        prepared = ahead(
            partial(self._resize, size=self._size),
            images,
            depth=2 * batch_size,
            workers=torch.get_num_threads(),
        )
        while batch := list(islice(prepared, batch_size)):
            pixels = torch.from_numpy(np.stack(batch))
            outputs = self._outputs(((pixels - self._mean) / self._std).to(self._device))
            for name, layer in self._layer.items():
                values = outputs[layer]
                if name not in found:
                    found[name] = values.new_empty((n_images, values.shape[1]))
                found[name][start : start + len(batch)] = values
            start += len(batch)
        return found

    def _outputs(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Layer to features of a batch; the network's own output has no name."""
        with torch.inference_mode():
            own = self._network(pixels)
        if "" in self._layer.values():
            self._kept[""] = _as_rows(own, self._source)
        for values in self._kept.values():
            if len(values) != len(pixels):
                raise InputError(
                    self._source,
                    found=f"{len(values)} rows of features",
                    expected=f"a row for each of {len(pixels)} pictures",
                )
        return self._kept

    def _keep(self, layer: str) -> Callable[[nn.Module, tuple, torch.Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
            # Copied at once: a later module may work in place on the same memory.
            self._kept[layer] = _as_rows(output, self._source).clone()

        return hook


def network_features(
    nsd_id: np.ndarray,
    images: np.ndarray,
    folder: str | Path,
    *,
    network: Mapping[str, Any],
    protocol_name: str,
    batch_size: int,
    device: Device,
) -> np.ndarray:
    """Features of images by a network that scores: what encoders of other features are called.

    Parameters
    ----------
    nsd_id
        (n,) the images.
    images
        (n, height, width, 3), uint8.
    folder
        The network's weights, a file or a folder.
    network
        Its row, as :func:`nsdrecon.metrics.as_params` gives it.
    protocol_name
        Says how pictures are resized.
    batch_size, device
        As in :class:`FeatureExtractor`.

    Returns
    -------
    float32, shape (n, n_features).
    """
    metric = from_params({**network, "weights": str(folder)})
    extract = FeatureExtractor([metric], protocol(protocol_name), device)
    return extract(images, len(nsd_id), batch_size)[metric.name].cpu().numpy()


def _as_rows(output: torch.Tensor | np.ndarray, source: str) -> torch.Tensor:
    """Features as a table, a row a picture, float32."""
    output = torch.as_tensor(output)
    if output.ndim < 2:
        raise InputError(
            source,
            found=f"features of shape {tuple(output.shape)}",
            expected="a row a picture",
        )
    return output.flatten(1).float()


def _input_size(metric: NetworkMetric, network: object) -> int:
    """Height and width of the pictures that a network is to see."""
    own = getattr(network, "size", None)
    if metric.size is None and own is None:
        raise InputError(
            f"metric {metric.name!r}",
            found="no size of pictures",
            expected="the row's size, or an attribute `size` of the network, in pixels",
        )
    if None not in (metric.size, own) and metric.size != own:
        raise InputError(
            metric.weights,
            found=f"a network for pictures of {own} pixels",
            expected=f"{metric.size} as the metric says",
        )
    return metric.size or own


def _layer(network: object, name: str, source: str) -> nn.Module:
    try:
        return network.get_submodule(name)
    except AttributeError as error:
        known = [child for child, _ in getattr(network, "named_children", list)()]
        raise InputError(
            source,
            found=f"no layer {name!r} in {type(network).__name__}",
            expected=f"one of {listing(known) or '(none)'}",
        ) from error


def alexnet(weights: Path, device: Device) -> nn.Module:
    """torchvision's AlexNet."""
    model = _torchvision().models.alexnet(weights=None)
    return _ready(_filled(model, read_state_dict(weights), weights), device)


def inception_v3(weights: Path, device: Device) -> nn.Module:
    """torchvision's Inception v3."""
    # The published features come from torchvision's pretrained form, which maps its input from
    # ImageNet's normalisation to the one of the original weights (transform_input).
    model = _torchvision().models.inception_v3(
        weights=None, init_weights=False, transform_input=True, aux_logits=True
    )
    return _ready(_filled(model, read_state_dict(weights), weights), device)


def efficientnet_b1(weights: Path, device: Device) -> nn.Module:
    """torchvision's EfficientNet-B1, V1 or V2 by its weights."""
    model = _torchvision().models.efficientnet_b1(weights=None)
    return _ready(_filled(model, read_state_dict(weights), weights), device)


def resnet50_swav(weights: Path, device: Device) -> nn.Module:
    """torchvision's ResNet-50 with the trunk of a SwAV checkpoint."""
    model = _torchvision().models.resnet50(weights=None)
    model.fc = nn.Identity()
    state = {
        name.removeprefix("module."): value for name, value in read_state_dict(weights).items()
    }
    # SwAV's own heads; the trunk is what is compared.
    heads = ("projection_head.", "prototypes.")
    trunk = {name: value for name, value in state.items() if not name.startswith(heads)}
    return _ready(_filled(model, trunk, weights), device)


def clip(weights: Path, device: Device) -> nn.Module:
    """The projected image embedding of any CLIP in a folder of transformers."""
    from transformers import CLIPModel, CLIPVisionModelWithProjection

    whole = "text_config" in _clip_config(weights)
    model = load_model(
        CLIPModel if whole else CLIPVisionModelWithProjection, weights, device=device
    )
    return _ImageEmbedding(model)


def clip_vit_l_14(weights: Path, device: Device) -> nn.Module:
    """The same, of a CLIP ViT-L/14 alone."""
    config = _clip_config(weights)
    vision = config.get("vision_config", config)
    expected = {"hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14}
    for key, value in expected.items():
        if config_value(vision, key, weights) != value:
            raise InputError(
                weights,
                found=f"a CLIP with {key} {vision[key]}",
                expected=f"{value}: ViT-L/14",
                remedy=ANOTHER_NAME,
            )
    return clip(weights, device)


class _ImageEmbedding(nn.Module):
    """The part of a CLIP that looks at pictures; ``size`` is their height and width."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.vision_model, self.visual_projection = model.vision_model, model.visual_projection
        self.size = model.vision_model.config.image_size

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.visual_projection(self.vision_model(pixel_values=pixels).pooler_output)


def _clip_config(folder: Path) -> dict[str, Any]:
    if folder.is_file():
        raise InputError(
            folder, found="a file", expected="the folder of a CLIP in the format of transformers"
        )
    return read_config(folder)


def _ready(model: nn.Module, device: Device) -> nn.Module:
    reuse_memory(device)
    # Convolutions measured faster in this layout, by 1.3 to 1.5 on a CPU.
    layout = torch.channels_last
    return model.eval().requires_grad_(False).to(device=device, memory_format=layout)


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


def _filled(model: nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> nn.Module:
    """The model with all its weights taken from a state dict, and none left over.

    Only the counters of batch norms may be missing: files from before they were invented, such as
    Inception v3's, have none, and no result depends on them.
    """
    own = model.state_dict()
    state = {name: own[name] for name in own if name.endswith(COUNTER)} | dict(state)
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
