"""Scores: every metric between floor and ceiling, retrieval, repeats, pairs of systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from nsdrecon.errors import InputError, listing
from nsdrecon.pages.figures.drawing import COLOURS, GREY, check_columns, evenly, figure_file
from nsdrecon.store import ID

_FLOOR_COLOUR, _CEILING_COLOUR = "#70757d", "#b3261e"
_FLOOR_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 2))
_CEILING_DASHES = ((8, 2), (8, 2, 2, 2), (4, 1))


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
    check_columns(metrics, ["subject", "system", "metric", "mean", "ci_low", "ci_high"], "metrics")
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
    with figure_file(output, (2.6 * n_columns, 2.4 * n_rows)) as figure:
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
        check_columns(table, [ID, "subject", "system", *metrics], "per-image table")
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
    with figure_file(output, (3.1 * len(metrics), 3.2)) as figure:
        for panel, name in zip(
            figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True
        ):
            x, y = means[0][name], means[1][name]
            low, high = min(x.min(), y.min()), max(x.max(), y.max())
            margin = 0.05 * (high - low) or 0.05
            limits = low - margin, high + margin
            panel.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
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
    check_columns(table, ["subject", "system", "metric", "n_way", "accuracy"], "retrieval")
    with figure_file(output, (3.4 * max(len(metrics), 1) + 2.4, 3.0)) as figure:
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
            panel.plot(n_way, 1 / n_way, color=GREY, linestyle=":", label="chance")
            panel.set(xscale="log", xlabel="candidates", ylim=(0, 1), title=metric)
            panel.set_xticks(n_way[evenly(len(n_way), 6)])
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
    check_columns(table, ["subject", "system", "metric", "n_repeats", "mean"], "repeats")
    subject = table["subject"].iloc[-1]
    rows = table[table["subject"] == subject]
    n_columns = min(len(metrics), 4)
    n_rows = -(-len(metrics) // n_columns)
    with figure_file(output, (2.4 * n_columns + 2.2, 2.4 * n_rows)) as figure:
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
