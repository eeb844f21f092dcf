"""Scores: every metric between floor and ceiling, retrieval, repeats, pairs of systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.statistics import POOLED, SIGNIFICANT
from nsdrecon.evaluation.tables import Layout, heading_of
from nsdrecon.metrics import Metric
from nsdrecon.pages.figures.drawing import COLOURS, GREY, evenly, figure_file
from nsdrecon.store import ID
from nsdrecon.systems import ORACLE

_CEILING_COLOUR = "#b3261e"
_SYSTEM = {"marker": "o", "markersize": 6}
_OWN_FLOOR = {"marker": "o", "markersize": 5, "color": GREY, "markerfacecolor": "white"}
_FLOOR = {"marker": "s", "markersize": 4, "color": GREY}
_CEILING = {"marker": "D", "markersize": 4.5, "color": _CEILING_COLOUR}
_MOST_PANELS = 4  # side by side
_BINS = 28  # of a scatter plot, each way


def dots_figure(
    metrics: pd.DataFrame,
    output: str | Path,
    *,
    subject: str,
    columns: Sequence[Metric],
    layout: Layout,
) -> str:
    """Means with intervals of every metric, each system between its own floor and its own ceiling.

    Parameters
    ----------
    metrics
        :func:`nsdrecon.evaluation.statistics.metrics_table`, of one protocol.
    output
        Image file.
    subject
        Which rows: a subject or ``pooled``.
    columns
        Metrics, a panel each.
    layout
        Systems, floors and ceilings. A row a system; on it lie its floor, ``shuffled-<system>``,
        and its ceiling, ``oracle-<system>``. Other floors and ceilings have rows of their own.

    Returns
    -------
    The caption.
    """
    rows = metrics[metrics["subject"] == subject]
    if rows.empty:
        raise InputError(
            "table of metrics",
            found=f"subjects {listing(metrics['subject'].unique())}",
            expected=f"{subject!r}",
        )
    lines = _lines(layout, set(rows["system"]))
    with _panels([heading_of(column) for column in columns], output, len(lines)) as panels:
        for panel, column in zip(panels, columns, strict=True):
            values = rows[rows["metric"] == column.name].set_index("system")
            scale = 100 if column.score.percent else 1
            for place, (_, marks) in enumerate(lines):
                for system, style in marks.items():
                    if system in values.index:
                        mean, low, high = scale * values.loc[system, ["mean", "ci_low", "ci_high"]]
                        _dot(panel, place, mean, low, high, style)
        _name_rows(panels, [label for label, _ in lines])
    whose = "all subjects pooled" if subject == "pooled" else subject
    return (
        f"Mean of every metric for {whose}, with 95 % bootstrap intervals over images; ↑ higher is "
        "better, ↓ lower is better. Filled circle: a system. Open circle on its row: its floor, "
        "the same pictures, each given to another image. Red diamond on its row: its ceiling, the "
        "same models with the true latents of the test images. Grey squares: floors that need no "
        "decoder."
    )


def contrasts_figure(
    contrasts: pd.DataFrame, output: str | Path, *, subject: str, columns: Sequence[Metric]
) -> str:
    """Paired differences between systems with their intervals: a row a contrast, a panel a metric.

    Parameters
    ----------
    contrasts
        :func:`nsdrecon.evaluation.statistics.contrasts_table`.
    output
        Image file.
    subject
        Which rows: a subject or ``pooled``.
    columns
        Metrics, a panel each.

    Returns
    -------
    The caption.
    """
    rows = contrasts[contrasts["subject"] == subject]
    names = list(rows["contrast"].unique())
    with _panels([heading_of(column) for column in columns], output, len(names)) as panels:
        for panel, column in zip(panels, columns, strict=True):
            scale = 100 if column.score.percent else 1
            panel.axvline(0, color=GREY, linewidth=0.8, zorder=1)
            for row in rows[rows["metric"] == column.name].to_dict("records"):
                mean, low, high = (scale * row[key] for key in ("difference", "ci_low", "ci_high"))
                face = COLOURS[0] if row["p_holm"] < SIGNIFICANT else "white"
                style = _SYSTEM | {"color": COLOURS[0], "markerfacecolor": face}
                _dot(panel, names.index(row["contrast"]), mean, low, high, style)
        _name_rows(panels, names)
    whose = "all subjects pooled" if subject == "pooled" else subject
    return (
        f"Paired differences between systems for {whose}, first minus second, on the same images, "
        "with 95 % bootstrap intervals. Filled: permutation p below 0.05 after Holm's correction "
        "over all contrasts and metrics. Where ↓ stands, a negative difference is better."
    )


def scatter_figure(
    first: pd.DataFrame,
    second: pd.DataFrame,
    columns: Sequence[Metric],
    output: str | Path,
    *,
    labels: Mapping[str, str],
) -> str:
    """Scores of every image under two systems, one panel a metric.

    Parameters
    ----------
    first, second
        Per-image tables of one system each, of one or several subjects; samples are averaged.
    columns
        Metrics, a panel each.
    output
        Image file.
    labels
        System to label.

    Returns
    -------
    The caption, with the shares of images above and on the diagonal.
    """
    names, metrics = [], [column.name for column in columns]
    for table in (first, second):
        names.append(labels[table["system"].iloc[0]])
    means = [table.groupby(["subject", ID])[metrics].mean() for table in (first, second)]
    if not means[0].index.equals(means[1].index):
        odd = means[0].index.symmetric_difference(means[1].index)
        raise InputError(
            f"scores of {names[0]} and {names[1]}",
            found=f"nsd_id {listing(odd.get_level_values(ID))} in one of them only",
            expected="the same images",
        )
    above = []
    with figure_file(output, (3.1 * len(columns), 3.2)) as figure:
        panels = figure.subplots(1, len(columns), squeeze=False)[0]
        for panel, column in zip(panels, columns, strict=True):
            name, scale = column.name, 100 if column.score.percent else 1
            x, y = scale * means[0][name], scale * means[1][name]
            _binned_dots(panel, x.to_numpy(), y.to_numpy())
            panel.set(title=heading_of(column), xlabel=names[0], ylabel=names[1])
            equal = f" (the same for {(y == x).mean():.0%})" if (y == x).any() else ""
            above.append(f"{(y > x).mean():.0%} in {name}{equal}")
        figure.tight_layout()
    subjects = means[0].index.get_level_values("subject").nunique()
    images, of = len(means[0]) // subjects, f" of {subjects} subjects" if subjects > 1 else ""
    return (
        f"Scores of {images} test images{of}: {names[1]} against {names[0]}. The area of a dot is "
        f"the number of images in its place; above the line {names[1]} is higher. "
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
    their limits, at numbers of candidates that all subjects have.
    """
    with figure_file(output, (3.4 * max(len(metrics), 1) + 2.4, 3.0)) as figure:
        panels = figure.subplots(1, max(len(metrics), 1), squeeze=False, sharey=True)[0]
        if not metrics:
            panels[0].text(0.5, 0.5, "no metric of identification", ha="center")
            panels[0].set_axis_off()
        for panel, metric in zip(panels, metrics, strict=False):
            rows = table[table["metric"] == metric]
            having = rows.groupby("n_way")["subject"].transform("nunique")
            rows = rows[having == rows["subject"].nunique()]
            for number, (system, label) in enumerate(labels.items()):
                own = rows[rows["system"] == system]
                curve = 100 * own.groupby("n_way")[["accuracy", "ci_low", "ci_high"]].mean()
                colour = COLOURS[number % len(COLOURS)]
                panel.plot(curve.index, curve["accuracy"], color=colour, label=label)
                limits = curve["ci_low"], curve["ci_high"]
                panel.fill_between(curve.index, *limits, color=colour, alpha=0.12, linewidth=0)
            n_way = np.unique(rows["n_way"])
            panel.plot(n_way, 100 / n_way, color=GREY, linestyle=":", label="chance")
            panel.set(xscale="log", xlabel="candidates", ylim=(0, 100), title=metric)
            panel.set_xticks(n_way[evenly(len(n_way), 6)])
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_locator(NullLocator())
        if metrics:
            panels[0].set_ylabel("accuracy (%)")
            panels[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.tight_layout()
    subjects = table["subject"].nunique()
    return (
        "Share of reconstructions that pick their own image among n candidates by the features of "
        "a network, over all sets of distractors, with 95 % bootstrap intervals over images"
        + (f"; means over {subjects} subjects." if subjects > 1 else ".")
    )


def curves_figure(
    table: pd.DataFrame,
    output: str | Path,
    *,
    by: str,
    xlabel: str,
    metrics: Sequence[str],
    labels: Mapping[str, str],
    against: str,
) -> str:
    """Scores against something that varies: a panel a metric, a line a system.

    Parameters
    ----------
    table
        :func:`nsdrecon.evaluation.statistics.curve_table`; the floor of a system is called
        ``shuffled-<system>``. The pooled rows are shown where there are some, at the values that
        most subjects have, since others are means of other subjects; elsewhere those of the last
        subject.
    output
        Image file.
    by
        The column that varies: numbers, or words, which are placed in the order of their rows.
    xlabel
        What it is.
    metrics
        Panels.
    labels
        System to label; systems without rows are left out.
    against
        What it is, in a sentence of the caption.

    Returns
    -------
    The caption.
    """
    # At a value that one subject alone has, nothing is pooled.
    pooled = POOLED in table["subject"].values
    subject = POOLED if pooled else table["subject"].iloc[-1]
    rows = table[table["subject"] == subject]
    complete = rows["n_subjects"] == rows["n_subjects"].max()
    left_out = listing(dict.fromkeys(rows.loc[~complete, by]))
    rows = rows[complete]
    values = list(dict.fromkeys(rows[by]))
    numbers = all(isinstance(value, int | float) for value in values)
    place = {value: value if numbers else number for number, value in enumerate(values)}
    n_columns = min(len(metrics), 4)
    n_rows = -(-len(metrics) // n_columns)
    with figure_file(output, (2.4 * n_columns + 2.2, 2.4 * n_rows)) as figure:
        panels = figure.subplots(n_rows, n_columns, squeeze=False)
        for panel in panels.flat[len(metrics) :]:
            panel.set_visible(False)
        for panel, metric in zip(panels.flat, metrics, strict=False):
            for number, (system, label) in enumerate(labels.items()):
                scores = rows[rows["metric"] == metric]
                colour = COLOURS[number % len(COLOURS)]
                floor = scores[scores["system"] == f"shuffled-{system}"]
                panel.plot(floor[by].map(place), floor["mean"], ":", color=colour)
                own = scores[scores["system"] == system]
                if own.empty:
                    continue
                error = [own["mean"] - own["ci_low"], own["ci_high"] - own["mean"]]
                style = {"marker": "o", "markersize": 4, "capsize": 2.5, "linewidth": 1.3}
                panel.errorbar(
                    own[by].map(place), own["mean"], error, color=colour, label=label, **style
                )
            panel.set(title=metric, xlabel=xlabel)
            panel.set_xticks(list(place.values()), [str(value) for value in values])
        panels[0, -1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        figure.tight_layout()
    caption = (
        f"{subject}: scores against {against}. Means with 95 % bootstrap intervals over images; "
        "dotted: the floor of each system, its pictures given to other images."
    )
    if left_out:
        caption += f" Not shown, as fewer subjects have a value there: {xlabel} {left_out}."
    return caption


def _lines(layout: Layout, there: set[str]) -> list[tuple[str, dict[str, dict]]]:
    """Rows of the dots: label, and what lies on it, system to style."""
    lines = []
    for number, (system, label) in enumerate(layout.systems.items()):
        if system in there:
            own = {f"shuffled-{system}": _OWN_FLOOR, ORACLE + system: _CEILING}
            colour = COLOURS[number % len(COLOURS)]
            lines.append((label, own | {system: _SYSTEM | {"color": colour}}))
    drawn = {name for _, marks in lines for name in marks}
    for group, style in ((layout.floors, _FLOOR), (layout.ceilings, _CEILING)):
        rest = {name: label for name, label in group.items() if name in there - drawn}
        lines += [(label, {name: style}) for name, label in rest.items()]
    return lines


def _dot(
    panel: Axes, place: int, mean: float, low: float, high: float, style: Mapping[str, object]
) -> None:
    panel.errorbar(mean, place, xerr=[[mean - low], [high - mean]], linewidth=1.3, **style)


def _binned_dots(panel: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """A dot for each small square with images in it, its area their number; equal axes."""
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.05 * (high - low) or 0.05
    limits = low - margin, high + margin
    counts, edges, _ = np.histogram2d(x, y, bins=_BINS, range=[limits, limits])
    centres = (edges[:-1] + edges[1:]) / 2
    across, up = np.nonzero(counts)
    area = 8 + 90 * counts[across, up] / counts.max()
    panel.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
    panel.scatter(
        centres[across], centres[up], s=area, color=COLOURS[0], alpha=0.75, linewidths=0, zorder=2
    )
    panel.set(xlim=limits, ylim=limits)
    panel.set_aspect("equal")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(4))


@contextmanager
def _panels(titles: Sequence[str], output: str | Path, n_rows: int) -> Iterator[list[Axes]]:
    """Panels with common rows from top to bottom, a few side by side; saved when the block ends."""
    across = min(len(titles), _MOST_PANELS)
    down = -(-len(titles) // across)
    with figure_file(output, (2.6 + 1.9 * across, (0.75 + 0.27 * n_rows) * down)) as figure:
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        for panel in grid.flat[len(titles) :]:
            panel.set_visible(False)
        for panel, title in zip(grid.flat, titles, strict=False):
            panel.set_title(title)
            panel.xaxis.set_major_locator(MaxNLocator(4))
            panel.grid(axis="y", color="#e3e6ea", linewidth=0.7)
            panel.tick_params(axis="y", length=0)
        yield list(grid.flat[: len(titles)])
        figure.tight_layout()


def _name_rows(panels: Sequence[Axes], labels: Sequence[str]) -> None:
    """Write the names of the rows beside the first panel of each line; the first row is on top."""
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
