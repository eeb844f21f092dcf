"""Means with intervals, and paired comparisons of systems, over images.

The unit is the image. Samples of one image are averaged first. The subjects see the same test
images, so one image's scores in several subjects are not independent: the pooled estimate is the
mean of the subjects' means, and its resampling draws images and takes each with all its subjects.
It speaks of other images seen by these subjects.

The scores of two-way identification of two images share their distractors; intervals treat the
images as independent, as is usual.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from nsdrecon.errors import InputError, listing
from nsdrecon.randomness import generator
from nsdrecon.store import ID

logger = logging.getLogger(__name__)

POOLED = "pooled"
SIGNIFICANT = 0.05
"""Corrected p-values below this are called significant."""
# Columns of the per-image tables that are no metrics.
KEYS = (ID, "subject", "system", "protocol", "sample")
UNDEFINED = "undefined"

_LEVEL = 0.95  # coverage of the intervals

# Draws computed together; bounds the memory of the resampling weights.
_CHUNK = 1000
# Sign-flipped means this close to the observed one are equal but for rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """Estimates with bootstrap limits, arrays of shape (n_columns,)."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap_mean(values: np.ndarray, *, resamples: int, seed: int) -> Interval:
    """Mean of subjects' means over images, with a 95 % BCa interval from resampled images.

    Parameters
    ----------
    values
        Shape (n_subjects, n_images, n_columns); column k of all images and subjects is one
        quantity. NaN where a subject has no such value.
    resamples
        Number of bootstrap samples. They are the same for all columns.
    seed
        Seed of the resampling.

    Returns
    -------
    Means and limits of each column. A column without spread has both limits at its mean.

    Notes
    -----
    Bias-corrected and accelerated interval (Efron 1987, J. Am. Stat. Assoc. 82, 171-185); the
    acceleration comes from the influence of each image on the estimate.
    """
    values, seen = _checked(values)
    n_images = values.shape[1]
    random = generator(seed, "bootstrap over images", n_images, resamples)
    draws = np.concatenate(
        [_means(values, seen, _image_counts(random, n_images, n)) for n in _chunks(resamples)]
    )
    mean = _means(values, seen, np.ones((1, n_images)))[0]
    return _bca(mean, draws, _influence(values, seen))


def sign_flip_p(differences: np.ndarray, *, permutations: int, seed: int) -> np.ndarray:
    """Two-sided permutation p-value of a mean paired difference being zero.

    Under the null the two systems are exchangeable for every image, so the sign of an image's
    difference (in all its subjects) is arbitrary. p = (1 + number of flips at least as far from
    zero) / (1 + permutations).

    Parameters
    ----------
    differences
        Shape (n_subjects, n_images, n_columns), as in :func:`bootstrap_mean`.
    permutations
        Number of random sign patterns, the same for all columns.
    seed
        Seed of the patterns.

    Returns
    -------
    Shape (n_columns,).
    """
    differences, seen = _checked(differences)
    # The pooled mean is a sum over images of terms that only change their sign.
    contribution = _contributions(differences, seen)
    observed = np.abs(contribution.sum(axis=0))
    random = generator(seed, "sign flips over images", differences.shape[1], permutations)
    exceeding = np.zeros(differences.shape[2])
    for n in _chunks(permutations):
        signs = random.integers(0, 2, (n, differences.shape[1])) * 2.0 - 1
        exceeding += (np.abs(signs @ contribution) >= observed - _ROUNDING).sum(axis=0)
    return (1 + exceeding) / (1 + permutations)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of a family of p-values, shape (n,).

    Holm (1979), Scand. J. Statistics 6, 65-70.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def metrics_table(tables: Sequence[pd.DataFrame], *, resamples: int, seed: int) -> pd.DataFrame:
    """Mean and interval of every metric of every system, for each subject and pooled.

    Parameters
    ----------
    tables
        Per-image tables of :func:`nsdrecon.evaluation.scoring.evaluate`, of any systems, subjects
        and protocols.
    resamples, seed
        As in :func:`bootstrap_mean`.

    Returns
    -------
    Columns ``subject`` (``pooled`` for all, where a system was scored in several), ``system``,
    ``protocol``, ``metric``, ``mean``, ``ci_low``, ``ci_high``, ``n_images``, ``n_subjects``,
    ``n_samples``, ``sample_sd`` (standard deviation between samples of one image, averaged over
    images; empty for one sample), ``n_undefined`` (values that counted as a miss). Rows in the
    order of the tables.

    Raises
    ------
    InputError
        If an image was scored twice, or systems of one subject were scored on different images.
    """
    scores = _long(tables)
    rows = []
    for (protocol, metric), group in scores.groupby(["protocol", "metric"], sort=False):
        for subject, part in _subjects_and_pooled(group):
            cube = _cube(part)
            interval = bootstrap_mean(cube.values, resamples=resamples, seed=seed)
            for k, system in enumerate(cube.systems):
                own = part[(part["system"] == system) & part["value"].notna()]
                rows.append(
                    {
                        "subject": subject,
                        "system": system,
                        "protocol": protocol,
                        "metric": metric,
                        "mean": interval.mean[k],
                        "ci_low": interval.low[k],
                        "ci_high": interval.high[k],
                        "n_images": own[ID].nunique(),
                        "n_subjects": own["subject"].nunique(),
                        "n_samples": own["n_samples"].max(),
                        "sample_sd": own["sample_sd"].mean(),
                        "n_undefined": own["n_undefined"].sum(),
                    }
                )
    return pd.DataFrame(rows)


