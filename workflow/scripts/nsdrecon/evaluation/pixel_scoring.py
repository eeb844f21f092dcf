"""Pixel metrics of the reconstructions of some systems.

Every picture is read and prepared once: a seen one for all systems, a reconstruction for the two
images that it is compared with, its own and the one that its system's shuffled floor gives it to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError
from nsdrecon.evaluation.pictures import Pictures
from nsdrecon.evaluation.protocols import Protocol
from nsdrecon.extensions import implementation
from nsdrecon.metrics import PixelMetric

# Name of a system's table, or of its floor's, to the position of the reconstruction that each image
# is scored with.
Orders = Mapping[str, np.ndarray]
Metrics = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]
Prepared = Mapping[str, Any]

# Images that are scored by a thread at a time.
_BLOCK = 64


def pixel_scores(
    functions: Metrics, rules: Protocol, ground_truth: np.ndarray, reconstruction: np.ndarray
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
    size = ground_truth.shape[:2]
    pair = (_prepared(functions, rules, one, size) for one in (ground_truth, reconstruction))
    return _compared(functions, *pair)


def submit_pixels(
    pool: Executor,
    truths: Pictures,
    all_made: Sequence[Pictures],
    metrics: Sequence[PixelMetric],
    rules: Protocol,
    orders: Sequence[Orders],
) -> Callable[[], list[dict[str, pd.DataFrame]]]:
    """Begin to score all systems in the threads of a pool.

    Returns
    -------
    A function that waits for the scores: for each system, table to columns of scores, rows by
    sample and image.
    """
    functions = {metric.name: implementation(metric.source) for metric in metrics}
    walk = _walk(orders, len(truths.nsd_id))
    scores = [
        {name: np.empty((made.n_samples, len(walk), len(functions))) for name in own}
        for made, own in zip(all_made, orders, strict=True)
    ]

    def score(block: np.ndarray) -> None:
        last = [{} for _ in all_made]
        for position in block:
            truth = truths.read(position)
            size = truth.shape[:2]
            seen = _prepared(functions, rules, truth, size)
            for number, (made, own) in enumerate(zip(all_made, orders, strict=True)):
                compared = {}
                for name, order in own.items():
                    for sample in range(made.n_samples):
                        key = int(order[position]), sample
                        if key not in last[number]:
                            last[number][key] = _prepared(functions, rules, made.read(*key), size)
                        compared[key] = last[number][key]
                        found = _compared(functions, seen, compared[key])
                        scores[number][name][sample, position] = list(found.values())
                last[number] = compared

    blocks = [walk[start : start + _BLOCK] for start in range(0, len(walk), _BLOCK)]
    waiting = [pool.submit(score, block) for block in blocks]

    def wait() -> list[dict[str, pd.DataFrame]]:
        for future in waiting:
            future.result()
        return [
            {
                name: pd.DataFrame(np.concatenate(values), columns=list(functions))
                for name, values in own.items()
            }
            for own in scores
        ]

    return wait


def _walk(orders: Sequence[Orders], n_images: int) -> np.ndarray:
    """Positions of all images, so that the next needs the reconstructions that the last one did.

    A shuffled order is one cycle through all images (:func:`nsdrecon.evaluation.floors.
    shuffled_order`), the same for all systems of a subject: after an image comes the one whose
    reconstruction it was given.
    """
    order = next((order for own in orders for order in list(own.values())[1:]), None)
    if order is None:
        return np.arange(n_images)
    walk = [0]
    while order[walk[-1]] != 0:
        walk.append(int(order[walk[-1]]))
    return np.array(walk)


def _prepared(
    functions: Metrics, rules: Protocol, picture: np.ndarray, size: tuple[int, int]
) -> Prepared:
    """What each metric keeps of a picture, brought to the size of the seen one."""
    pixels = rules.pixels(picture, size)
    return {
        name: function.prepare(pixels) if hasattr(function, "prepare") else pixels
        for name, function in functions.items()
    }


def _compared(
    functions: Metrics, ground_truth: Prepared, reconstruction: Prepared
) -> dict[str, float]:
    """Metric to its value."""
    scores = {}
    for name, function in functions.items():
        compare = getattr(function, "compare", function)
        scores[name] = float(compare(ground_truth[name], reconstruction[name]))
        if np.isinf(scores[name]):
            raise InputError(
                f"metric {name!r}",
                found=scores[name],
                expected="a number, or NaN where it is undefined",
            )
    return scores
