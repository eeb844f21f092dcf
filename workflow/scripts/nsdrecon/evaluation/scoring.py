"""The per-image table: every reconstruction of one system, scored under one protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.metrics import (
    correlation_distance,
    identification_within_category,
    two_way_identification,
)
from nsdrecon.evaluation.networks import (
    Device,
    FeatureExtractor,
    NetworkMetric,
    by_network,
    check_metrics,
)
from nsdrecon.evaluation.protocols import Protocol, protocol
from nsdrecon.logs import progress
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

# Columns of the per-image table that are no metrics.
KEYS = (ID, "subject", "system", "protocol", "sample")
UNDEFINED = "undefined"
SAME_CATEGORY = "(same category)"


def evaluate(
    reconstructions: str | Path,
    stimuli: str | Path,
    output: str | Path,
    *,
    protocol_name: str,
    nsd_id: np.ndarray | None = None,
    networks: Sequence[NetworkMetric] = (),
    categories: str | Path | None = None,
    device: Device = "cpu",
    batch_size: int = 32,
) -> pd.DataFrame:
    """Score every reconstruction of one system and write a row an image and sample.

    Pictures are read one by one. One network is in memory at a time, with the features of the
    ground truths and of one sample of the reconstructions.

    An undefined correlation (a constant picture) is a miss: 0 in PixCorr, 1 in a distance, told
    apart from nothing in identification. The column ``undefined`` names the metrics of a row,
    separated by commas, in which that happened; the log counts them.

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
    nsd_id
        Images that must have been reconstructed, no more and no less: the subject's test images. By
        default all stimuli.
    networks
        Network metrics beside PixCorr and SSIM.
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
    check_metrics(rules, networks)
    with open_h5(stimuli) as truth_file, open_h5(reconstructions) as made_file:
        truths = _Pictures(truth_file, n_axes=4, nsd_id=nsd_id)
        made = _Pictures(made_file, n_axes=5)
        _check_same_images(truths, made)
        frame = _frame(made, rules.name)
        category = None if categories is None else _categories(categories, truths.nsd_id)
        scores = [_pixel_scores(truths, made, rules)]
        scores += [
            _network_scores(truths, made, group, rules, category, device, batch_size)
            for group in by_network(networks)
        ]
    # Networks were grouped to run once; the columns keep the order they were asked for in.
    columns = ["PixCorr", "SSIM", *(metric.name for metric in networks)]
    values = pd.concat(scores, axis=1)
    undefined = values[columns].isna()
    no_relation = {metric.name: 1.0 for metric in networks if metric.score == "distance"}
    values = values.fillna({"PixCorr": 0.0, **no_relation})
    columns += [name for name in values if name not in columns]
    table = pd.concat([frame, values[columns]], axis=1)
    table[UNDEFINED] = [",".join(undefined.columns[row]) for row in undefined.to_numpy()]
    write_table(output, table)
    _log(frame["system"].iloc[0], values[columns], undefined)
    return table


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

    def sample(self, sample: int) -> Iterator[np.ndarray]:
        """One sample of every image, uint8 (size, size, 3)."""
        for row in self._rows:
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


def _frame(made: _Pictures, protocol_name: str) -> pd.DataFrame:
    n_images = len(made.nsd_id)
    return pd.DataFrame(
        {
            ID: np.tile(made.nsd_id, made.n_samples),
            "subject": made.attribute("subject"),
            "system": made.attribute("system"),
            "protocol": protocol_name,
            "sample": np.repeat(np.arange(made.n_samples), n_images),
        }
    )


def _pixel_scores(truths: _Pictures, made: _Pictures, rules: Protocol) -> pd.DataFrame:
    pairs = (
        pair
        for sample in range(made.n_samples)
        for pair in zip(truths, made.sample(sample), strict=True)
    )
    total = len(made.nsd_id) * made.n_samples
    return pd.DataFrame(
        rules.pixel_scores(truth, picture)
        for truth, picture in progress(pairs, description="PixCorr, SSIM", total=total)
    )


def _network_scores(
    truths: _Pictures,
    made: _Pictures,
    metrics: Sequence[NetworkMetric],
    rules: Protocol,
    category: np.ndarray | None,
    device: Device,
    batch_size: int,
) -> pd.DataFrame:
    extract = FeatureExtractor(metrics, rules, device)
    n_images = len(truths.nsd_id)
    label = ", ".join(metric.name for metric in metrics)

    def features(pictures: Iterator[np.ndarray], what: str) -> dict[str, np.ndarray]:
        watched = progress(pictures, description=f"{label}: {what}", total=n_images)
        return extract(watched, n_images, batch_size)

    expected = features(iter(truths), "ground truths")
    parts = []
    for sample in range(made.n_samples):
        found = features(made.sample(sample), f"sample {sample}")
        scores = {}
        for metric in metrics:
            pair = expected[metric.name], found[metric.name]
            if metric.score == "distance":
                scores[metric.name] = correlation_distance(*pair)
                continue
            scores[metric.name] = two_way_identification(*pair)
            if category is not None:
                within = identification_within_category(*pair, category)
                scores[f"{metric.name} {SAME_CATEGORY}"] = within
        parts.append(pd.DataFrame(scores))
    return pd.concat(parts, ignore_index=True)


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
