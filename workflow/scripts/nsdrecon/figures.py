"""Figures of a run: pictures beside what was seen, scores between floor and ceiling, regression.

Every function writes one file, all or nothing, and returns the caption that belongs under it:
what is shown and how it was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter
from PIL import Image

from nsdrecon.errors import InputError, listing
from nsdrecon.store import ID, read_array, read_ids, whole_file

# Okabe and Ito's colours, told apart under the common colour deficiencies.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
_GREY = "#8a8f98"
_TITLE_WIDTH = 20  # letters above a column of pictures
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": "#444a52",
    "ytick.color": "#444a52",
    "legend.frameon": False,
    "svg.hashsalt": "nsdrecon",
}
_PICTURE_PIXELS = 192
_SCORE_NAMES = {
    "loo_correlation_mean": "leave-one-out correlation",
    "loo_r2_mean": "leave-one-out R²",
}
_FLOOR_COLOUR, _CEILING_COLOUR = "#70757d", "#b3261e"
_FLOOR_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 2))
_CEILING_DASHES = ((8, 2), (8, 2, 2, 2), (4, 1))


def evenly_spaced(nsd_id: np.ndarray, n: int) -> np.ndarray:
    """``n`` ids evenly spaced through the sorted ids: a choice that no score has part in."""
    ordered = np.unique(nsd_id)
    return ordered[_evenly(len(ordered), n)]


def spread_over_scores(table: pd.DataFrame, metric: str, n: int) -> np.ndarray:
    """``n`` ids evenly spaced through the ranks of a metric, from the lowest value to the highest.

    Parameters
    ----------
    table
        Per-image table of one system; samples are averaged. Equal values are ordered by id.
    metric
        Column to rank by.
    n
        Number of images; the lowest and the highest are among them if it is 2 or more.
    """
    _check_columns(table, [ID, metric], "per-image table")
    means = table.groupby(ID)[metric].mean().sort_index().sort_values(kind="stable")
    return means.index.to_numpy()[_evenly(len(means), n)]


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
    _picture_grid(output, columns, nsd_id, subject)
    return (
        f"{subject}: seen test images (left, with their number in the stimulus file) and their "
        f"reconstructions from the responses alone. {len(nsd_id)} images, {choice}."
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
    _picture_grid(output, columns, nsd_id, title)
    return (
        f"{title}: of {images.shape[1]} samples the one that agrees best with the vision features "
        "predicted from the brain (the seen image has no part in it), their mean, and their "
        f"standard deviation at each pixel, from 0 (black) to {top:.0f} grey levels (white). "
        f"{len(nsd_id)} images, {choice}."
    )


def _picture_grid(
    output: str | Path, columns: Mapping[str, np.ndarray], nsd_id: np.ndarray, title: str
) -> None:
    """A row an image and a column of pictures a title: column title to images (n, h, w, 3)."""
    n_rows, n_columns = len(nsd_id), len(columns)
    with _figure(output, (1.35 * n_columns + 0.55, 1.35 * n_rows + 0.7)) as figure:
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
        for row, image_id in enumerate(nsd_id):
            grid[row, 0].set_ylabel(str(image_id), color=_GREY, fontsize=7)


def bars_figure(
    metrics: pd.DataFrame,
    output: str | Path,
    *,
    subject: str,
    systems: Mapping[str, str],
    floors: Mapping[str, str],
    ceilings: Mapping[str, str],
    lower_is_better: Sequence[str] = (),
) -> str:
    """Means with intervals of every metric, between floors and ceilings.

    Parameters
    ----------
    metrics
        :func:`nsdrecon.evaluation.statistics.metrics_table`, of one protocol.
    output
        Image file.
    subject
        Which rows: a subject or ``pooled``.
    systems, floors, ceilings
        System to label. Systems are bars, floors and ceilings lines across the panel; a system's
        own floor, ``shuffled-<system>``, is drawn across its bar.
    lower_is_better
        Metrics that are distances; their panels say so.

    Returns
    -------
    The caption.
    """
    _check_columns(metrics, ["subject", "system", "metric", "mean", "ci_low", "ci_high"], "metrics")
    rows = metrics[metrics["subject"] == subject]
    names = list(rows["metric"].unique())
    if not names:
        raise InputError(
            "table of metrics",
            found=f"subjects {listing(metrics['subject'].unique())}",
            expected=f"{subject!r}",
        )
    own = [f"shuffled-{system}" for system in systems]
    n_columns = min(len(names), 4)
    n_rows = -(-len(names) // n_columns)
    with _figure(output, (2.6 * n_columns, 2.4 * n_rows)) as figure:
        panels = figure.subplots(n_rows, n_columns, squeeze=False)
        for panel in panels.flat[len(names) :]:
            panel.set_visible(False)
        for panel, name in zip(panels.flat, names, strict=False):
            values = rows[rows["metric"] == name].set_index("system")
            _bars(panel, values, systems)
            common = {name: label for name, label in floors.items() if name not in own}
            _levels(panel, values, common, _FLOOR_DASHES, _FLOOR_COLOUR)
            _levels(panel, values, ceilings, _CEILING_DASHES, _CEILING_COLOUR)
            panel.set_title(name + (" (lower is better)" if name in lower_is_better else ""))
        _shared_legend(figure, panels[0, 0])
    whose = "all subjects pooled" if subject == "pooled" else subject
    return (
        f"Mean of every metric for {whose}, with 95 % bootstrap intervals over images. "
        "Grey lines are floors (across a bar: the same system's images shuffled); red lines are "
        "ceilings, which know the seen image."
    )


def scatter_figure(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metrics: Sequence[str],
    output: str | Path,
    *,
    labels: Mapping[str, str],
) -> str:
    """Scores of every image under two systems, one panel a metric.

    Parameters
    ----------
    first, second
        Per-image tables of one system each, of one or several subjects; samples are averaged.
    metrics
        Columns to show.
    output
        Image file.
    labels
        System to label.

    Returns
    -------
    The caption, with the shares of images above and on the diagonal.
    """
    names = []
    for table in (first, second):
        _check_columns(table, [ID, "subject", "system", *metrics], "per-image table")
        names.append(labels[table["system"].iloc[0]])
    means = [table.groupby(["subject", ID])[list(metrics)].mean() for table in (first, second)]
    if not means[0].index.equals(means[1].index):
        odd = means[0].index.symmetric_difference(means[1].index)
        raise InputError(
            f"scores of {names[0]} and {names[1]}",
            found=f"nsd_id {listing(odd.get_level_values(ID))} in one of them only",
            expected="the same images",
        )
    above = []
    subjects = list(means[0].index.get_level_values("subject").unique())
    with _figure(output, (3.1 * len(metrics), 3.2)) as figure:
        for panel, name in zip(
            figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
        ):
            x, y = means[0][name], means[1][name]
            low, high = min(x.min(), y.min()), max(x.max(), y.max())
            margin = 0.05 * (high - low) or 0.05
            limits = low - margin, high + margin
            panel.plot(limits, limits, color=_GREY, linewidth=0.8, zorder=1)
            for number, subject in enumerate(subjects):
                colour = COLOURS[number % len(COLOURS)]
                dots = {"s": 13, "alpha": 0.6, "color": colour, "linewidths": 0, "zorder": 2}
                panel.scatter(x[subject], y[subject], label=subject, **dots)
            panel.set(xlim=limits, ylim=limits)
            panel.set_aspect("equal")
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_locator(MaxNLocator(4))
            panel.set(title=name, xlabel=names[0], ylabel=names[1])
            equal = f" (the same for {(y == x).mean():.0%})" if (y == x).any() else ""
            above.append(f"{(y > x).mean():.0%} in {name}{equal}")
        if len(subjects) > 1:
            panel.legend(fontsize=7, handletextpad=0.1, loc="best")
        figure.tight_layout()
    return (
        f"Every point is a test image: {names[1]} against {names[0]}. "
        f"{names[1]} has the higher value for {', '.join(above)}."
    )


def regression_figure(
    scores: Mapping[str, pd.DataFrame], output: str | Path, *, part: str, value: str, subject: str
) -> str:
    """Cross-validated accuracy of the regressions, part by part of each feature space.

    Parameters
    ----------
    scores
        Feature name to table of :func:`nsdrecon.ridge.scores.scores_table`: a row for the part
        ``all`` and one for each part (a layer, a token), if there are any.
    output
        Image file.
    part, value
        Columns of the tables: the part of the feature space and its score.
    subject
        For the caption.

    Returns
    -------
    The caption, with the score of each whole feature space.
    """
    wholes = []
    with _figure(output, (1 + 2.8 * len(scores), 2.6)) as figure:
        panels = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
        for panel, (feature, table) in zip(panels, scores.items(), strict=True):
            _check_columns(table, [part, value], f"scores of {feature}")
            is_whole = table[part].astype(str) == "all"
            parts = table[~is_whole] if (~is_whole).any() else table
            panel.bar(np.arange(len(parts)), parts[value], color=COLOURS[0], width=0.8)
            for whole in table.loc[is_whole, value]:
                panel.axhline(whole, color=COLOURS[5], linestyle="--", linewidth=1)
                wholes.append(f"{feature} {whole:.2f}")
            panel.axhline(0, color=_GREY, linewidth=0.8)
            ticks = _evenly(len(parts), 6)
            panel.set_xticks(ticks, [str(name) for name in parts[part].iloc[ticks]])
            panel.set(title=feature, xlabel=part)
        panels[0].set_ylabel(_SCORE_NAMES.get(value, value))
        figure.tight_layout()
    return (
        f"{subject}: {_SCORE_NAMES.get(value, value)} of the regressions on the training images, "
        "part by part of each feature space; near zero, a part cannot be predicted. "
        f"Dashed: the mean over the whole space ({', '.join(wholes)})."
    )


def noise_ceiling_figure(ceilings: Mapping[str, np.ndarray], output: str | Path) -> str:
    """Histogram of the voxels' noise ceilings, one line a subject.

    Parameters
    ----------
    ceilings
        Subject to noise ceiling of each voxel, percent of explainable variance, shape (n_voxels,).
    output
        Image file.

    Returns
    -------
    The caption, with medians.
    """
    edges = np.linspace(0, 100, 41)
    medians = []
    with _figure(output, (5.2, 2.6)) as figure:
        panel = figure.subplots()
        for number, (subject, values) in enumerate(ceilings.items()):
            density = np.histogram(np.clip(values, 0, 100), edges)[0] / len(values)
            colour = COLOURS[number % len(COLOURS)]
            panel.stairs(density, edges, label=subject, color=colour, linewidth=1.4)
            medians.append(f"{subject} {np.median(values):.0f} %")
        panel.set(xlabel="noise ceiling (% of variance)", ylabel="share of voxels", xlim=(0, 100))
        panel.legend()
        figure.tight_layout()
    return (
        "Noise ceilings of the voxels: how much of the variance of the averaged responses the "
        f"seen image can explain. Medians: {', '.join(medians)}."
    )


def retrieval_figure(
    table: pd.DataFrame, output: str | Path, *, metrics: Sequence[str], labels: Mapping[str, str]
) -> str:
    """Accuracy of retrieval among more and more candidates: a panel a metric, a line a system.

    Parameters
    ----------
    table
        :func:`nsdrecon.evaluation.retrieval.retrieval_table`.
    output
        Image file.
    metrics
        Metrics to show; without any the figure says so.
    labels
        System to label, in the order of the legend.

    Returns
    -------
    The caption. With several subjects the lines are means over subjects, the bands the means of
    their limits.
    """
    _check_columns(table, ["subject", "system", "metric", "n_way", "accuracy"], "retrieval")
    with _figure(output, (3.4 * max(len(metrics), 1) + 2.4, 3.0)) as figure:
        panels = figure.subplots(1, max(len(metrics), 1), squeeze=False, sharey=True)[0]
        if not metrics:
            panels[0].text(0.5, 0.5, "no metric of identification", ha="center")
            panels[0].set_axis_off()
        for panel, metric in zip(panels, metrics, strict=False):
            rows = table[table["metric"] == metric]
            for number, (system, label) in enumerate(labels.items()):
                own = rows[rows["system"] == system]
                curve = own.groupby("n_way")[["accuracy", "ci_low", "ci_high"]].mean()
                colour = COLOURS[number % len(COLOURS)]
                panel.plot(curve.index, curve["accuracy"], color=colour, label=label)
                limits = curve["ci_low"], curve["ci_high"]
                panel.fill_between(curve.index, *limits, color=colour, alpha=0.12, linewidth=0)
            n_way = np.unique(rows["n_way"])
            panel.plot(n_way, 1 / n_way, color=_GREY, linestyle=":", label="chance")
            panel.set(xscale="log", xlabel="candidates", ylim=(0, 1), title=metric)
            panel.set_xticks(n_way[_evenly(len(n_way), 6)])
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_locator(NullLocator())
        if metrics:
            panels[0].set_ylabel("accuracy")
            panels[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.tight_layout()
    subjects = table["subject"].nunique()
    return (
        "Share of reconstructions that pick their own image among n candidates by the features of "
        "a network, over all sets of distractors, with 95 % bootstrap intervals over images"
        + (f"; means over {subjects} subjects." if subjects > 1 else ".")
    )


def repeats_figure(
    table: pd.DataFrame, output: str | Path, *, metrics: Sequence[str], labels: Mapping[str, str]
) -> str:
    """Scores against the number of repeats averaged: a panel a metric, a line a system.

    Parameters
    ----------
    table
        Tables of :func:`nsdrecon.evaluation.statistics.metrics_table`, with ``n_repeats``. The rows
        of the last subject are shown: the pooled ones, if there are several.
    output
        Image file.
    metrics
        Panels.
    labels
        System to label; systems without rows are left out.

    Returns
    -------
    The caption.
    """
    _check_columns(table, ["subject", "system", "metric", "n_repeats", "mean"], "repeats")
    subject = table["subject"].iloc[-1]
    rows = table[table["subject"] == subject]
    n_columns = min(len(metrics), 4)
    n_rows = -(-len(metrics) // n_columns)
    with _figure(output, (2.4 * n_columns + 2.2, 2.4 * n_rows)) as figure:
        panels = figure.subplots(n_rows, n_columns, squeeze=False)
        for panel in panels.flat[len(metrics) :]:
            panel.set_visible(False)
        for panel, metric in zip(panels.flat, metrics, strict=False):
            for number, (system, label) in enumerate(labels.items()):
                own = rows[(rows["metric"] == metric) & (rows["system"] == system)]
                if own.empty:
                    continue
                error = [own["mean"] - own["ci_low"], own["ci_high"] - own["mean"]]
                style = {"marker": "o", "markersize": 4, "capsize": 2.5, "linewidth": 1.3}
                colour = COLOURS[number % len(COLOURS)]
                panel.errorbar(
                    own["n_repeats"], own["mean"], error, color=colour, label=label, **style
                )
            panel.set(title=metric, xlabel="repeats averaged")
            panel.set_xticks(np.unique(rows["n_repeats"]))
        panels[0, -1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        figure.tight_layout()
    return (
        f"Scores against the number of averaged repeats of each test image, {subject}, with 95 % "
        "bootstrap intervals; the same images everywhere, those that have all repeats."
    )


def contact_sheet(
    reconstructions: str | Path, output: str | Path, *, columns: int = 12, pixels: int = 64
) -> str:
    """All images of one system in small, sorted by id: shows at a glance what went wrong.

    Parameters
    ----------
    reconstructions
        HDF5 with ``nsd_id`` and ``images`` (n, samples, size, size, 3); the first sample is shown.
    output
        PNG file.
    columns, pixels
        Images in a row, and their size.

    Returns
    -------
    The caption.
    """
    nsd_id = np.sort(read_ids(reconstructions))
    sheet = Image.new("RGB", (columns * pixels, -(-len(nsd_id) // columns) * pixels), "white")
    for place in range(len(nsd_id)):
        image = read_array(reconstructions, "images", nsd_id[[place]])[0, 0]
        small = Image.fromarray(image).resize((pixels, pixels), Image.Resampling.LANCZOS)
        sheet.paste(small, (place % columns * pixels, place // columns * pixels))
    with whole_file(output) as partial:
        sheet.save(partial)
    return f"All {len(nsd_id)} images, sorted by their number in the stimulus file."


def _evenly(total: int, n: int) -> np.ndarray:
    """``min(n, total)`` positions from 0 to total - 1, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(n, total)).round().astype(int))


