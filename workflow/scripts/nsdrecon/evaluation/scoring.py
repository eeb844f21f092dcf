"""The per-image tables: every reconstruction of some systems, scored under one protocol."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.correlations import correlations
from nsdrecon.evaluation.floors import shuffled_order
from nsdrecon.evaluation.networks import Device, FeatureExtractor, by_network
from nsdrecon.evaluation.pictures import Pictures
from nsdrecon.evaluation.pixel_scoring import Orders, submit_pixels
from nsdrecon.evaluation.protocols import Protocol, protocol
from nsdrecon.evaluation.seen_features import read_seen_features, watched_features
from nsdrecon.evaluation.similarity import (
    correlation_distance,
    identification_within_category,
    two_way_identification,
)
from nsdrecon.evaluation.statistics import UNDEFINED
from nsdrecon.metrics import DISTANCE, SAME_CATEGORY, Metric, NetworkMetric, PixelMetric
from nsdrecon.store import (
    ID,
    open_h5,
    read_table,
    rows_of,
    unique_ids,
    write_table,
)

logger = logging.getLogger(__name__)

_WITHIN = f" {SAME_CATEGORY}"
# Of a system and of its shuffled floor: name to columns of scores.
_Scores = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Scored:
    """A system whose reconstructions are scored, and its tables.

    Parameters
    ----------
    reconstructions
        HDF5 with ``nsd_id`` and ``images`` (n_images, n_samples, height, width, 3), uint8, and the
        attributes ``system`` and ``subject``.
    output
        Tab-separated table, written all or nothing.
    shuffled
        Table of the system's own floor, ``shuffled-<system>``, in which every image is scored with
        the reconstruction of another one (:func:`nsdrecon.evaluation.floors.shuffled_order`). No
        picture passes a network again for it.
    left_out
        Names of metrics that say nothing of this system; its tables have no values of them.
    """

    reconstructions: str | Path
    output: str | Path
    shuffled: str | Path | None = None
    left_out: Sequence[str] = ()


def evaluate(
    systems: Sequence[Scored],
    stimuli: str | Path,
    *,
    protocol_name: str,
    metrics: Sequence[Metric],
    seen_features: str | Path | None = None,
    seed: int = 0,
    nsd_id: np.ndarray | None = None,
    categories: str | Path | None = None,
    device: Device = "cpu",
    batch_size: int = 32,
) -> list[pd.DataFrame]:
    """Score every reconstruction of some systems and write a row an image and sample.

    Pictures are read as they are needed. One network is in memory at a time, with the features of
    the ground truths, which all systems share, and of one sample of the reconstructions. Their
    correlations are computed once; identification, distances and the shuffled floor are all read
    from that matrix.

    An undefined value (of a constant picture, for instance) counts as the metric's ``miss``; in
    identification it is told apart from nothing. The column ``undefined`` names the metrics of a
    row, separated by commas, in which that happened; the log counts them.

    Parameters
    ----------
    systems
        What is scored, and where the tables go.
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n_stimuli, height, width, 3), uint8: the same images,
        and perhaps others.
    protocol_name
        Name of the protocol (:data:`nsdrecon.evaluation.protocols.PROTOCOLS`).
    metrics
        What to score by, in the order of the columns
        (:func:`nsdrecon.metrics.configured_metrics`).
    seen_features
        What the networks see in the stimuli, of the same protocol
        (:func:`nsdrecon.evaluation.seen_features.write_seen_features`); by default it is made here.
    seed
        Seed of the order of the shuffled floors.
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
    For each system its table, without that of its floor: columns ``nsd_id``, ``subject``,
    ``system``, ``protocol``, ``sample``, one a metric, ``undefined``.

    Raises
    ------
    InputError
        If images are missing or extra, pictures are not square uint8 RGB, or a network does not
        fit.
    """
    rules = protocol(protocol_name)
    pixels = [metric for metric in metrics if isinstance(metric, PixelMetric)]
    networks = [metric for metric in metrics if isinstance(metric, NetworkMetric)]
    with ExitStack() as files:
        truths = Pictures(files.enter_context(open_h5(stimuli)), n_axes=4, nsd_id=nsd_id)
        all_made = [
            Pictures(files.enter_context(open_h5(one.reconstructions)), n_axes=5) for one in systems
        ]
        for made in all_made:
            _check_same_images(truths, made)
        category = None if categories is None else _categories(categories, truths.nsd_id)
        orders = [_orders(*pair, seed) for pair in zip(systems, all_made, strict=True)]
        features = {
            "rules": rules,
            "device": device,
            "batch_size": batch_size,
            "seen_features": seen_features,
        }
        # Metrics of pixels need no GPU, and go on while one computes.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            by_pixels = submit_pixels(pool, truths, all_made, pixels, rules, orders)
            try:
                by_networks = [
                    _network_scores(truths, all_made, group, orders, category, **features)
                    for group in by_network(networks)
                ]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        parts = [by_pixels(), *by_networks]
        return [
            _write_tables(one, made, scores, rules, metrics)
            for one, made, *scores in zip(systems, all_made, *parts, strict=True)
        ]


def _write_tables(
    system: Scored,
    made: Pictures,
    parts: Sequence[_Scores],
    rules: Protocol,
    metrics: Sequence[Metric],
) -> pd.DataFrame:
    """Write a system's table and that of its floor; the first of them."""
    tables = []
    for name, path in zip(parts[0], (system.output, system.shuffled), strict=False):
        values = pd.concat([part[name] for part in parts], axis=1)
        table = _table(_frame(made, name, rules.name), values, metrics)
        silent = [name for name in values if name.removesuffix(_WITHIN) in system.left_out]
        table[silent] = np.nan
        tables.append(table)
        write_table(path, table)
    return tables[0]


