"""The table of leave-one-out scores of a feature space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError
from nsdrecon.ridge.targets import TargetStatistics
from nsdrecon.store import open_h5


def scores_table(weights: str | Path, part_sizes: Sequence[int] | None = None) -> pd.DataFrame:
    """Leave-one-out scores on the training images, of a feature space and of its parts.

    Parameters
    ----------
    weights
        File of `nsdrecon.ridge.fitting.fit_weights`.
    part_sizes
        Targets in each of the consecutive parts, for instance of each VDVAE layer. By default the
        parts are the rows of latents with two or more axes (tokens), and others have none.

    Returns
    -------
    A row for ``part`` "all" and then for parts 0, 1, ...: ``subject``, ``feature``, ``part``,
    ``n_targets``, ``n_constant``, ``alpha_median``, and mean and median over the targets that vary
    of ``loo_correlation`` and ``loo_r2``, not numbers where none varies.

    Raises
    ------
    InputError
        If the file is damaged, or the parts do not add up to its targets.
    """
    with open_h5(weights) as file:
        statistics = TargetStatistics.read(file)
        shape = tuple(int(size) for size in file.attrs["shape"])
        about = {name: str(file.attrs[name]) for name in ("subject", "feature")}
    if part_sizes is None:
        part_sizes = [int(np.prod(shape[1:]))] * shape[0] if len(shape) > 1 else []
    elif sum(part_sizes) != len(statistics):
        raise InputError(
            weights,
            found=f"{len(statistics)} targets",
            expected=f"{sum(part_sizes)}, the sum of {len(part_sizes)} parts",
        )
    starts = np.cumsum([0, *part_sizes])
    rows = [_scores("all", statistics)]
    for part, (start, stop) in enumerate(pairwise(starts)):
        rows.append(_scores(str(part), statistics.part(slice(start, stop))))
    return pd.DataFrame([{**about, **row} for row in rows])


def _scores(part: str, statistics: TargetStatistics) -> dict[str, object]:
    varies = statistics.target_std > 0
    alpha = pd.Series(statistics.alpha[varies])
    correlation = pd.Series(statistics.loo_correlation[varies])
    r2 = pd.Series(statistics.loo_r2[varies])
    return {
        "part": part,
        "n_targets": len(statistics),
        "n_constant": int((~varies).sum()),
        "alpha_median": alpha.median(),
        "loo_correlation_mean": correlation.mean(),
        "loo_correlation_median": correlation.median(),
        "loo_r2_mean": r2.mean(),
        "loo_r2_median": r2.median(),
    }
