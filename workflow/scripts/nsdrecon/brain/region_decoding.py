"""Feature spaces decoded from each region of the brain alone, and from all but the region.

The Gram matrix of responses is a sum over voxels. That of a region is made once for all feature
spaces; that of the other voxels is what is left of the whole.

The score of an image is the correlation of its features with those predicted from its response by
ridge that has not seen it, over the standardised features of the space, hence of what sets the
image apart from the others. For centred and standardised features Y and G of `nsdrecon.ridge.dual`
the prediction, without the intercept, which moves against the left-out image, is c_i Y with

    c_i = e_i - (n - 1) / (n G_ii) G_i,

so that all scores follow from S = Y Y': the correlation of image i is (c S)_ii / sqrt((c S c')_ii
S_ii). It is 0 in expectation where the region knows nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nsdrecon.brain.features import target_products
from nsdrecon.data.volumes import Voxels, read_labels
from nsdrecon.errors import InputError
from nsdrecon.evaluation.statistics import bootstrap_mean
from nsdrecon.logs import progress
from nsdrecon.regions import Region
from nsdrecon.ridge.dual import Factor, Spectrum, check_alphas, loo_squared_errors
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.responses import Gram

logger = logging.getLogger(__name__)

ALL, ALONE, WITHOUT = "all", "alone", "without"
_SCORED = 1000  # images at most, evenly spaced: as many as a test set has


def read_regions(
    regions: Sequence[Region], volumes: Mapping[str, str | Path], voxels: Voxels
) -> dict[str, np.ndarray]:
    """Which voxels belong to each region.

    Parameters
    ----------
    regions
        Regions of interest.
    volumes
        Name of each of their volumes to its NIfTI file.
    voxels
        The voxels that were decoded.

    Returns
    -------
    Name to flags (n_voxels,). Regions without any of the voxels are left out and named in the log.

    Raises
    ------
    InputError
        If a volume is missing, damaged or of another shape, has values that are no labels, or none
        of the regions has a voxel.
    """
    labels = {name: read_labels(path, voxels) for name, path in volumes.items()}
    found = {}
    for region in regions:
        values = labels[region.volume]
        members = np.isin(values, region.labels) if region.labels else values > 0
        if members.any():
            found[region.name] = members
        else:
            what = f"labels {region.labels}" if region.labels else "labels above 0"
            path = volumes[region.volume]
            logger.warning("%s: no decoded voxel has %s of %s", region.name, what, path)
    if not found:
        raise InputError(
            ", ".join(map(str, volumes.values())),
            found="no region with a decoded voxel",
            expected="at least one",
        )
    return found


def decode_regions(
    gram: str | Path,
    train_betas: str | Path,
    latents: Mapping[str, str | Path],
    regions: Sequence[Region],
    volumes: Mapping[str, str | Path],
    *,
    alpha_grid: Sequence[float],
    resamples: int,
    seed: int,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> pd.DataFrame:
    """Scores of every feature space, from all voxels, from each region alone and without it.

    Parameters
    ----------
    gram, train_betas
        Files of `nsdrecon.ridge.responses` and the responses the Gram matrix was made of.
    latents
        Feature space to its file of latents of the training images.
    regions, volumes
        As in `read_regions`.
    alpha_grid
        Penalties to choose from, by leave-one-out, for each feature space and set of voxels.
    resamples, seed
        As in `nsdrecon.evaluation.statistics.bootstrap_mean`, over images.
    device
        Where to compute. Memory is about 32 n_train^2 bytes, and 4 n_train^2 for each feature
        space.
    block
        Targets at a time.

    Returns
    -------
    Columns ``subject``, ``feature``, ``region``, ``voxels`` (``all``, ``alone`` or ``without``),
    ``n_voxels`` (that vary), ``alpha``, ``correlation``, ``ci_low``, ``ci_high``, and
    ``difference`` to all voxels with ``difference_low`` and ``difference_high``, ``n_images``.

    Raises
    ------
    InputError
        As `read_regions`, and if files are damaged or do not belong together.
    """
    responses = Gram.of(gram)
    grid = check_alphas("loo", alpha_grid)
    members = read_regions(regions, volumes, responses.voxels)
    products = {name: _products(path, responses, device, block) for name, path in latents.items()}
    rows, scores = [], []
    sets = _voxel_sets(responses, train_betas, members, device)
    for region, voxels, n_voxels, matrix in sets:
        for feature, (alpha, correlation) in _scores(matrix, products, grid).items():
            rows.append(
                {
                    "subject": responses.labels["subject"],
                    "feature": feature,
                    "region": region,
                    "voxels": voxels,
                    "n_voxels": n_voxels,
                    "alpha": alpha,
                }
            )
            scores.append(correlation)
    return _with_intervals(pd.DataFrame(rows), np.stack(scores, axis=1), resamples, seed)


def _products(
    latents: str | Path, responses: Gram, device: str | torch.device, block: int
) -> torch.Tensor:
    """S of a feature space, float32."""
    found = target_products(latents, responses.nsd_id, responses.path, device=device, block=block)
    return sum(found.values()).float()


def _voxel_sets(
    responses: Gram,
    train_betas: str | Path,
    members: Mapping[str, np.ndarray],
    device: str | torch.device,
) -> Iterator[tuple[str, str, int, torch.Tensor]]:
    """Region, which voxels, how many, and their Gram matrix, which the caller may not change."""
    varies = responses.standardise.std > 0
    whole = responses.matrix(device)
    yield ALL, ALL, int(varies.sum()), whole
    for name, flags in progress(members.items(), description="regions", unit="region"):
        n_inside, n_outside = int((flags & varies).sum()), int((~flags & varies).sum())
        matrix = torch.zeros_like(whole)
        for columns, values in responses.standardised(train_betas, device):
            inside = values[:, torch.from_numpy(flags[columns])]
            matrix += product(inside, inside.T)
        for voxels, n_voxels, gram in (
            (ALONE, n_inside, matrix),
            (WITHOUT, n_outside, whole - matrix),
        ):
            if n_voxels:
                yield name, voxels, n_voxels, gram
            else:
                logger.warning("%s, %s: no voxel that varies", name, voxels)


def _scores(
    gram: torch.Tensor, products: Mapping[str, torch.Tensor], grid: Sequence[float]
) -> dict[str, tuple[float, np.ndarray]]:
    """For each feature space the penalty and the correlations of the scored images."""
    n = len(gram)
    scored = torch.linspace(0, n - 1, min(n, _SCORED)).round().long()
    spectrum = Spectrum.of(_centred(gram, scored))
    alphas = {
        name: grid[int(loo_squared_errors(spectrum, grid, _centred(targets, scored)).argmin())]
        for name, targets in products.items()
    }
    operators = {
        alpha: _left_out_operator(gram, alpha, scored) for alpha in dict.fromkeys(alphas.values())
    }
    return {
        name: (alphas[name], _correlations(operators[alphas[name]], targets, scored))
        for name, targets in products.items()
    }


def _centred(products: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Products of some of the images, with the mean of just these taken off; float64."""
    part = products[rows][:, rows].double()
    return part - part.mean(dim=0) - part.mean(dim=1, keepdim=True) + part.mean()


