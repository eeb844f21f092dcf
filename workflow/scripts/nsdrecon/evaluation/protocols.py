"""Named evaluation protocols: how pictures become what a metric compares.

The same pair of pictures gets different numbers under different resizing, networks and SSIM, so
every number belongs to a protocol and numbers of two protocols never share a column.

``brain-diffuser``
    Ozcelik and VanRullen (2023). PixCorr and SSIM at the size of the ground truth, the
    reconstruction resized by Pillow's bicubic filter; SSIM along columns. Networks see 8-bit
    pictures of 224 x 224, resized by Pillow's bilinear filter.
``mindeye``
    Scotti et al. (2023). Both pictures to 256 x 256 first, then to 425 x 425 for PixCorr and
    SSIM, or to the size of each network: bilinear without antialias on values in [0, 1];
    two-dimensional SSIM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nsdrecon.errors import InputError
from nsdrecon.evaluation.metrics import grey, pixel_correlation, ssim

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_MINDEYE_COMMON_SIZE = 256
_MINDEYE_PIXEL_SIZE = 425


@dataclass(frozen=True)
class PublishedNetwork:
    """What a network must be to stand under a name of the published tables.

    Attributes
    ----------
    architecture, layer, score, size, mean, std
        As in :class:`nsdrecon.evaluation.networks.NetworkMetric`.
    sha256_prefixes
        First digits of the weight file's sha256, where the publisher gives them (torchvision puts
        them into the file name). Any one of them may fit.
    """

    architecture: str
    layer: str
    score: str
    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    sha256_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """One published way of scoring reconstructions.

    Attributes
    ----------
    name
        Name in configuration and tables.
    pixel_pair
        Ground truth and reconstruction, uint8 (height, width, 3) of any two sizes, to the two
        floating-point pictures of one size, in [0, 1], that PixCorr and SSIM compare.
    ssim_axes
        Axes that the window of SSIM spans.
    network_input
        Picture, uint8 (height, width, 3), and size to float32 (3, size, size) in [0, 1].
    networks
        The network metrics of the protocol's published tables, by column name.
    """

    name: str
    pixel_pair: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ssim_axes: tuple[int, ...]
    network_input: Callable[[np.ndarray, int], np.ndarray]
    networks: Mapping[str, PublishedNetwork]

    def pixel_scores(
        self, ground_truth: np.ndarray, reconstruction: np.ndarray
    ) -> dict[str, float]:
        """PixCorr and SSIM of one pair, uint8 (height, width, 3) each, sizes may differ.

        PixCorr is NaN where one of the pictures is constant.
        """
        truth, made = self.pixel_pair(ground_truth, reconstruction)
        return {
            "PixCorr": pixel_correlation(truth, made),
            "SSIM": ssim(grey(truth), grey(made), self.ssim_axes),
        }


def protocol(name: str) -> Protocol:
    """The protocol of a name, or an error that lists the names."""
    if name not in PROTOCOLS:
        raise InputError("evaluation protocol", found=name, expected=" or ".join(PROTOCOLS))
    return PROTOCOLS[name]


def resize_bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resizing without antialias, pixel centres at half-integers, in float32.

    The same numbers as ``torch.nn.functional.interpolate(mode="bilinear")`` on several threads.
    On one thread torch takes another path and differs in the seventh digit, which SSIM amplifies
    to 1e-6; computing it here makes scores independent of the number of threads.

    Parameters
    ----------
    image
        Float32, shape (channels, height, width).
    size
        Height and width of the result.
    """
    rows = _bilinear_taps(image.shape[1], size)
    columns = _bilinear_taps(image.shape[2], size)
    wide = _blend(image[:, :, columns[0]], image[:, :, columns[1]], columns[2])
    return _blend(wide[:, rows[0]], wide[:, rows[1]], rows[2][:, None])


