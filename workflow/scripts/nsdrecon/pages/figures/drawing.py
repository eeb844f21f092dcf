"""What all figures share: style, saving, choice of images, captions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nsdrecon.whole_files import whole_file

# Okabe and Ito's colours, told apart under the common colour deficiencies.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
GREY = "#8a8f98"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": "#444a52",
    "ytick.color": "#444a52",
    "legend.frameon": False,
    "pdf.fonttype": 42,  # letters stay letters
}


def evenly_spaced(nsd_id: np.ndarray, n: int) -> np.ndarray:
    """``n`` ids evenly spaced through the sorted ids: a choice that no score has part in."""
    ordered = np.unique(nsd_id)
    return ordered[evenly(len(ordered), n)]


def evenly(total: int, n: int) -> np.ndarray:
    """``min(n, total)`` positions from 0 to total - 1, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(n, total)).round().astype(int))


@contextmanager
def figure_file(output: str | Path, size: tuple[float, float]) -> Iterator[Figure]:
    """A figure that is saved when the block ends well, and as PDF beside it, for a paper."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        yield figure
        pdf = Path(output).with_suffix(".pdf")
        for path, about in ((output, {}), (pdf, {"metadata": {"CreationDate": None}})):
            with whole_file(path) as partial:
                figure.savefig(partial, dpi=150, facecolor="white", **about)


def write_caption(output: str | Path, caption: str) -> None:
    """Write a figure's caption to a text file beside it, all or nothing."""
    with whole_file(output) as partial:
        partial.write_text(caption + "\n", encoding="utf-8")
