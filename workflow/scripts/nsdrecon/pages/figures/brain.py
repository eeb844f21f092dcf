"""What the brain tells: maps of voxels, and what is decoded from regions."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from nsdrecon.brain.region_decoding import ALL, ALONE, WITHOUT
from nsdrecon.pages.figures.drawing import COLOURS, GREY, figure_file
from nsdrecon.store import open_h5, read_array, read_ids

_SLICES = 7
_SMALLEST = 1e-12  # values that a map shows lie above
_BEST = 99  # percentile of the voxels at the end of the colours
_PICTURES = 7  # in a row
_SHOWN = {ALONE: "this region alone", WITHOUT: "all but this region"}


def maps_figure(maps: Mapping[str, str | Path], output: str | Path, *, subject: str) -> str:
    """Mosaic of slices through maps: a row a map, columns from the lowest slice to the highest.

    Parameters
    ----------
    maps
        Name to NIfTI volume, all of one space; voxels that are not numbers lie outside.
    output
        Image file.
    subject
        For the caption.

    Returns
    -------
    The caption.
    """
    from nilearn import plotting  # only where maps are drawn: other figures do not wait for it

    images = {name: nib.load(path) for name, path in maps.items()}
    heights = _heights(images.values())
    # nilearn collects garbage whenever it reads an image: not among all that is loaded by now.
    gc.freeze()
    with figure_file(output, (1.2 * _SLICES + 0.8, 1.4 * len(images))) as figure:
        figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.97, hspace=0.3)
        panels = figure.subplots(len(images), squeeze=False).flat
        for panel, (name, image) in zip(panels, images.items(), strict=True):
            panel.set_title(name, fontsize=8, loc="left")
            values = np.asarray(image.dataobj)
            best = np.nanpercentile(values, _BEST)
            plotting.plot_img(
                nib.Nifti1Image(np.nan_to_num(values), image.affine),
                axes=panel,
                display_mode="z",
                cut_coords=heights,
                cmap="inferno",
                threshold=_SMALLEST,
                vmin=0,
                vmax=max(best, 2 * _SMALLEST),
                resampling_interpolation="nearest",
                annotate=False,
            )
            # Small values have long labels beside the colour bar, which would reach the last slice.
            figure.axes[-1].tick_params(labelsize=7)
    gc.unfreeze()
    places = ", ".join(f"{height:.0f}" for height in heights)
    return (
        f"{subject}: maps of the voxels that were decoded, in slices from below to above (at "
        f"{places} mm of the volumes' space), the back of the brain at the bottom, its left side "
        "on the left. Importance: what a voxel adds to the accuracy of the decoder of a feature "
        "space (the covariance of left-out predictions with the features, whose sum over voxels is "
        "1 for a perfect decoder). Encoding: the leave-one-out correlation of a voxel's response "
        "with the response predicted from the features. Noise ceiling: the largest correlation "
        "possible. The colours of a row end at its 99th percentile; voxels without a value above 0 "
        "are white."
    )


def _heights(images: Iterable[nib.Nifti1Image]) -> list[float]:
    """Heights of the slices, in mm, evenly spaced between the lowest voxel and the highest."""
    found = [
        apply_affine(image.affine, np.argwhere(np.isfinite(image.dataobj)))[:, 2]
        for image in images
    ]
    lowest, highest = np.min(np.concatenate(found)), np.max(np.concatenate(found))
    return np.linspace(lowest, highest, _SLICES + 2)[1:-1].tolist()  # the ends have few voxels


def regions_figure(table: pd.DataFrame, output: str | Path) -> str:
    """Scores of every feature space from each region alone, and what is lost without it.

    Parameters
    ----------
    table
        `nsdrecon.brain.region_decoding.decode_regions`, of one subject.
    output
        Image file.

    Returns
    -------
    The caption.
    """
    names = table.loc[table["voxels"] != ALL, "region"].unique()[::-1]
    features = table["feature"].unique()
    height = np.arange(len(names))
    with figure_file(output, (1.2 + 2.2 * len(features), 1.3 + 0.19 * len(names))) as figure:
        panels = figure.subplots(1, len(features), squeeze=False, sharex=True, sharey=True)[0]
        for panel, feature in zip(panels, features, strict=True):
            own = table[table["feature"] == feature]
            whole = own.loc[own["voxels"] == ALL, "correlation"].item()
            panel.axvline(whole, color=GREY, linestyle="--", linewidth=1, label="all voxels")
            panel.axvline(0, color=GREY, linewidth=0.8)
            for number, (voxels, label) in enumerate(_SHOWN.items()):
                rows = own[own["voxels"] == voxels].set_index("region").reindex(names)
                panel.errorbar(
                    rows["correlation"],
                    height,
                    xerr=abs(rows[["ci_low", "ci_high"]].T - rows["correlation"]).to_numpy(),
                    fmt="os"[number],
                    markersize=4,
                    color=COLOURS[number],
                    label=label,
                )
            panel.set(title=feature, xlabel="correlation")
        panels[0].set_yticks(height, names)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=3, loc="lower center")
        figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    subject, n_images = table["subject"].iloc[0], table["n_images"].iloc[0]
    return (
        f"{subject}: every feature space decoded from the voxels of each region alone, and from "
        "all but these. Correlation of a training image's features with those predicted while it "
        f"was left out, mean of {n_images} images with 95 % bootstrap intervals; 0 is chance. A "
        "region that has much alone, and without which little is lost, shares what it knows with "
        "others."
    )


def dimensions_figure(table: pd.DataFrame, output: str | Path) -> str:
    """Scores of every feature space against the number of brain dimensions.

    Parameters
    ----------
    table
        `nsdrecon.brain.dimensions.dimensions_table`, of one subject.
    output
        Image file.

    Returns
    -------
    The caption.
    """
    with figure_file(output, (6.0, 3.4)) as figure:
        panel = figure.subplots()
        for number, (feature, own) in enumerate(table.groupby("feature", sort=False)):
            colour, across = COLOURS[number % len(COLOURS)], own["n_dimensions"]
            panel.plot(across, own["correlation"], "o-", color=colour, markersize=3, label=feature)
            panel.fill_between(
                across, own["ci_low"], own["ci_high"], color=colour, alpha=0.15, linewidth=0
            )
            panel.plot(across, own["floor"], ":", color=colour)
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set(xscale="log", xlabel="dimensions of the brain", ylabel="correlation")
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        figure.tight_layout()
    subject, n_images = table["subject"].iloc[0], table["n_images"].iloc[0]
    return (
        f"{subject}: every feature space decoded from the first few dimensions of the brain, those "
        "that most of its predictions go through (singular value decomposition of the decoder). "
        f"Correlation of features with predicted ones, mean of {n_images} training images that the "
        "decoder was not fitted to, with 95 % bootstrap intervals. Dotted: the floor, predictions "
        "from the responses to other images."
    )


def correlation_figure(
    table: pd.DataFrame, output: str | Path, *, titles: Mapping[str, str], features: str
) -> str:
    """Correlation of predicted with measured responses, a row a region.

    Parameters
    ----------
    table
        `nsdrecon.brain.correlation.correlation_table`, with the ``subject``; ``seen`` are the seen
        images, and a system's own floor is ``shuffled-<system>``.
    output
        Image file.
    titles
        Title of each system, and of other floors.
    features
        What responses are predicted from, by the name that the configuration has for it.

    Returns
    -------
    The caption.
    """
    regions = table["region"].unique()[::-1]
    labels = {"seen": "seen image, oracle", **titles}
    rows = table.set_index(["system", "region"])
    systems = [name for name in labels if name in rows.index.get_level_values("system")]
    height = np.arange(len(regions))
    with figure_file(output, (6.5, 1.3 + 0.27 * len(regions))) as figure:
        panel = figure.subplots()
        panel.axvline(0, color=GREY, linewidth=0.8)
        for number, name in enumerate(systems):
            own = rows.loc[name].reindex(regions)
            place = height + 0.35 - 0.7 * (number + 0.5) / len(systems)
            errors = abs(own[["ci_low", "ci_high"]].T - own["correlation"]).to_numpy()
            colour = COLOURS[number % len(COLOURS)]
            style = {"color": colour, "markersize": 3, "elinewidth": 1}
            panel.errorbar(
                own["correlation"], place, xerr=errors, fmt="o", label=labels[name], **style
            )
            floor = rows.index.isin([f"shuffled-{name}"], level="system")
            if floor.any():
                values = table[floor].set_index("region").reindex(regions)["correlation"]
                panel.plot(values, place, "|", color=colour, markersize=4)
        panel.set_yticks(height, regions)
        panel.set_xlabel("correlation of predicted with measured response")
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
        figure.tight_layout()
    subject, n_images = table["subject"].iloc[0], table["n_images"].iloc[0]
    return (
        f"{subject}: brain correlation. Responses predicted from features of each picture "
        f"({features}), by a model of training images, against those measured while the image was "
        f"seen: correlation over the voxels of a region, mean of {n_images} test images with 95 % "
        "bootstrap intervals. Ticks: the same system's pictures of other images. The seen image is "
        "no reconstruction, and no upper limit: reconstructions are made from these very responses "
        "and share their noise."
    )


def pictures_figure(
    patterns: str | Path, pictures: Mapping[str, str | Path], output: str | Path
) -> str:
    """What each system draws for each region that is active alone.

    Parameters
    ----------
    patterns
        File of `nsdrecon.brain.patterns.write_patterns`.
    pictures
        Title of each system to its reconstructions of the patterns; the first sample is shown.
    output
        Image file.

    Returns
    -------
    The caption.
    """
    with open_h5(patterns) as file:
        names = [str(name) for name in file.attrs["regions"]]
        about = {key: str(file.attrs[key]) for key in ("pattern", "subject")}
    numbers = read_ids(patterns)
    n_rows = -(-len(names) // _PICTURES)
    with figure_file(output, (1.2 * _PICTURES, 1.4 * n_rows * len(pictures) + 0.4)) as figure:
        parts = np.atleast_1d(figure.subfigures(len(pictures), 1))
        for part, (title, path) in zip(parts, pictures.items(), strict=True):
            part.suptitle(title, x=0.02, ha="left", fontsize=9, fontweight="bold")
            panels = part.subplots(n_rows, _PICTURES, squeeze=False).flat
            for panel in panels:
                panel.set_axis_off()
            images = read_array(path, "images", numbers)[:, 0]
            for panel, name, image in zip(part.axes, names, images, strict=False):
                panel.imshow(image)
                panel.set_title(name, fontsize=8, fontweight="normal")
    return (
        f"{about['subject']}: what is reconstructed if one region alone is active (pattern "
        f"{about['pattern']}, scaled to the length of a typical response). No image was seen: "
        "these pictures show what the decoder takes the region to stand for, not a percept."
    )
