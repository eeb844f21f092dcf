"""Latents of new responses, from a weights file alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import h5py
import numpy as np
import torch

from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.responses import (
    Responses,
    Standardisation,
    check_finite,
    check_voxels,
)
from nsdrecon.ridge.targets import TargetStatistics
from nsdrecon.store import ID, create_h5, dataset, open_h5

logger = logging.getLogger(__name__)

Rescale = Literal["loo", "test", "none"]


def rescaled(
    predictions: torch.Tensor, statistics: TargetStatistics, rescale: Rescale
) -> np.ndarray:
    """Predictions with the mean and spread of the training targets, for each target.

    Ridge shrinks predictions. ``(prediction - m) / s * target_std + target_mean`` undoes that, with
    m and s the mean and standard deviation (ddof 0) of

    * ``loo``: the leave-one-out predictions of the training images; nothing of the test set;
    * ``test``: the predictions themselves, as published: each image's result depends on the others.

    ``none`` adds the target's mean alone. A constant target is its mean in every case.

    Parameters
    ----------
    predictions
        (n, n_targets), without intercept.
    statistics
        Of these targets.

    Returns
    -------
    (n, n_targets) float32.
    """
    mean, std = statistics.loo_mean - statistics.intercept, statistics.loo_std
    if rescale == "test":
        mean = predictions.mean(dim=0, dtype=torch.float64).cpu().numpy()
        std = predictions.double().std(dim=0, correction=0).cpu().numpy()
    varies = (statistics.target_std > 0) & (std > 0)
    if rescale == "none":
        mean, gain = np.zeros_like(mean), (statistics.target_std > 0).astype(float)
    else:
        gain = np.divide(statistics.target_std, std, out=np.zeros_like(std), where=varies)
    values = (predictions.double().cpu().numpy() - mean) * gain + statistics.intercept
    return values.astype(np.float32)


def _check_rescale(rescale: str, n_images: int, source: str | Path) -> None:
    """Check the setting, and that it can be had with so many images.

    Raises
    ------
    InputError
        If not.
    """
    if rescale not in get_args(Rescale):
        raise InputError("rescale", found=rescale, expected=", ".join(get_args(Rescale)))
    if rescale == "test" and n_images < 2:
        raise InputError(
            source,
            found=f"{n_images} test images",
            expected="at least two: predictions are rescaled by their own spread",
            remedy="Use rescale: loo.",
        )


def predict(
    weights: str | Path,
    test_betas: str | Path,
    output: str | Path,
    *,
    rescale: Rescale = "loo",
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> None:
    """Latents predicted from a file of responses, into another file.

    Parameters
    ----------
    weights
        File of `nsdrecon.ridge.fitting.fit_weights`.
    test_betas
        Responses (`nsdrecon.data.betas.average_repeats`) of the same voxels in the same units.
    output
        HDF5 file, written all or nothing.
    rescale
        ``loo``, ``test`` or ``none``: see `rescaled`.
    device
        Where to compute.
    block
        Targets at a time.

    Raises
    ------
    InputError
        If a file is damaged; if the weights are of other voxels, another subject or other units, or
        were trained on an image of the responses; if a response or a weight is not finite; or if
        ``test`` is asked of less than two images.
    """
    responses = Responses.of(test_betas)
    n_images = len(responses.nsd_id)
    _check_rescale(rescale, n_images, responses.path)
    with _open_weights(weights) as model:
        responses.same_voxels(model.voxels, model.labels)
        seen = np.intersect1d(responses.nsd_id, model.nsd_id)
        if len(seen):
            raise InputError(
                test_betas,
                found=f"nsd_id {listing(seen)}, on which {weights} was trained",
                expected="images that training has not seen",
            )
        betas = torch.empty(n_images, len(model.voxels), device=device)
        for columns, values in responses.blocks(responses.nsd_id):
            betas[:, columns] = torch.from_numpy(model.standardise(values, columns)).to(betas)
        with create_h5(output) as file:
            file.create_dataset(ID, data=responses.nsd_id)
            shape = (n_images, len(model.statistics))
            latents = file.create_dataset("latents", shape, dtype=np.float32)
            file.attrs.update(
                feature=model.feature,
                shape=model.shape,
                subject=model.labels["subject"],
                rescale=rescale,
            )
            for columns, values in model.latents(betas, block, rescale):
                latents[:, columns] = values
    logger.info("%s: %d images predicted", model.feature, n_images)


def decode(
    weights: str | Path,
    betas: np.ndarray,
    *,
    voxel: np.ndarray | None = None,
    rescale: Rescale = "loo",
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> np.ndarray:
    """Latents of new responses, from a weights file alone.

    Parameters
    ----------
    weights
        File of `nsdrecon.ridge.fitting.fit_weights`.
    betas
        (n, n_voxels), in the units and the order of the training responses.
    voxel
        (n_voxels, 3) coordinates of the columns, to be checked against those of the weights.
    rescale, device, block
        As in `predict`.

    Returns
    -------
    (n, n_targets) float32, each row flattened in C order from the file's attribute ``shape``.

    Raises
    ------
    InputError
        If the file is damaged, if the responses have other voxels or are not
        finite, or ``test`` is asked of less than two images.
    """
    betas = np.asarray(betas)
    with _open_weights(weights) as model:
        if betas.ndim != 2 or betas.shape[1] != len(model.voxels):
            raise InputError(
                "betas",
                found=f"shape {betas.shape}",
                expected=f"(n, {len(model.voxels)}), the voxels of {weights}",
            )
        if voxel is not None:
            given = Voxels(np.asarray(voxel), model.voxels.shape, model.voxels.affine, "betas")
            check_voxels(given, model.voxels)
        _check_rescale(rescale, len(betas), "betas")
        check_finite(betas, np.arange(len(betas)), "betas", "responses", rows="rows")
        standardised = torch.from_numpy(model.standardise(betas)).float().to(device)
        latents = np.empty((len(betas), len(model.statistics)), dtype=np.float32)
        for columns, values in model.latents(standardised, block, rescale):
            latents[:, columns] = values
    return latents


@dataclass(frozen=True)
class _Weights:
    """An open weights file."""

    source: str | Path
    nsd_id: np.ndarray
    weights: h5py.Dataset
    standardise: Standardisation
    voxels: Voxels
    statistics: TargetStatistics
    feature: str
    shape: tuple[int, ...]
    labels: dict[str, str]

    def latents(
        self, standardised: torch.Tensor, block: int, rescale: Rescale
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Latents (n, n_block) for standardised responses (n, n_voxels), by blocks of targets.

        Raises
        ------
        InputError
            If one is not finite, which is the weights' fault: responses have been looked at.
        """
        n_targets = len(self.statistics)
        for start in progress(range(0, n_targets, block), description=self.feature, unit="block"):
            columns = slice(start, min(start + block, n_targets))
            weights = torch.from_numpy(self.weights[:, columns]).to(standardised)
            part = self.statistics.part(columns)
            values = rescaled(product(standardised, weights), part, rescale)
            _check_finite_weights(values, f"of targets from {start}", self.source)
            yield columns, values


