"""What the brain tells: maps of voxels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import nibabel as nib
import numpy as np

from nsdrecon.pages.figures.drawing import GREY, evenly, figure_file

_SLICES = 7
_OUTSIDE = "#eceef1"
_BEST = 99  # percentile of the voxels at the end of the colours


def maps_figure(maps: Mapping[str, str | Path], output: str | Path, *, subject: str) -> str:
    """Slices through maps: a row a map, columns from the lowest slice to the highest.

    Parameters
    ----------
    maps
        Name to NIfTI volume, all of one shape; voxels that are not numbers lie outside.
    output
        Image file.
    subject
        For the caption.

    Returns
    -------
    The caption.
    """
    volumes = {name: _upright(path) for name, path in maps.items()}
    box = _bounding_box(np.any([np.isfinite(volume) for volume in volumes.values()], axis=0))
    colours = matplotlib.colormaps["inferno"].with_extremes(bad=_OUTSIDE)
    with figure_file(output, (1.2 * _SLICES + 0.8, len(volumes) + 0.4)) as figure:
        grid = figure.subplots(len(volumes), _SLICES, squeeze=False)
        edge = 0.4 / figure.get_figheight()
        figure.subplots_adjust(left=0.02, right=1, bottom=edge / 4, top=1 - edge, wspace=0.05)
        for row, (name, volume) in zip(grid, volumes.items(), strict=True):
            part = volume[box]
            best = max(np.nanpercentile(part, _BEST), np.finfo(np.float32).tiny)
            heights = evenly(part.shape[2], _SLICES + 2)[1:-1]  # the ends have few voxels
            for panel in row:
                panel.set_axis_off()
            for panel, height in zip(row, heights, strict=False):
                shown = panel.imshow(
                    part[:, :, height].T, origin="lower", cmap=colours, vmin=0, vmax=best
                )
            row[0].set_title(name, fontsize=8, loc="left")
            bar = figure.colorbar(shown, ax=list(row), fraction=0.02, pad=0.01, ticks=[0, best])
            bar.ax.set_yticklabels(["0", f"{best:.2g}"], fontsize=7, color=GREY)
    return (
        f"{subject}: maps of the voxels that were decoded, in slices from below to above, the back "
        "of the brain at the bottom, its left side on the left. Importance: what a voxel adds to "
        "the accuracy of the decoder of a feature space (the covariance of left-out predictions "
        "with the features, whose sum over voxels is 1 for a perfect decoder). Encoding: the "
        "leave-one-out correlation of a voxel's response with the response predicted from the "
        "features. Noise ceiling: the largest correlation possible. The colours of a row end at "
        "its 99th percentile; values below 0 are black."
    )


def _upright(path: str | Path) -> np.ndarray:
    """A volume with axes that run to the right, to the front and upwards."""
    return np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask."""
    places = np.argwhere(mask)
    return tuple(map(slice, places.min(axis=0), places.max(axis=0) + 1))
