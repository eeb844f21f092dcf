"""Importance, encoding accuracy and noise ceiling of every voxel, as NIfTI volumes.

For standardised responses Z (n_train, n_voxels) and standardised targets Y (n_train, n_targets):

* **Importance** in the decoder of a feature space. Left out, image i is predicted with the weights
  w^(-i) = Z' a^(-i), where a^(-i) = a - G_i a_i / G_ii are the dual coefficients without it
  (`nsdrecon.ridge.dual`; a = G y, and G_i is column i of G). What voxel v adds to the covariance of
  these predictions with the targets, a mean over images and targets, is

      z_v' (S G - diag(q / g) G) z_v / n,   S = Y Y' / n_targets, q = diag(S G), g = diag(G).

  Its sum over voxels is the accuracy of the decoder: the covariance itself, 1 for a perfect one. A
  voxel that knows nothing of the images has 0 in expectation, however large its weights.
* **Encoding accuracy**: the leave-one-out correlation of a voxel's response with that which ridge
  regression predicts from the features of the image (`nsdrecon.brain.encoding`), without the
  intercept: the mean of the other images moves against the one that is left out, which alone makes
  correlations negative where there is no signal.
* **Noise ceiling**: the largest correlation that any model could reach with these responses, which
  are means over repeats: the square root of the explainable share of their variance.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nsdrecon.brain.encoding import encoder, left_out_correlation
from nsdrecon.brain.features import target_products
from nsdrecon.data.volumes import Voxels, read_map, write_map
from nsdrecon.evaluation.ceilings import noise_ceiling
from nsdrecon.ridge.dual import Factor
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.responses import Gram, same_ids
from nsdrecon.ridge.targets import TargetStatistics
from nsdrecon.store import dataset, open_h5, read_ids

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SubjectFiles:
    """What maps of a subject are made of: files of `nsdrecon.ridge` and NSD's map of the SNR."""

    gram: str | Path
    train_betas: str | Path
    ncsnr: str | Path


@dataclass(frozen=True)
class FeatureFiles:
    """Latents of the training images, and the weights that predict them."""

    latents: str | Path
    weights: str | Path


def write_maps(
    subject: SubjectFiles,
    features: Mapping[str, FeatureFiles],
    outputs: Mapping[str, str | Path],
    *,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> None:
    """Write the maps of one subject; voxels that take no part are not numbers.

    Parameters
    ----------
    subject
        Files of the subject.
    features
        Feature space to its files.
    outputs
        NIfTI files, written all or nothing each: ``importance-<feature>`` and
        ``encoding-<feature>`` for every feature space, and ``noise-ceiling``.
    device
        Where to compute. Memory is about 50 n_train^2 bytes, 8 n_train^2 more for each further
        penalty of the targets, and 12 n_train for each target of a block.
    block
        Targets at a time.

    Raises
    ------
    InputError
        If files are damaged or do not belong together.
    """
    gram = Gram.of(subject.gram)
    ceiling = training_ceiling(subject.ncsnr, subject.train_betas, gram.voxels)
    logger.info("noise ceiling: median %.3f", np.nanmedian(ceiling))
    varies = gram.standardise.std > 0
    for name, files in features.items():
        statistics = _statistics(files.weights, gram)
        products = target_products(
            *(files.latents, gram.nsd_id, gram.path),
            groups=statistics.alpha,
            device=device,
            block=block,
        )
        middle = _importance_matrix(gram, products, device)
        solver = encoder(sum(products.values()))
        importance, accuracy = (np.full(len(varies), np.nan) for _ in range(2))
        for columns, responses in gram.standardised(subject.train_betas, device):
            values = responses.float()
            importance[columns] = _quadratic(values, middle)
            accuracy[columns] = left_out_correlation(values, solver.solve(values).loo_residuals)
        for kind, values in (("importance", importance), ("encoding", accuracy)):
            values[~varies] = np.nan
            write_map(outputs[f"{kind}-{name}"], values, gram.voxels)
        logger.info(
            "%s: importances sum to %.4f; encoding accuracy: median %.3f, best %.3f",
            *(name, np.nansum(importance), np.nanmedian(accuracy), np.nanmax(accuracy)),
        )
    write_map(outputs["noise-ceiling"], ceiling, gram.voxels)


def training_ceiling(ncsnr: str | Path, train_betas: str | Path, voxels: Voxels) -> np.ndarray:
    """Largest correlation with the training responses, (n_voxels,); not a number if unknown."""
    values = read_map(ncsnr, voxels).astype(np.float64)
    with open_h5(train_betas) as file:
        repeats = dataset(file, "repeats")[()]
    known = np.isfinite(values) & (values >= 0)
    ceiling = np.full(len(values), np.nan)
    ceiling[known] = np.sqrt(noise_ceiling(values[known], repeats) / 100)
    return ceiling


def _statistics(weights: str | Path, gram: Gram) -> TargetStatistics:
    """Statistics of the targets of a weights file, which must be of the same training images."""
    same_ids(read_ids(weights), gram.nsd_id, weights, gram.path)
    with open_h5(weights) as file:
        return TargetStatistics.read(file)


def _importance_matrix(
    gram: Gram, products: Mapping[float, torch.Tensor], device: str | torch.device
) -> torch.Tensor:
    """(S G - diag(q / g) G) / n, summed over penalties, (n_train, n_train) float32."""
    kernel = gram.matrix(device)
    total = torch.zeros_like(kernel)
    for alpha, targets in products.items():
        inverse = Factor.of(kernel.clone(), alpha).inverse()
        mixed = product(targets, inverse)
        shrink = mixed.diagonal() / inverse.diagonal()
        total += mixed
        total -= shrink[:, None] * inverse
    return (total / len(kernel)).float()


def _quadratic(columns: torch.Tensor, matrix: torch.Tensor) -> np.ndarray:
    """z' M z for each column z of (n, n_columns)."""
    return (columns * product(matrix, columns)).sum(dim=0, dtype=torch.float64).cpu().numpy()