def curve_table(
    tables: Sequence[tuple[Any, pd.DataFrame]], by: str, *, resamples: int, seed: int
) -> pd.DataFrame:
    """Means and intervals against something that varies.

    Parameters
    ----------
    tables
        Value, and a per-image table of it.
    by
        What the column of values is called.
    resamples, seed
        As in :func:`bootstrap_mean`.

    Returns
    -------
    :func:`metrics_table` of the tables of each value, with the value; numbers from low to high,
    words in the order in which they come.
    """
    parts = []
    values = list(dict.fromkeys(value for value, _ in tables))
    # Subjects may have other values: sessions trained on end with all that a subject has.
    if all(isinstance(value, int | float) for value in values):
        values.sort()
    for value in values:
        own = [table for other, table in tables if other == value]
        part = metrics_table(own, resamples=resamples, seed=seed)
        parts.append(part.assign(**{by: value}))
    return pd.concat(parts, ignore_index=True)


def contrasts_table(
    tables: Sequence[pd.DataFrame],
    contrasts: Mapping[str, tuple[str, str]],
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Paired differences between systems, for each subject and pooled.

    A contrast is left out where one of its systems was not scored. Holm's correction runs over all
    contrasts and metrics of one subject (or of the pooled estimate) and protocol.

    Parameters
    ----------
    tables
        Per-image tables, as in :func:`metrics_table`.
    contrasts
        Name to system and baseline, whose difference is the first minus the second.
    resamples, seed
        As in :func:`bootstrap_mean`; as many sign patterns are drawn as resamples.

    Returns
    -------
    Columns ``subject``, ``protocol``, ``metric``, ``contrast``, ``system``, ``baseline``,
    ``difference``, ``ci_low``, ``ci_high``, ``p``, ``p_holm``, ``n_images``, ``n_subjects``.
    """
    scores = _long(tables)
    rows = []
    for (protocol, metric), group in scores.groupby(["protocol", "metric"], sort=False):
        for subject, part in _subjects_and_pooled(group):
            cube = _cube(part)
            there = {name: c for name, c in contrasts.items() if set(c) <= set(cube.systems)}
            if not there:
                continue
            plus = [cube.systems.index(system) for system, _ in there.values()]
            minus = [cube.systems.index(baseline) for _, baseline in there.values()]
            differences = cube.values[:, :, plus] - cube.values[:, :, minus]
            interval = bootstrap_mean(differences, resamples=resamples, seed=seed)
            p_values = sign_flip_p(differences, permutations=resamples, seed=seed)
            paired = ~np.isnan(differences)
            rows += [
                {
                    "subject": subject,
                    "protocol": protocol,
                    "metric": metric,
                    "contrast": name,
                    "system": system,
                    "baseline": baseline,
                    "difference": interval.mean[k],
                    "ci_low": interval.low[k],
                    "ci_high": interval.high[k],
                    "p": p_values[k],
                    "n_images": int(paired[:, :, k].any(axis=0).sum()),
                    "n_subjects": int(paired[:, :, k].any(axis=1).sum()),
                }
                for k, (name, (system, baseline)) in enumerate(there.items())
            ]
    columns = ["subject", "protocol", "metric", "contrast", "system", "baseline", "difference"]
    columns += ["ci_low", "ci_high", "p", "p_holm", "n_images", "n_subjects"]
    table = pd.DataFrame(rows, columns=[name for name in columns if name != "p_holm"])
    families = table.groupby(["subject", "protocol"], sort=False)["p"]
    return table.assign(p_holm=families.transform(holm))[columns]


@dataclass(frozen=True)
class _Cube:
    """Scores of one metric, (n_subjects, n_images, n_systems), NaN where there is none."""

    values: np.ndarray
    systems: list[str]


def _long(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A row an image, subject, system and metric: its mean over samples, and their spread."""
    parts = []
    for table in tables:
        missing = [name for name in (*KEYS, UNDEFINED) if name not in table]
        if missing:
            raise InputError(
                "per-image table",
                found=f"columns {listing(table.columns, 12)}",
                expected=f"also {listing(missing)}",
            )
        # Such as identification within a category of which no test image has another beside it.
        empty = [name for name in table.columns[table.isna().all()] if name != UNDEFINED]
        if empty:
            logger.warning("no image has a value of %s: left out", listing(empty))
        metrics = [name for name in table if name not in (*KEYS, UNDEFINED, *empty)]
        part = table.melt([*KEYS, UNDEFINED], metrics, var_name="metric", value_name="value")
        # A column without any entry comes back from a file as empty numbers.
        names = part[UNDEFINED].astype("string").fillna("").str.split(",")
        part["was_undefined"] = [m in n for m, n in zip(part["metric"], names, strict=True)]
        parts.append(part)
    samples = pd.concat(parts, ignore_index=True)
    double = samples.duplicated([*KEYS, "metric"])
    if double.any():
        first = samples[double].iloc[0]
        raise InputError(
            "per-image tables",
            found=f"nsd_id {first[ID]} of {first['system']}, {first['subject']}, twice",
            expected="each image and sample once",
        )
    by_image = samples.groupby(
        ["protocol", "metric", "subject", "system", ID], sort=False, as_index=False
    )
    return by_image.agg(
        value=("value", "mean"),
        n_samples=("value", "size"),
        sample_sd=("value", "std"),
        n_undefined=("was_undefined", "sum"),
    )


def _subjects_and_pooled(scores: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each subject's scores, then those of all systems that were scored in several subjects."""
    for subject, part in scores.groupby("subject", sort=False):
        yield str(subject), part
    several = scores.groupby("system")["subject"].transform("nunique") > 1
    if several.any():
        yield POOLED, scores[several]


def _cube(scores: pd.DataFrame) -> _Cube:
    subjects = list(scores["subject"].unique())
    systems = list(scores["system"].unique())
    images = np.unique(scores[ID])
    values = np.full((len(subjects), len(images), len(systems)), np.nan)
    for (subject, system), part in scores.groupby(["subject", "system"], sort=False):
        where = subjects.index(subject), np.searchsorted(images, part[ID]), systems.index(system)
        values[where] = part["value"]
    for subject, block in zip(subjects, np.isnan(values), strict=True):
        scored = ~block[:, ~block.all(axis=0)]
        uneven = scored.any(axis=1) & ~scored.all(axis=1)
        if uneven.any():
            raise InputError(
                f"scores of {subject}",
                found=f"nsd_id {listing(images[uneven])} in some systems only",
                expected="the same images in all systems",
            )
    return _Cube(values, systems)


def _checked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values with zeros in the gaps, and where there are values; float64, the same shape."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 3:
        raise InputError(
            "scores", found=f"shape {values.shape}", expected="(subjects, images, columns)"
        )
    seen = ~np.isnan(values)
    if not seen.any(axis=(0, 1)).all():
        raise InputError("scores", found="a column without a value", expected="values")
    return np.where(seen, values, 0), seen.astype(np.float64)


def _chunks(total: int) -> Iterator[int]:
    for start in range(0, total, _CHUNK):
        yield min(_CHUNK, total - start)


def _image_counts(random: np.random.Generator, n_images: int, n_draws: int) -> np.ndarray:
    """How often each image is in each resample, shape (n_draws, n_images)."""
    drawn = random.integers(0, n_images, (n_draws, n_images))
    flat = (drawn + n_images * np.arange(n_draws)[:, None]).ravel()
    return np.bincount(flat, minlength=n_draws * n_images).reshape(n_draws, n_images).astype(float)


def _means(values: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of subjects' weighted means over images, shape (n_draws, n_columns)."""
    sums = weights @ values
    totals = weights @ seen
    means = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
    subjects = (totals > 0).sum(axis=0)
    # A draw can miss all images that have a value, if these are few: it says nothing then.
    nothing = np.full_like(means[0], np.nan)
    return np.divide(means.sum(axis=0), subjects, out=nothing, where=subjects > 0)


def _contributions(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What each image adds to the mean of subjects' means, shape (n_images, n_columns)."""
    totals = seen.sum(axis=1, keepdims=True)
    shares = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)
    return shares.sum(axis=0) / (totals > 0).sum(axis=0)


def _influence(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Empirical influence of each image on the mean of subjects' means, (n_images, n_columns)."""
    totals = seen.sum(axis=1, keepdims=True)
    means = np.divide(
        values.sum(axis=1, keepdims=True), totals, out=np.zeros_like(totals), where=totals > 0
    )
    return _contributions((values - means) * seen, seen)


def _bca(mean: np.ndarray, draws: np.ndarray, influence: np.ndarray) -> Interval:
    """Bias-corrected and accelerated limits of each column of bootstrap draws."""
    n_draws = (~np.isnan(draws)).sum(axis=0)
    below = ((draws < mean).sum(axis=0) + (draws == mean).sum(axis=0) / 2) / n_draws
    bias = ndtri(np.clip(below, 1 / (n_draws + 1), n_draws / (n_draws + 1)))
    spread = (influence**2).sum(axis=0)
    acceleration = np.divide(
        (influence**3).sum(axis=0), 6 * spread**1.5, out=np.zeros_like(spread), where=spread > 0
    )
    limits = []
    for tail in ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2):
        z = bias + ndtri(tail)
        quantile = ndtr(bias + z / (1 - acceleration * z))
        limits.append(
            np.array(
                [np.nanquantile(column, q) for column, q in zip(draws.T, quantile, strict=True)]
            )
        )
    return Interval(mean, *limits)
