"""What early visual areas compute from an image: local luminance, colour and contrast energy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

FIELD_OF_VIEW = 8.4  # degrees of visual angle across a stimulus (Allen et al., 2022)
GRID = 28  # cells across the maps
_FREQUENCIES = (5.0, 10.0, 20.0)  # cycles an image
_ORIENTATIONS = 4
_SIDE = 112  # pixels at which energy is computed
_PADDED = 128  # the stimulus lies on a uniform grey screen
_SCREEN = 127 / 255
_BANDWIDTH = 0.55  # standard deviation in octaves

COLOUR_CHANNELS = ("luminance", "red-green", "blue-yellow")
ENERGY_CHANNELS = tuple(
    f"energy {frequency:g} cycles {orientation * 180 // _ORIENTATIONS} deg"
    for frequency in _FREQUENCIES
    for orientation in range(_ORIENTATIONS)
)
CHANNELS = COLOUR_CHANNELS + ENERGY_CHANNELS


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Log-Gabor filters in the frequency domain, (n_energy, _PADDED, _PADDED).

    They pass one half of the plane, so that the filtered image is analytic and its magnitude is the
    square root of the quadrature pair's energy.
    """
    fy = np.fft.fftfreq(_PADDED)[:, None] * _SIDE
    fx = np.fft.fftfreq(_PADDED)[None, :] * _SIDE
    radius = np.hypot(fx, fy)
    radius[0, 0] = 1.0
    angle = np.arctan2(fy, fx)
    filters = []
    for frequency in _FREQUENCIES:
        radial = np.exp(-0.5 * (np.log2(radius / frequency) / _BANDWIDTH) ** 2)
        radial[0, 0] = 0.0
        for orientation in range(_ORIENTATIONS):
            offset = angle - np.pi * orientation / _ORIENTATIONS
            offset = np.arctan2(np.sin(offset), np.cos(offset))
            tuning = np.exp(-0.5 * (offset / (np.pi / _ORIENTATIONS / 1.5)) ** 2)
            filters.append(2 * radial * tuning)
    return np.array(filters, dtype=np.float32)


def channel_maps(image: np.ndarray) -> np.ndarray:
    """Maps of the channels of one image.

    Parameters
    ----------
    image : uint8 (height, width, 3), RGB.

    Returns
    -------
    float32 (len(CHANNELS), GRID, GRID), rows from the top of the image. Luminance and colour are
    relative to a grey screen; energy is the local contrast, pooled over phase.
    """
    small = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    red, green, blue = np.moveaxis(np.asarray(small, dtype=np.float32) / 255, -1, 0)
    luminance = 0.2125 * red + 0.7154 * green + 0.0721 * blue
    colour = np.stack([luminance - _SCREEN, red - green, blue - (red + green) / 2])
    screen = np.zeros((_PADDED, _PADDED), dtype=np.float32)
    border = (_PADDED - _SIDE) // 2
    inside = slice(border, border + _SIDE)
    screen[inside, inside] = colour[0]
    analytic = np.fft.ifft2(np.fft.fft2(screen) * _filters())
    energy = np.abs(analytic)[:, inside, inside].astype(np.float32)
    maps = np.concatenate([colour, energy])
    cell = _SIDE // GRID
    return maps.reshape(len(CHANNELS), GRID, cell, GRID, cell).mean(axis=(2, 4))
