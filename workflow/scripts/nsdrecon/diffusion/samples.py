"""Several samples of an image: their mean, where they disagree, and which one to keep."""

from __future__ import annotations

import numpy as np

from nsdrecon.errors import InputError


def mean_image(images: np.ndarray) -> np.ndarray:
    """Mean over samples, rounded.

    Parameters
    ----------
    images
        Shape (n, samples, height, width, 3), uint8.

    Returns
    -------
    Shape (n, height, width, 3), uint8.
    """
    return np.stack([np.rint(image.mean(axis=0)).astype(np.uint8) for image in images])


def uncertainty_map(images: np.ndarray) -> np.ndarray:
    """Standard deviation over samples at each pixel, as root mean square over the colours.

    Parameters
    ----------
    images
        Shape (n, samples, height, width, 3), uint8.

    Returns
    -------
    Shape (n, height, width), float32, in grey levels (0..127.5).
    """
    maps = [np.sqrt(image.var(axis=0, dtype=np.float64).mean(axis=-1)) for image in images]
    return np.stack(maps).astype(np.float32)


def agreement(predicted: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Cosine between each image's predicted features and the features of each of its samples.

    Parameters
    ----------
    predicted
        Features predicted from the brain, shape (n, tokens, width).
    features
        Features of the samples by the same encoder, shape (n, samples, tokens, width).

    Returns
    -------
    Shape (n, samples), float32, -1..1.

    Raises
    ------
    InputError
        If the shapes do not fit each other.
    """
    if features.ndim != 4 or predicted.shape != (features.shape[0], *features.shape[2:]):
        raise InputError(
            "features of samples",
            found=f"shape {features.shape}",
            expected=f"(images, samples, tokens, width) to fit {predicted.shape}",
        )
    n, samples = features.shape[:2]
    one = predicted.reshape(n, 1, -1).astype(np.float64)
    many = features.reshape(n, samples, -1).astype(np.float64)
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(many, axis=-1)
    return ((one * many).sum(axis=-1) / norms).astype(np.float32)


def choose_samples(predicted: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The sample of each image that agrees best with the predicted features, shape (n,), int64.

    The choice never sees the image that was shown. Arguments and errors as in :func:`agreement`.
    """
    return agreement(predicted, features).argmax(axis=1)
