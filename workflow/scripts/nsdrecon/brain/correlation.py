"""Brain correlation: how well reconstructions predict the responses that they were made from.

The response to a picture is predicted from its features by an encoding model of training images
(`nsdrecon.brain.encoding`), and correlated with the measured response to the seen image, over the
voxels of a region. A reconstruction need not look like the seen image to have a high one; it needs
what drives these voxels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nsdrecon.brain.encoding import EncodingModel
from nsdrecon.evaluation.statistics import bootstrap_mean
from nsdrecon.ridge.responses import Responses
from nsdrecon.store import ID, dataset, open_h5, read_rows, rows_of, unique_ids, write_arrays

logger = logging.getLogger(__name__)
Encode = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Features (n, ...) of images (n, height, width, 3) by their ids (n,)."""


def predicted_responses(
    model: EncodingModel,
    pictures: str | Path,
    nsd_id: np.ndarray,
    encode: Encode,
    *,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> np.ndarray:
    """Standardised responses to pictures, (n, samples, n_voxels) float32.

    Parameters
    ----------
    model
        Of the subject.
    pictures
        HDF5 with ``images`` (n, height, width, 3), or with samples as second axis.
    nsd_id
        (n,) the order of the rows.
    encode
        The encoder of the features that the model was fitted to.
    device, block
        As in `EncodingModel.responses`.
    """
    samples = [
        model.responses(encode(nsd_id, images).reshape(len(nsd_id), -1), device=device, block=block)
        for images in _samples(pictures, nsd_id)
    ]
    return np.stack(samples, axis=1)


def _samples(pictures: str | Path, nsd_id: np.ndarray) -> Iterator[np.ndarray]:
    """The images of each sample, (n, height, width, 3), in the order of the ids."""
    with open_h5(pictures) as file:
        images = dataset(file, "images")
        rows = rows_of(nsd_id, unique_ids(dataset(file, ID)[()], pictures), pictures)
        if images.ndim == 4:
            yield read_rows(images, rows)
            return
        for sample in range(images.shape[1]):
            yield images[:, sample][rows]


def measured_responses(model: EncodingModel, betas: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids (n,) and standardised responses (n, n_voxels) float32 of a file of responses.

    Raises
    ------
    InputError
        If they are of other voxels, another subject or in other units than the model, or a response
        is not finite.
    """
    responses = Responses.of(betas)
    responses.same_voxels(model.voxels, model.labels)
    values = np.empty((len(responses.nsd_id), len(model.voxels)), dtype=np.float32)
    for columns, block in responses.blocks(responses.nsd_id):
        values[:, columns] = model.standardise(block, columns)
    return responses.nsd_id, values


def correlations(
    predicted: np.ndarray, measured: np.ndarray, voxels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation over voxels of each image's predicted and measured response, and its floor.

    Parameters
    ----------
    predicted
        (n, samples, n_voxels); samples of an image are averaged.
    measured
        (n, n_voxels).
    voxels
        (n_voxels,) which of them count.

    Returns
    -------
    (n,) for the image's own pictures, and (n,) for those of all other images, their mean.
    """
    right = _unit_rows(measured[:, voxels])
    every = np.mean(
        [_unit_rows(sample[:, voxels]) @ right.T for sample in predicted.swapaxes(0, 1)], axis=0
    )
    own = every.diagonal()
    others = (every.sum(axis=0) - own) / max(1, len(own) - 1)
    return own, others


def sample_correlations(
    predicted: np.ndarray, measured: np.ndarray, voxels: np.ndarray
) -> np.ndarray:
    """Correlation over voxels of each sample's predicted response with its image's measured one.

    Parameters
    ----------
    predicted, measured, voxels
        As in `correlations`.

    Returns
    -------
    (n, samples).
    """
    right = _unit_rows(measured[:, voxels])
    rows = [_unit_rows(sample[:, voxels]) for sample in predicted.swapaxes(0, 1)]
    return np.stack([(row * right).sum(axis=1) for row in rows], axis=1)


def write_best(
    reconstructions: str | Path, nsd_id: np.ndarray, agreement: np.ndarray, output: str | Path
) -> None:
    """Reconstructions of one sample an image: the one that agrees best.

    The output is of the form of the reconstructions, with ``chosen`` (n,), the number of the
    sample, and is called by its own name.

    Parameters
    ----------
    reconstructions
        HDF5 with ``images`` (n, samples, height, width, 3).
    nsd_id
        (n,) the order of the rows.
    agreement
        (n, samples).
    output
        HDF5 file, written all or nothing.
    """
    chosen = agreement.argmax(axis=1)
    with open_h5(reconstructions) as file:
        images, found = dataset(file, "images"), dataset(file, ID)[()]
        rows = rows_of(nsd_id, found, reconstructions)
        best = np.stack([images[place] for place in zip(rows, chosen, strict=True)])[:, None]
        about = {**file.attrs, "system": Path(output).stem}
    write_arrays(output, nsd_id, {"images": best, "chosen": chosen}, about)
    logger.info(
        "%d images, %d samples each: correlation with the measured response %.3f on average, "
        "%.3f of those chosen",
        *(*agreement.shape, agreement.mean(), agreement.max(axis=1).mean()),
    )


def _unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1; rows that do not vary become 0."""
    centred = values - values.mean(axis=1, keepdims=True, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def correlation_table(
    predicted: Mapping[str, np.ndarray],
    measured: np.ndarray,
    members: Mapping[str, np.ndarray],
    *,
    floors_of: Mapping[str, str],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Mean correlation of every system in every region, with intervals over images.

    Parameters
    ----------
    predicted
        System to the responses its pictures predict, (n, samples, n_voxels).
    measured
        (n, n_voxels).
    members
        Region to the voxels that count, (n_voxels,).
    floors_of
        System to the name of its floor: the same pictures, each of another image.
    resamples, seed
        As in `nsdrecon.evaluation.statistics.bootstrap_mean`.

    Returns
    -------
    Columns ``system``, ``region``, ``n_voxels``, ``correlation``, ``ci_low``, ``ci_high``,
    ``n_images``.
    """
    rows, scores = [], []
    for region, voxels in members.items():
        for system, responses in predicted.items():
            own, others = correlations(responses, measured, voxels)
            found = {system: own}
            if system in floors_of:
                found[floors_of[system]] = others
            for name, values in found.items():
                rows.append({"system": name, "region": region, "n_voxels": int(voxels.sum())})
                scores.append(values)
    interval = bootstrap_mean(np.stack(scores, axis=1)[None], resamples=resamples, seed=seed)
    return pd.DataFrame(rows).assign(
        correlation=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        n_images=len(measured),
    )
