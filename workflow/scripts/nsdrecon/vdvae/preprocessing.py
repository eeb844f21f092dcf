"""From stimuli to the VDVAE's input: the resize and the two constants are part of the model."""

from __future__ import annotations

import numpy as np
from PIL import Image

SHIFT = 115.92961967
SCALE = 69.37404
"""Mean and standard deviation of ImageNet-64's values, over all channels."""


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resize images as the published pipeline does: Pillow, bilinear, with antialias.

    Parameters
    ----------
    images
        uint8, shape (n, H, W, 3).
    size
        Height and width to reach, pixels.

    Returns
    -------
    uint8, shape (n, size, size, 3).
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images of uint8, (n, H, W, 3), not {images.dtype}, {images.shape}")
    resized = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        resized[row] = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return resized


def normalise(images: np.ndarray) -> np.ndarray:
    """Network input, float32 of the same shape, from uint8 values."""
    return ((images.astype(np.float32) - np.float32(SHIFT)) / np.float32(SCALE)).astype(np.float32)
