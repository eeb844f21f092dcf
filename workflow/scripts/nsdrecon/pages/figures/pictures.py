"""Seen images beside what was reconstructed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from nsdrecon.metrics import Metric
from nsdrecon.pages.figures.drawing import figure_file
from nsdrecon.store import ID, read_array

_TITLE_WIDTH = 20  # letters above a column of pictures
_PICTURE_PIXELS = 192
_EACH = 2  # of the best images, of those in the middle, of the worst


def reconstructions_figure(
    stimuli: str | Path,
    systems: Mapping[str, str | Path],
    output: str | Path,
    *,
    nsd_id: np.ndarray,
    choice: str,
    subject: str,
) -> str:
    """Seen images and their reconstructions: a row an image, a column a system.

    Parameters
    ----------
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n, size, size, 3).
    systems
        Column title to reconstructions, HDF5 with ``images`` (n, samples, size, size, 3); the first
        sample is shown.
    output
        Image file (.png, .pdf, .svg).
    nsd_id
        Images to show, in the order of the rows.
    choice
        How they were chosen, for the caption: "evenly spaced through the sorted ids".
    subject
        For the title.

    Returns
    -------
    The caption.
    """
    nsd_id = np.asarray(nsd_id)
    columns = {"seen": read_array(stimuli, "images", nsd_id)}
    for title, path in systems.items():
        columns[title] = read_array(path, "images", nsd_id)[:, 0]
    _picture_grid(output, columns, nsd_id.tolist(), subject)
    return (
        f"{subject}: seen test images (left, with their number in the stimulus file) and their "
        f"reconstructions from the responses alone. {len(nsd_id)} images, {choice}."
    )


def extremes_figure(
    stimuli: str | Path,
    systems: Mapping[str, str | Path],
    scores: Sequence[pd.DataFrame],
    output: str | Path,
    *,
    metric: Metric,
    subject: str,
) -> str:
    """Images that were reconstructed best, about as well as most, and worst.

    Parameters
    ----------
    stimuli, systems, output, subject
        As in :func:`reconstructions_figure`.
    scores
        Tables of the systems' scores, with a row an image and sample.
    metric
        By which images are ordered: its mean over samples and systems.

    Returns
    -------
    The caption.
    """
    means = pd.concat(scores).groupby(ID)[metric.name].mean()
    order = means.sort_values(ascending=metric.score.better == "lower", kind="stable").index
    middle = (len(order) - _EACH) // 2
    kinds = {"best": order[:_EACH], "median": order[middle : middle + _EACH]}
    kinds["worst"] = order[-_EACH:]
    rows = [(f"{kind}: {image}", image) for kind, images in kinds.items() for image in images]
    names, nsd_id = [name for name, _ in rows], np.array([image for _, image in rows])
    columns = {"seen": read_array(stimuli, "images", nsd_id)}
    for title, path in systems.items():
        columns[title] = read_array(path, "images", nsd_id)[:, 0]
    _picture_grid(output, columns, names, subject)
    return (
        f"{subject}: the {_EACH} test images that were reconstructed best, {_EACH} in the middle "
        f"and the {_EACH} worst of {len(order)}, by {metric.name}, mean over the systems shown. "
        "Left what was seen, with its number in the stimulus file."
    )


def samples_figure(
    stimuli: str | Path,
    reconstructions: str | Path,
    samples: str | Path,
    output: str | Path,
    *,
    nsd_id: np.ndarray,
    choice: str,
    title: str,
) -> str:
    """Several samples of an image: the chosen one, their mean, and where they disagree.

    Parameters
    ----------
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n, size, size, 3).
    reconstructions
        HDF5 with ``images`` (n, samples, size, size, 3).
    samples
        Their summary (:func:`nsdrecon.diffusion.samples.summarise_samples`).
    output
        Image file.
    nsd_id, choice
        Images to show, a row each, and how they were chosen.
    title
        Of the figure: whose images they are.

    Returns
    -------
    The caption.
    """
    nsd_id = np.asarray(nsd_id)
    images = read_array(reconstructions, "images", nsd_id)
    chosen = read_array(samples, "chosen", nsd_id)
    uncertainty = read_array(samples, "uncertainty", nsd_id)
    top = float(uncertainty.max()) or 1.0
    columns = {
        "seen": read_array(stimuli, "images", nsd_id),
        "chosen sample": images[np.arange(len(nsd_id)), chosen],
        f"mean of {images.shape[1]}": read_array(samples, "mean", nsd_id),
        "uncertainty": matplotlib.colormaps["magma"](uncertainty / top, bytes=True)[..., :3],
    }
    _picture_grid(output, columns, nsd_id.tolist(), title)
    return (
        f"{title}: of {images.shape[1]} samples the one that agrees best with the vision features "
        "predicted from the brain (the seen image has no part in it), their mean, and their "
        f"standard deviation at each pixel, from 0 (black) to {top:.0f} grey levels (white). "
        f"{len(nsd_id)} images, {choice}."
    )


def _picture_grid(
    output: str | Path, columns: Mapping[str, np.ndarray], rows: Sequence[object], title: str
) -> None:
    """A row an image, with its name, and a column a title: column title to images (n, h, w, 3)."""
    n_rows, n_columns = len(rows), len(columns)
    with figure_file(output, (1.35 * n_columns + 0.55, 1.35 * n_rows + 0.7)) as figure:
        grid = figure.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            gridspec_kw={"wspace": 0.05, "hspace": 0.05},
        )
        figure.subplots_adjust(
            left=0.45 / figure.get_figwidth(),
            right=1 - 0.1 / figure.get_figwidth(),
            bottom=0,
            top=1 - 0.7 / figure.get_figheight(),
        )
        left, top = 0.45 / figure.get_figwidth(), 1 - 0.05 / figure.get_figheight()
        figure.suptitle(title, x=left, y=top, ha="left", va="top", fontweight="bold")
        for column, (name, images) in enumerate(columns.items()):
            grid[0, column].set_title(fill(name, _TITLE_WIDTH), fontsize=8)
            for row, image in enumerate(images):
                _show(grid[row, column], image)
        for row, name in enumerate(rows):
            grid[row, 0].set_ylabel(str(name), color="#444a52", fontsize=8)


def _show(panel: Axes, image: np.ndarray) -> None:
    if image.shape[0] > _PICTURE_PIXELS:
        size = (_PICTURE_PIXELS, _PICTURE_PIXELS)
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    panel.imshow(image, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_visible(False)