def _left_out_operator(gram: torch.Tensor, alpha: float, rows: torch.Tensor) -> torch.Tensor:
    """Rows c_i (n_rows, n_train), float32, that predict left-out images from all targets."""
    n = len(gram)
    units = torch.zeros(len(rows), n, dtype=gram.dtype, device=gram.device)
    places = torch.arange(len(rows)), rows
    units[places] = 1
    inverse = Factor.of(gram.clone(), alpha).apply(units - 1 / n)
    return (units - (n - 1) / n * inverse / inverse[places][:, None]).float()


def _correlations(operator: torch.Tensor, targets: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    """Correlation of each scored image's features with their prediction; 0 if that is constant."""
    similarity = product(operator, targets)
    squares = (similarity * operator).sum(dim=1, dtype=torch.float64)
    own = similarity[torch.arange(len(rows)), rows].double()
    scale = (squares.clamp(min=0) * targets.diagonal()[rows]).sqrt()
    return torch.where(scale > 0, own / scale, 0).cpu().numpy()


def _with_intervals(
    rows: pd.DataFrame, scores: np.ndarray, resamples: int, seed: int
) -> pd.DataFrame:
    """The table of scores (n_images, n_rows): means, and differences to all voxels."""
    whole = {row.feature: row.Index for row in rows.itertuples() if row.voxels == ALL}
    differences = scores - scores[:, [whole[feature] for feature in rows["feature"]]]
    found = bootstrap_mean(scores[None], resamples=resamples, seed=seed)
    apart = bootstrap_mean(differences[None], resamples=resamples, seed=seed)
    return rows.assign(
        correlation=found.mean,
        ci_low=found.low,
        ci_high=found.high,
        difference=apart.mean,
        difference_low=apart.low,
        difference_high=apart.high,
        n_images=len(scores),
    )
