"""Named evaluation protocols: how pictures become what a metric compares.

The same pair of pictures gets different numbers under different resizing, networks and SSIM, so
every number belongs to a protocol and numbers of two protocols never share a column. Which metrics
a protocol has stands in :mod:`nsdrecon.metrics`.

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

_MINDEYE_COMMON_SIZE = 256
_MINDEYE_PIXEL_SIZE = 425


@dataclass(frozen=True)
class Protocol:
    """One published way of scoring reconstructions.

    Attributes
    ----------
    name
        Name in configuration and tables.
    pixels
        Picture, uint8 (height, width, 3), and the size (height, width) of the ground truth to the
        floating-point picture in [0, 1] that pixel metrics compare; of one size for both.
    network_input
        Picture, uint8 (height, width, 3), and size to float32 (3, size, size) in [0, 1].
    """

    name: str
    pixels: Callable[[np.ndarray, tuple[int, int]], np.ndarray]
    network_input: Callable[[np.ndarray, int], np.ndarray]


def protocol(name: str) -> Protocol:
    """The protocol of a name, or an error that lists the names."""
    if name not in PROTOCOLS:
        raise InputError("evaluation protocol", found=name, expected=" or ".join(PROTOCOLS))
    return PROTOCOLS[name]


def resize_bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resizing without antialias, pixel centres at half-integers, in float32.

    The same numbers as ``torch.nn.functional.interpolate(mode="bilinear")`` on several threads, as
    in the published code. On one thread torch takes another path, and in float64 its positions are
    others: either changes SSIM by more than 1e-6. Computed here, scores do not depend on threads.

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


def _brain_diffuser_pixels(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return _resize_pillow(image, size, Image.Resampling.BICUBIC) / 255


def _brain_diffuser_input(image: np.ndarray, size: int) -> np.ndarray:
    return _to_channels_first(_resize_pillow(image, (size, size), Image.Resampling.BILINEAR))


def _mindeye_input(image: np.ndarray, size: int) -> np.ndarray:
    common = resize_bilinear(_to_channels_first(image), _MINDEYE_COMMON_SIZE)
    return common if size == _MINDEYE_COMMON_SIZE else resize_bilinear(common, size)


def _mindeye_pixels(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Of one size whatever that of the ground truth."""
    channels_first = _mindeye_input(image, _MINDEYE_PIXEL_SIZE)
    return np.ascontiguousarray(channels_first.transpose(1, 2, 0))


PROTOCOLS: Mapping[str, Protocol] = {
    "brain-diffuser": Protocol("brain-diffuser", _brain_diffuser_pixels, _brain_diffuser_input),
    "mindeye": Protocol("mindeye", _mindeye_pixels, _mindeye_input),
}
