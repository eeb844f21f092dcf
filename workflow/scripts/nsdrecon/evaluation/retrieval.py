"""Beyond the mean: retrieval of the right image among more and more candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.similarity import n_way_accuracy
from nsdrecon.evaluation.statistics import bootstrap_mean
from nsdrecon.store import ID

_CANDIDATES = (2, 5, 10, 20, 50, 100, 200, 300, 500)


def retrieval_curve(
    table: pd.DataFrame,
    metric: str,
    n_way: Sequence[int],
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Accuracy of picking the right image among more and more candidates.

    Computed from two-way identification alone: no distractors need to be drawn
    (:func:`nsdrecon.evaluation.similarity.n_way_accuracy`).

    Parameters
    ----------
    table
        Per-image table of one system and subject.
    metric
        Column of two-way identification.
    n_way
        Numbers of candidates, 2 to the number of images.
    resamples, seed
        As in :func:`nsdrecon.evaluation.statistics.bootstrap_mean`.

    Returns
    -------
    Columns ``n_way``, ``accuracy``, ``ci_low``, ``ci_high``, ``chance``.

    Raises
    ------
    InputError
        If the column is missing, is no two-way identification, or a number is out of range.
    """
    if metric not in table:
        raise InputError(
            "per-image table", found=f"columns {listing(table.columns, 12)}", expected=metric
        )
    n_images = table[ID].nunique()
    successes = table[metric].to_numpy() * (n_images - 1)
    # Tables keep 9 significant digits.
    if np.abs(successes - np.rint(successes)).max() > 1e-4:
        raise InputError(
            f"column {metric!r}",
            found="values that are no multiples of 1 / (images - 1)",
            expected="two-way identification among all images of the table",
        )
    curves = [n_way_accuracy(table[metric].to_numpy(), n_images, n) for n in n_way]
    by_image = pd.DataFrame(np.stack(curves, axis=1)).groupby(table[ID].to_numpy()).mean()
    interval = bootstrap_mean(by_image.to_numpy()[None], resamples=resamples, seed=seed)
    return pd.DataFrame(
        {
            "n_way": list(n_way),
            "accuracy": interval.mean,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "chance": [1 / n for n in n_way],
        }
    )


def retrieval_table(
    tables: Iterable[pd.DataFrame], metrics: Sequence[str], *, resamples: int, seed: int
) -> pd.DataFrame:
    """Retrieval curves of several systems and subjects.

    Parameters
    ----------
    tables
        Per-image tables, of one system and subject each.
    metrics
        Columns of two-way identification.
    resamples, seed
        As in :func:`retrieval_curve`.

    Returns
    -------
    Columns ``subject``, ``system``, ``metric`` and those of :func:`retrieval_curve`; up to all
    images of the test set are candidates. A metric without a value in a table has no rows.
    """
    curves = []
    for table in tables:
        n_images = table[ID].nunique()
        n_way = [n for n in _CANDIDATES if n < n_images] + [n_images]
        for metric in metrics:
            if metric in table and table[metric].isna().all():
                continue
            curve = retrieval_curve(table, metric, n_way, resamples=resamples, seed=seed)
            labels = {"subject": table["subject"].iloc[0], "system": table["system"].iloc[0]}
            curves.append(pd.DataFrame({**labels, "metric": metric, **curve}))
    columns = ["subject", "system", "metric", "n_way", "accuracy", "ci_low", "ci_high", "chance"]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns)
