"""Several samples of an image: their mean, where they disagree, and which one to keep."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nsdrecon.data.latent_files import read_latents
from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.store import ID, create_h5, dataset, open_h5, read_rows, rows_of, unique_ids

logger = logging.getLogger(__name__)


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


def summarise_samples(
    reconstructions: str | Path,
    predicted: str | Path,
    output: str | Path,
    *,
    feature: str,
    encode: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
) -> None:
    """Write the mean, the uncertainty and the choice among the samples of every image.

    The output holds, beside ``nsd_id`` ascending: ``mean`` (n, height, width, 3) uint8,
    ``uncertainty`` (n, height, width) float32 in grey levels, ``agreement`` (n, samples) and
    ``chosen`` (n,), the number of the sample that agrees best.

    Parameters
    ----------
    reconstructions
        HDF5 with ``images`` (n, samples, height, width, 3).
    predicted
        Features predicted from the brain, for at least these images.
    output
        HDF5 file, written all or nothing.
    feature
        Name of the features.
    encode
        Features (m, tokens, width) of images (m, height, width, 3), by the encoder whose features
        were predicted.
    batch_size
        Images at a time.

    Raises
    ------
    InputError
        If an image has no prediction, or the files are not of this kind.
    """
    with open_h5(reconstructions) as file, create_h5(output) as summary:
        images = dataset(file, "images")
        found = unique_ids(dataset(file, ID)[()], reconstructions)
        nsd_id = np.sort(found)
        n, samples, height, width, _ = images.shape
        summary.create_dataset(ID, data=nsd_id)
        summary.create_dataset("mean", (n, height, width, 3), dtype=np.uint8)
        summary.create_dataset("uncertainty", (n, height, width), dtype=np.float32)
        summary.create_dataset("agreement", (n, samples), dtype=np.float32)
        summary.create_dataset("chosen", (n,), dtype=np.int64)
        summary.attrs.update({**file.attrs, "feature": feature})
        step = max(1, batch_size // samples)
        for start in progress(range(0, n, step), description="samples", unit="batch"):
            block = slice(start, start + step)
            ids = nsd_id[block]
            several = read_rows(images, rows_of(ids, found, reconstructions))
            features = encode(several.reshape(-1, height, width, 3))
            features = features.reshape(len(ids), samples, *features.shape[1:])
            agreeing = agreement(read_latents(predicted, feature, ids), features)
            summary["mean"][block] = mean_image(several)
            summary["uncertainty"][block] = uncertainty_map(several)
            summary["agreement"][block] = agreeing
            summary["chosen"][block] = agreeing.argmax(axis=1)
        spread = summary["agreement"][()]
        logger.info(
            "%d images, %d samples each: agreement with %s %.3f on average, %.3f of those chosen",
            n,
            samples,
            feature,
            spread.mean(),
            spread.max(axis=1).mean(),
        )