def _orders(one: Scored, made: Pictures, seed: int) -> Orders:
    system, subject = made.attribute("system"), made.attribute("subject")
    orders: dict[str, np.ndarray] = {system: np.arange(len(made.nsd_id))}
    if one.shuffled is not None:
        orders[f"shuffled-{system}"] = shuffled_order(made.nsd_id, subject=subject, seed=seed)
    return orders


def _check_same_images(truths: Pictures, made: Pictures) -> None:
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


def _frame(made: Pictures, system: str, protocol_name: str) -> pd.DataFrame:
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


def _network_scores(
    truths: Pictures,
    all_made: Sequence[Pictures],
    metrics: Sequence[NetworkMetric],
    orders: Sequence[Orders],
    category: np.ndarray | None,
    *,
    rules: Protocol,
    device: Device,
    batch_size: int,
    seen_features: str | Path | None,
) -> list[_Scores]:
    """Scores of every system and order by one network, rows by sample and image."""
    extract = FeatureExtractor(metrics, rules, device)
    features = partial(
        watched_features, extract, metrics, n_images=len(truths.nsd_id), batch_size=batch_size
    )
    if seen_features is None:
        expected = features(truths.sample(0))
    else:
        expected = read_seen_features(seen_features, metrics, truths.nsd_id, device)
    scores = []
    for made, own in zip(all_made, orders, strict=True):
        parts: dict[str, list[pd.DataFrame]] = {name: [] for name in own}
        for sample in range(made.n_samples):
            what = f"{next(iter(own))}, sample {sample}"
            found = features(made.sample(sample), what=what)
            matrices = [correlations(expected[one.name], found[one.name]) for one in metrics]
            for name, order in own.items():
                columns: dict[str, np.ndarray] = {}
                for metric, matrix in zip(metrics, matrices, strict=True):
                    columns |= _scores(metric, matrix[:, order], category)
                parts[name].append(pd.DataFrame(columns))
        scores.append({name: pd.concat(part, ignore_index=True) for name, part in parts.items()})
    return scores


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