def _check_finite_weights(values: np.ndarray, what: str, source: str | Path) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            source,
            found=f"weights that are not finite, {what}",
            expected="finite numbers",
            remedy="Remove it and run again.",
        )


@contextmanager
def _open_weights(path: str | Path) -> Iterator[_Weights]:
    """A weights file, checked to be whole and consistent."""
    with open_h5(path) as file:
        weights = dataset(file, "weights")
        voxels = Voxels.of(file)
        statistics = TargetStatistics.read(file)
        shape = tuple(int(size) for size in file.attrs["shape"])
        n_targets = int(np.prod(shape))
        sizes = {weights.shape[1], len(statistics), n_targets}
        if weights.shape[0] != len(voxels) or len(sizes) > 1:
            raise InputError(
                path,
                found=f"weights of shape {weights.shape} with {len(statistics)} intercepts",
                expected=f"({len(voxels)}, {n_targets}): voxels, and targets of shape {shape}",
            )
        # The other statistics are scores, which a constant target has not.
        for name in ("intercept", "target_std", "loo_mean", "loo_std"):
            _check_finite_weights(getattr(statistics, name), name, path)
        standardise = Standardisation(
            dataset(file, "voxel_mean")[()], dataset(file, "voxel_std")[()]
        )
        yield _Weights(
            path,
            dataset(file, ID)[()],
            weights,
            standardise,
            voxels,
            statistics,
            str(file.attrs["feature"]),
            shape,
            {name: str(file.attrs[name]) for name in ("subject", "units")},
        )