@contextmanager
def _figure(output: str | Path, size: tuple[float, float]) -> Iterator[Figure]:
    """A figure that is saved when the block ends well, without the date in its metadata."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        yield figure
        with whole_file(output) as partial:
            figure.savefig(partial, dpi=150, facecolor="white", metadata=_metadata(output))


def _metadata(output: str | Path) -> dict[str, None]:
    """What keeps the time of drawing out of a file, by its format."""
    fields = {".svg": "Date", ".pdf": "CreationDate"}
    suffix = Path(output).suffix.lower()
    return {fields[suffix]: None} if suffix in fields else {}


def _show(panel: Axes, image: np.ndarray) -> None:
    if image.shape[0] > _PICTURE_PIXELS:
        size = (_PICTURE_PIXELS, _PICTURE_PIXELS)
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    panel.imshow(image, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_visible(False)


def _bars(panel: Axes, values: pd.DataFrame, systems: Mapping[str, str]) -> None:
    for place, (system, label) in enumerate(systems.items()):
        if system not in values.index:
            continue
        row = values.loc[system]
        panel.bar(place, row["mean"], width=0.74, color=COLOURS[place % len(COLOURS)], label=label)
        error = [[row["mean"] - row["ci_low"]], [row["ci_high"] - row["mean"]]]
        panel.errorbar(place, row["mean"], error, color="#22262b", linewidth=1, capsize=2.5)
        shuffled = f"shuffled-{system}"
        if shuffled in values.index:
            level = values.loc[shuffled, "mean"]
            panel.hlines(
                level,
                place - 0.37,
                place + 0.37,
                color="#22262b",
                linestyle="dotted",
                linewidth=1.4,
                label=None if place else "shuffled",
            )
    panel.set_xticks([])


def _levels(
    panel: Axes,
    values: pd.DataFrame,
    levels: Mapping[str, str],
    dashes: Sequence[tuple],
    colour: str,
) -> None:
    for number, (system, label) in enumerate(levels.items()):
        if system in values.index:
            line = (0, dashes[number % len(dashes)])
            mean = values.loc[system, "mean"]
            panel.axhline(mean, linestyle=line, color=colour, linewidth=1.1, label=label)


def _shared_legend(figure: Figure, panel: Axes) -> None:
    """One legend above all panels; the figure grows by it."""
    entries = list(zip(*panel.get_legend_handles_labels(), strict=True))
    handles, labels = zip(*sorted(entries, key=_is_line), strict=True)
    columns = _legend_columns(labels, figure.get_figwidth())
    height = 0.22 * -(-len(labels) // columns) + 0.1
    figure.set_figheight(figure.get_figheight() + height)
    figure.legend(handles, labels, loc="upper left", ncols=columns, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 1 - height / figure.get_figheight()))


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """The most columns that fit into a width in inches; labels fill them one after the other."""
    for columns in range(len(labels), 1, -1):
        height = -(-len(labels) // columns)
        parts = [labels[start : start + height] for start in range(0, len(labels), height)]
        if sum(0.07 * max(map(len, part)) + 0.6 for part in parts) < width:
            return columns
    return 1


def _is_line(entry: tuple[Artist, str]) -> bool:
    """Bars come before lines in a legend."""
    return not isinstance(entry[0], BarContainer)


def _check_columns(table: pd.DataFrame, columns: Sequence[str], source: str) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            source,
            found=f"columns {listing(table.columns, 12)}",
            expected=f"also {listing(missing)}",
        )


def write_caption(output: str | Path, caption: str) -> None:
    """Write a figure's caption to a text file beside it, all or nothing."""
    with whole_file(output) as partial:
        partial.write_text(caption + "\n", encoding="utf-8")