def _bilinear_taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper source positions and the weight of the upper one, shape (new,) each."""
    scale = np.float64(np.float32(old) / np.float32(new))
    position = np.maximum((scale * (np.arange(new) + 0.5) - 0.5).astype(np.float32), np.float32(0))
    lower = position.astype(np.int64)
    return lower, np.minimum(lower + 1, old - 1), position - lower.astype(np.float32)


def _blend(lower: np.ndarray, upper: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # One rounding after the product of the upper and one after the sum: a fused multiply-add, which
    # float64 reproduces because the product of two float32 numbers is exact in it.
    product = (upper * weight).astype(np.float64)
    return (lower.astype(np.float64) * (np.float32(1) - weight) + product).astype(np.float32)


def _resize_pillow(
    image: np.ndarray, size: tuple[int, int], filter_: Image.Resampling
) -> np.ndarray:
    """Resize a uint8 picture to (height, width); unchanged if it has that size."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], filter_))


def _to_channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


def _brain_diffuser_pair(
    ground_truth: np.ndarray, reconstruction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    resized = _resize_pillow(reconstruction, ground_truth.shape[:2], Image.Resampling.BICUBIC)
    return ground_truth / 255, resized / 255


def _brain_diffuser_input(image: np.ndarray, size: int) -> np.ndarray:
    return _to_channels_first(_resize_pillow(image, (size, size), Image.Resampling.BILINEAR))


def _mindeye_input(image: np.ndarray, size: int) -> np.ndarray:
    common = resize_bilinear(_to_channels_first(image), _MINDEYE_COMMON_SIZE)
    return common if size == _MINDEYE_COMMON_SIZE else resize_bilinear(common, size)


def _mindeye_pair(
    ground_truth: np.ndarray, reconstruction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    truth, made = (
        np.ascontiguousarray(_mindeye_input(image, _MINDEYE_PIXEL_SIZE).transpose(1, 2, 0))
        for image in (ground_truth, reconstruction)
    )
    return truth, made


def _networks(
    alexnet_size: int, inception_size: int, efficientnet_size: int, efficientnet: tuple[str, ...]
) -> dict[str, PublishedNetwork]:
    """The six networks of the published tables, with what differs between the protocols."""
    alexnet, inception = ("7be5be79",), ("0cc3c7bd",)
    return {
        "AlexNet(2)": PublishedNetwork(
            "alexnet", "features.4", "two-way", alexnet_size, sha256_prefixes=alexnet
        ),
        "AlexNet(5)": PublishedNetwork(
            "alexnet", "features.11", "two-way", alexnet_size, sha256_prefixes=alexnet
        ),
        "Inception": PublishedNetwork(
            "inception_v3", "avgpool", "two-way", inception_size, sha256_prefixes=inception
        ),
        "CLIP": PublishedNetwork(
            "clip-vit-l-14", "image_embeds", "two-way", 224, CLIP_MEAN, CLIP_STD
        ),
        "EffNet-B": PublishedNetwork(
            "efficientnet_b1",
            "avgpool",
            "distance",
            efficientnet_size,
            sha256_prefixes=efficientnet,
        ),
        "SwAV": PublishedNetwork("resnet50-swav", "avgpool", "distance", 224),
    }


PROTOCOLS: Mapping[str, Protocol] = {
    "brain-diffuser": Protocol(
        name="brain-diffuser",
        pixel_pair=_brain_diffuser_pair,
        ssim_axes=(0,),
        network_input=_brain_diffuser_input,
        # torchvision's EfficientNet-B1 V1; the file was renamed once without a change of weights.
        networks=_networks(224, 224, 224, efficientnet=("533bc792", "bac287d4")),
    ),
    "mindeye": Protocol(
        name="mindeye",
        pixel_pair=_mindeye_pair,
        ssim_axes=(0, 1),
        network_input=_mindeye_input,
        # torchvision's default EfficientNet-B1 of that time and since: V2.
        networks=_networks(256, 342, 255, efficientnet=("c27df63c",)),
    ),
}
