"""The per-image table: every reconstruction of one system, scored under one protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.floors import shuffled_order
from nsdrecon.evaluation.networks import Device, FeatureExtractor, by_network
from nsdrecon.evaluation.protocols import Protocol, protocol
from nsdrecon.evaluation.similarity import (
    correlation_distance,
    correlation_matrix,
    identification_within_category,
    two_way_identification,
)
from nsdrecon.evaluation.statistics import UNDEFINED
from nsdrecon.extensions import implementation
from nsdrecon.logs import progress
from nsdrecon.metrics import DISTANCE, Metric, NetworkMetric, PixelMetric
from nsdrecon.store import (
    ID,
    dataset,
    open_h5,
    read_table,
    rows_of,
    unique_ids,
    write_table,
)

logger = logging.getLogger(__name__)

# Which reconstruction each image is scored with.
_Order = np.ndarray | slice


def evaluate(
    reconstructions: str | Path,
    stimuli: str | Path,
    output: str | Path,
    *,
    protocol_name: str,
    metrics: Sequence[Metric],
    shuffled: str | Path | None = None,
    seed: int = 0,
    nsd_id: np.ndarray | None = None,
    categories: str | Path | None = None,
    device: Device = "cpu",
    batch_size: int = 32,
) -> pd.DataFrame:
    """Score every reconstruction of one system and write a row an image and sample.

    Pictures are read one by one. One network is in memory at a time, with the features of the
    ground truths and of one sample of the reconstructions. Their correlations are computed once;
    identification, distances and the shuffled floor are all read from that matrix.

    An undefined value (of a constant picture, for instance) counts as the metric's ``miss``; in
    identification it is told apart from nothing. The column ``undefined`` names the metrics of a
    row, separated by commas, in which that happened; the log counts them.

    Parameters
    ----------
    reconstructions
        HDF5 with ``nsd_id`` and ``images`` (n_images, n_samples, height, width, 3), uint8, and the
        attributes ``system`` and ``subject``.
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n_stimuli, height, width, 3), uint8: the same images,
        and perhaps others.
    output
        Tab-separated table, written all or nothing.
    protocol_name
        Name of the protocol (:data:`nsdrecon.evaluation.protocols.PROTOCOLS`).
    metrics
        What to score by, in the order of the columns
        (:func:`nsdrecon.metrics.configured_metrics`).
    shuffled
        Table of the system's own floor, ``shuffled-<system>``, in which every image is scored with
        the reconstruction of another one (:func:`nsdrecon.evaluation.floors.shuffled_order`). No
        picture passes a network again for it.
    seed
        Seed of that order.
    nsd_id
        Images that must have been reconstructed, no more and no less: the subject's test images. By
        default all stimuli.
    categories
        Table with ``nsd_id`` and ``category``: adds to each identification a column of
        identification among images of the same category, empty for an image alone in its own.
    device
        Where the networks run.
    batch_size
        Pictures that pass a network together.

    Returns
    -------
    Columns ``nsd_id``, ``subject``, ``system``, ``protocol``, ``sample``, one a metric,
    ``undefined``.

    Raises
    ------
    InputError
        If images are missing or extra, pictures are not square uint8 RGB, or a network does not
        fit.
    """
    rules = protocol(protocol_name)
    pixels = [metric for metric in metrics if isinstance(metric, PixelMetric)]
    networks = [metric for metric in metrics if isinstance(metric, NetworkMetric)]
    with open_h5(stimuli) as truth_file, open_h5(reconstructions) as made_file:
        truths = _Pictures(truth_file, n_axes=4, nsd_id=nsd_id)
        made = _Pictures(made_file, n_axes=5)
        _check_same_images(truths, made)
        system, subject = made.attribute("system"), made.attribute("subject")
        category = None if categories is None else _categories(categories, truths.nsd_id)
        orders: dict[str, _Order] = {system: slice(None)}
        if shuffled is not None:
            order = shuffled_order(made.nsd_id, subject=subject, seed=seed)
            orders[f"shuffled-{system}"] = order
        scores = [_pixel_scores(truths, made, pixels, rules, orders)]
        scores += [
            _network_scores(truths, made, group, rules, orders, category, device, batch_size)
            for group in by_network(networks)
        ]
    tables = {}
    for name, path in zip(orders, (output, shuffled), strict=False):
        values = pd.concat([part[name] for part in scores], axis=1)
        tables[name] = _table(_frame(made, name, rules.name), values, metrics)
        write_table(path, tables[name])
    return tables[system]


class _Pictures:
    """Pictures of an open file by ``nsd_id`` (default: all), in the order of the sorted ids."""

    def __init__(self, file: h5py.File, n_axes: int, nsd_id: np.ndarray | None = None) -> None:
        self.source = file.filename
        self.images = dataset(file, "images")
        shape = self.images.shape
        if (
            self.images.dtype != np.uint8
            or len(shape) != n_axes
            or shape[-1] != 3
            or shape[-3] != shape[-2]
            or 0 in shape
        ):
            kind = "(n, samples, size, size, 3)" if n_axes == 5 else "(n, size, size, 3)"
            raise InputError(
                self.source,
                found=f"images of shape {shape} and type {self.images.dtype}",
                expected=f"uint8 {kind}",
            )
        found = unique_ids(dataset(file, ID)[()], self.source)
        if len(found) != shape[0]:
            raise InputError(self.source, found=f"{len(found)} ids", expected=f"{shape[0]}")
        self.nsd_id = np.sort(found if nsd_id is None else unique_ids(nsd_id, "test images"))
        self._rows = rows_of(self.nsd_id, found, self.source)
        self.n_samples = shape[1] if n_axes == 5 else 1
        self._sampled = n_axes == 5
        self.attributes = dict(file.attrs)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.sample(0)

    def sample(self, sample: int, order: _Order = slice(None)) -> Iterator[np.ndarray]:
        """One sample of every image, uint8 (size, size, 3), in the order of the ids or another."""
        for row in self._rows[order]:
            yield self.images[row, sample] if self._sampled else self.images[row]

    def attribute(self, name: str) -> str:
        if name not in self.attributes:
            raise InputError(
                self.source,
                found=f"attributes {listing(self.attributes) or '(none)'}",
                expected=f"an attribute {name!r}",
            )
        return str(self.attributes[name])


def _check_same_images(truths: _Pictures, made: _Pictures) -> None:
    missing = np.setdiff1d(truths.nsd_id, made.nsd_id)
    extra = np.setdiff1d(made.nsd_id, truths.nsd_id)
    if len(missing) or len(extra):
        parts = [f"no nsd_id {listing(missing)}"] if len(missing) else []
        parts += [f"extra nsd_id {listing(extra)}"] if len(extra) else []
        raise InputError(
            made.source,
            found=" and ".join(parts),
            expected=f"the {len(truths.nsd_id)} images of {truths.source}",
        )


def _frame(made: _Pictures, system: str, protocol_name: str) -> pd.DataFrame:
    n_images = len(made.nsd_id)
    return pd.DataFrame(
        {
            ID: np.tile(made.nsd_id, made.n_samples),
            "subject": made.attribute("subject"),
            "system": system,
            "protocol": protocol_name,
            "sample": np.repeat(np.arange(made.n_samples), n_images),
        }
    )


def _table(frame: pd.DataFrame, values: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """The per-image table, undefined values counted as a miss."""
    # Networks were grouped to run once; the columns keep the order they were asked for in.
    columns = [metric.name for metric in metrics]
    undefined = values[columns].isna()
    values = values.fillna({metric.name: metric.score.miss for metric in metrics})
    columns += [name for name in values if name not in columns]
    table = pd.concat([frame, values[columns]], axis=1)
    table[UNDEFINED] = [",".join(undefined.columns[row]) for row in undefined.to_numpy()]
    _log(frame["system"].iloc[0], values[columns], undefined)
    return table


def _pixel_scores(
    truths: _Pictures,
    made: _Pictures,
    metrics: Sequence[PixelMetric],
    rules: Protocol,
    orders: Mapping[str, _Order],
) -> dict[str, pd.DataFrame]:
    """Pixel metrics of every order, rows by sample and image."""
    functions = {metric.name: implementation(metric.source) for metric in metrics}
    total = len(made.nsd_id) * made.n_samples
    scores = {}
    for name, order in orders.items():
        pairs = (
            pair
            for sample in range(made.n_samples)
            for pair in zip(truths, made.sample(sample, order), strict=True)
        )
        watched = progress(pairs, description=f"{', '.join(functions)} of {name}", total=total)
        scores[name] = pd.DataFrame(pixel_scores(functions, rules, *pair) for pair in watched)
    return scores


def pixel_scores(
    functions: Mapping[str, Callable[[np.ndarray, np.ndarray], float]],
    rules: Protocol,
    ground_truth: np.ndarray,
    reconstruction: np.ndarray,
) -> dict[str, float]:
    """Pixel metrics of one pair, uint8 (height, width, 3) each, sizes may differ.

    Parameters
    ----------
    functions
        Column to function of the two pictures of one size.
    rules
        Protocol that brings them to one size.
    ground_truth, reconstruction
        The pair.

    Raises
    ------
    InputError
        If a value is infinite; undefined ones are NaN.
    """
    pair = rules.pixel_pair(ground_truth, reconstruction)
    scores = {name: float(function(*pair)) for name, function in functions.items()}
    for name, value in scores.items():
        if np.isinf(value):
            raise InputError(
                f"metric {name!r}", found=value, expected="a number, or NaN where it is undefined"
            )
    return scores


def _network_scores(
    truths: _Pictures,
    made: _Pictures,
    metrics: Sequence[NetworkMetric],
    rules: Protocol,
    orders: Mapping[str, _Order],
    category: np.ndarray | None,
    device: Device,
    batch_size: int,
) -> dict[str, pd.DataFrame]:
    """Scores of every order by one network, rows by sample and image."""
    extract = FeatureExtractor(metrics, rules, device)
    n_images = len(truths.nsd_id)
    label = ", ".join(metric.name for metric in metrics)

    def features(pictures: Iterator[np.ndarray], what: str) -> dict[str, np.ndarray]:
        watched = progress(pictures, description=f"{label}: {what}", total=n_images)
        return extract(watched, n_images, batch_size)

    expected = features(iter(truths), "ground truths")
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in orders}
    for sample in range(made.n_samples):
        found = features(made.sample(sample), f"sample {sample}")
        matrices = [
            correlation_matrix(expected[metric.name], found[metric.name]) for metric in metrics
        ]
        for name, order in orders.items():
            scores: dict[str, np.ndarray] = {}
            for metric, matrix in zip(metrics, matrices, strict=True):
                scores |= _scores(metric, matrix[:, order], category)
            parts[name].append(pd.DataFrame(scores))
    return {name: pd.concat(part, ignore_index=True) for name, part in parts.items()}


def _scores(
    metric: NetworkMetric, correlation: np.ndarray, category: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Column to the scores of all images, read from their matrix of correlations."""
    if metric.score == DISTANCE:
        return {metric.name: correlation_distance(correlation)}
    scores = {metric.name: two_way_identification(correlation)}
    if category is not None:
        within = identification_within_category(correlation, category)
        scores[metric.within_category().name] = within
    return scores


def _categories(path: str | Path, nsd_id: np.ndarray) -> np.ndarray:
    """The category of each image, shape (n_images,)."""
    table = read_table(path, [ID, "category"])
    known = unique_ids(table[ID].to_numpy(), path)
    return table["category"].to_numpy()[rows_of(nsd_id, known, path)]


def _log(system: str, values: pd.DataFrame, undefined: pd.DataFrame) -> None:
    for name, count in undefined.sum().items():
        if count:
            logger.warning(
                "%s: %d of %d values undefined, counted as a miss", name, count, len(undefined)
            )
    for name, mean in values.mean().items():
        logger.info("%s %s: %.4f", system, name, mean)
