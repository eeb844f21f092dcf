"""How many dimensions of the brain a decoder needs: its quality with the first few alone.

The singular value decomposition of a decoder's weights, W = U D V', orders the directions of the
voxels U by how much of its predictions goes through them. With the first k of them alone the
prediction of a response x is x U_k U_k' W: k numbers are all that is known of the brain.

Weights are fitted to most of the training images, scores are those of the others. In the dual
(`nsdrecon.ridge.dual`), with K = E L E' of the fitted images, S = Y Y' of their features and
F = L^(1/2) (L + alpha)^(-1), the singular vectors follow from the eigenvectors Q of F E' S E F: the
coordinates of new responses are X* X' E L^(-1/2) Q, and neither voxels nor features are looked at
again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nsdrecon.brain.features import target_products
from nsdrecon.errors import InputError
from nsdrecon.evaluation.statistics import bootstrap_mean
from nsdrecon.ridge.dual import Spectrum, check_alphas, loo_squared_errors
from nsdrecon.ridge.linalg import eigh, product
from nsdrecon.ridge.responses import Gram

logger = logging.getLogger(__name__)

_SCORED = 1000  # images at most, as in `nsdrecon.brain.region_decoding`
_SHARE = 0.1  # of the training images that are scored
_DIMENSIONS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def dimensions_table(
    gram: str | Path,
    latents: Mapping[str, str | Path],
    *,
    alpha_grid: Sequence[float],
    resamples: int,
    seed: int,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> pd.DataFrame:
    """Scores of every feature space against the number of brain dimensions.

    The score of an image is the correlation of its standardised features with the predicted ones;
    its floor, of its features with those predicted from the responses to all other images.

    Parameters
    ----------
    gram
        File of `nsdrecon.ridge.responses`.
    latents
        Feature space to its file of latents of the training images.
    alpha_grid
        Penalties to choose from, by leave-one-out among the fitted images, for each feature space.
    resamples, seed
        As in `nsdrecon.evaluation.statistics.bootstrap_mean`, over images.
    device
        Where to compute. Memory is about 50 n_train^2 bytes.
    block
        Targets at a time.

    Returns
    -------
    Columns ``subject``, ``feature``, ``n_dimensions``, ``alpha``, ``correlation``, ``ci_low``,
    ``ci_high``, ``floor`` and ``n_images``.

    Raises
    ------
    InputError
        If files are damaged or do not belong together, or there are less than ten images.
    """
    responses = Gram.of(gram)
    n = len(responses.nsd_id)
    n_scored = min(_SCORED, round(_SHARE * n))
    if n_scored < 1:
        raise InputError(gram, found=f"{n} training images", expected="10 or more")
    scored = torch.linspace(0, n - 1, n_scored).round().long()
    fitted = torch.from_numpy(np.setdiff1d(np.arange(n), scored.numpy()))
    grid = check_alphas("loo", alpha_grid)
    inside, across, _ = _parts(responses.matrix(device), fitted, scored)
    spectrum = Spectrum.of(inside)
    rows, scores = [], []
    for feature, path in latents.items():
        found = target_products(path, responses.nsd_id, gram, device=device, block=block)
        parts = _parts(sum(found.values()), fitted, scored)
        alpha = grid[int(loo_squared_errors(spectrum, grid, parts[0]).argmin())]
        for n_dimensions, matrix in _correlations(spectrum, across, parts, alpha).items():
            own = matrix.diagonal()
            others = (matrix.sum(axis=0) - own) / max(1, len(own) - 1)
            rows.append((responses.labels["subject"], feature, n_dimensions, alpha, others.mean()))
            scores.append(own)
        logger.info("%s: %.3f with all dimensions", feature, scores[-1].mean())
    interval = bootstrap_mean(np.stack(scores, axis=1)[None], resamples=resamples, seed=seed)
    columns = ["subject", "feature", "n_dimensions", "alpha", "floor"]
    return pd.DataFrame(rows, columns=columns).assign(
        correlation=interval.mean,
        ci_low=interval.low,
        ci_high=interval.high,
        n_images=len(scored),
    )


_Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _parts(products: torch.Tensor, fitted: torch.Tensor, scored: torch.Tensor) -> _Parts:
    """Products of fitted images, of scored with fitted ones, and squares of scored ones.

    The mean of the fitted images is taken off all of them.
    """
    inside, across = products[fitted][:, fitted].double(), products[scored][:, fitted].double()
    squares = products.diagonal()[scored].double()
    means, mean = inside.mean(dim=0), inside.mean()
    own = across.mean(dim=1)
    return (
        inside - means - means[:, None] + mean,
        across - means - own[:, None] + mean,
        squares - 2 * own + mean,
    )


def _correlations(
    spectrum: Spectrum, across: torch.Tensor, targets: _Parts, alpha: float
) -> dict[int, np.ndarray]:
    """Correlation of each prediction (rows) with each image's features, by number of dimensions."""
    inside, mixed, squares = targets
    roots = spectrum.values.sqrt()
    inverse = torch.where(roots > roots.max() * 1e-7, 1 / roots, 0)
    shrunk = spectrum.vectors * (roots / (spectrum.values + alpha))
    weights, vectors = eigh(product(product(shrunk.T, inside), shrunk))
    weights, vectors = weights.flip(0).clamp(min=0), vectors.flip(1)
    coordinates = product(product(across, spectrum.vectors * inverse), vectors)
    targeted = product(product(vectors.T, shrunk.T), mixed.T)
    lengths = (coordinates**2 * weights).cumsum(dim=1).sqrt()
    found = {}
    for count in [*(n for n in _DIMENSIONS if n < len(weights)), len(weights)]:
        length = lengths[:, count - 1, None] * squares.clamp(min=0).sqrt()
        together = product(coordinates[:, :count], targeted[:count])
        found[count] = torch.where(length > 0, together / length, 0).cpu().numpy()
    return found
