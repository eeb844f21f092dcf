"""How much the samples of one image agree with each other."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError
from nsdrecon.evaluation.pixel_scoring import pixel_scores
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.extensions import implementation
from nsdrecon.logs import progress
from nsdrecon.metrics import PixelMetric
from nsdrecon.store import ID, dataset, open_h5, unique_ids

logger = logging.getLogger(__name__)


def sample_agreement(
    reconstructions: str | Path, metrics: Sequence[PixelMetric], *, protocol_name: str
) -> pd.DataFrame:
    """How much the samples of one image agree with each other, without the ground truth.

    Samples that differ in what the responses leave open are honest; samples that differ in
    everything show that the responses decided nothing.

    Parameters
    ----------
    reconstructions
        HDF5 of one system, ``images`` (n, samples, size, size, 3), at least two samples.
    metrics
        What samples are compared by.
    protocol_name
        Protocol that pairs of pictures are made comparable by.

    Returns
    -------
    A row an image: ``nsd_id``, ``subject``, ``system``, and each metric averaged over all pairs of
    samples; where it is undefined, a pair counts as a miss.

    Raises
    ------
    InputError
        If there is one sample only.
    """
    rules = protocol(protocol_name)
    functions = {metric.name: implementation(metric.source) for metric in metrics}
    misses = {metric.name: metric.score.miss for metric in metrics}
    rows = []
    with open_h5(reconstructions) as file:
        images = dataset(file, "images")
        nsd_id = unique_ids(dataset(file, ID)[()], reconstructions)
        if images.shape[1] < 2:
            raise InputError(reconstructions, found="1 sample an image", expected="2 or more")
        labels = {name: str(file.attrs[name]) for name in ("subject", "system")}
        for row in progress(np.argsort(nsd_id), description="agreement of samples"):
            pairs = itertools.combinations(images[row], 2)
            scores = pd.DataFrame(pixel_scores(functions, rules, *pair) for pair in pairs)
            means = scores.fillna(misses).mean()
            rows.append({ID: nsd_id[row], **labels, **means})
    table = pd.DataFrame(rows)
    for name in functions:
        logger.info("mean %s between samples: %.3f", name, table[name].mean())
    return table
