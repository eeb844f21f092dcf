"""What a run found, in words: the best systems, the contrasts, and what a reader must beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.evaluation.statistics import SIGNIFICANT
from nsdrecon.evaluation.tables import Cell, Layout, heading_of, number_of, voxel_counts
from nsdrecon.metrics import Metric
from nsdrecon.store import dataset, open_h5
from nsdrecon.systems import ORACLE


def best_systems(
    metrics: pd.DataFrame, subject: str, columns: Sequence[Metric], layout: Layout
) -> pd.DataFrame:
    """The best system of every metric, between its floor and its ceiling: a row a metric.

    Parameters
    ----------
    metrics
        The run's table of that name.
    subject
        Which rows: a subject or ``pooled``.
    columns, layout
        Metrics and systems that are shown.
    """
    rows = metrics[metrics["subject"] == subject]
    lines = []
    for column in columns:
        own = rows[rows["metric"] == column.name].set_index("system")
        means = own["mean"].reindex([name for name in layout.systems if name in own.index])
        best = str(means.idxmin() if column.score.better == "lower" else means.idxmax())
        # The system stays in sight on a phone, where the columns are scrolled.
        title = Cell(heading_of(column), layout.systems[best])
        line: dict[str, object] = {"metric, best system": title}
        for name, system in (
            ("score", best),
            ("floor: shuffled", f"shuffled-{best}"),
            ("ceiling: true latents", ORACLE + best),
        ):
            line[name] = _cell(own.loc[system], column) if system in own.index else None
        lines.append(line)
    return pd.DataFrame(lines)


def _cell(row: pd.Series, column: Metric) -> Cell:
    low, high = (number_of(row[limit], column) for limit in ("ci_low", "ci_high"))
    return Cell(number_of(row["mean"], column), f"[{low}, {high}]")


def contrasts_in_words(
    contrasts: pd.DataFrame, subject: str, columns: Sequence[Metric], titles: Mapping[str, str]
) -> list[str]:
    """A sentence for each contrast: where the first system is better, and by how much."""
    sentences = []
    own = contrasts[contrasts["subject"] == subject]
    for _, rows in own.groupby("contrast", sort=False):
        found = rows.set_index("metric")
        better, worse, equal = [], [], []
        for column in columns:
            if column.name not in found.index:
                continue
            row = found.loc[column.name]
            gain = row["difference"] * (-1 if column.score.better == "lower" else 1)
            amount = f"{column.name} ({_signed(row['difference'], column)})"
            if row["p_holm"] >= SIGNIFICANT:
                equal.append(column.name)
            else:
                (better if gain > 0 else worse).append(amount)
        groups = {"better in": better, "worse in": worse, "no clear difference in": equal}
        said = "; ".join(f"{how} {', '.join(names)}" for how, names in groups.items() if names)
        one, other = (titles[rows[key].iloc[0]] for key in ("system", "baseline"))
        sentences.append(f"{one} against {other}: {said}.")
    return sentences


def _signed(value: float, column: Metric) -> str:
    text = number_of(value, column)
    points = " points" if column.score.percent else ""
    return f"{text if value < 0 else '+' + text}{points}"


def warnings(
    metrics: pd.DataFrame,
    columns: Sequence[Metric],
    layout: Layout,
    *,
    weights: Mapping[str, str | Path],
    responses: Mapping[str, str | Path],
) -> list[str]:
    """What a reader must beware of, a paragraph each.

    Parameters
    ----------
    metrics
        The run's table of that name; the rows of its last subject count, the pooled ones if there
        are several.
    columns, layout
        Metrics and systems that are shown.
    weights
        Ridge weights (:mod:`nsdrecon.ridge`), by what they are called.
    responses
        Subject to mean test responses.
    """
    rows = metrics[metrics["subject"] == metrics["subject"].iloc[-1]]
    found = [_floors_above(rows, column, layout) for column in columns]
    found += [_undefined(rows, column, layout) for column in columns]
    found += [_ends_of_grid(weights), _dropped_voxels(responses)]
    return [text for text in found if text]


def _floors_above(rows: pd.DataFrame, column: Metric, layout: Layout) -> str:
    means = rows[rows["metric"] == column.name].set_index("system")["mean"]
    sign = -1 if column.score.better == "lower" else 1
    systems = [name for name in layout.systems if name in means.index]
    said = []
    for floor, label in layout.floors.items():
        own = floor.removeprefix("shuffled-")
        compared = [own] if floor.startswith("shuffled-") else systems
        below = [
            f"{layout.systems[name]} ({number_of(means[name], column)})"
            for name in compared
            if {floor, name} <= set(means.index) and sign * (means[floor] - means[name]) > 0
        ]
        if below:
            value = number_of(means[floor], column)
            said.append(f"{label} ({value}) is better than {', '.join(below)}")
    if not said:
        return ""
    return (
        f"{column.name}: {'; '.join(said)}. By this metric alone, something that knows nothing of "
        "the seen image would do as well."
    )


def _undefined(rows: pd.DataFrame, column: Metric, layout: Layout) -> str:
    counts = rows[rows["metric"] == column.name].set_index("system")["n_undefined"]
    labels = {**layout.systems, **layout.floors, **layout.ceilings}
    some = [f"{labels[name]} ({int(n)})" for name, n in counts.items() if n and name in labels]
    if not some:
        return ""
    return (
        f"{column.name} is undefined where a picture is constant; it counts as no relation then "
        f"({column.score.miss:g}). Scores concerned: {', '.join(some)}."
    )


def _ends_of_grid(weights: Mapping[str, str | Path]) -> str:
    said = []
    for name, path in weights.items():
        with open_h5(path) as file:
            if "alpha_grid" not in file:
                continue
            grid, alpha = (dataset(file, key)[()] for key in ("alpha_grid", "alpha"))
        share = np.isin(alpha, [grid.min(), grid.max()]).mean()
        if len(grid) > 1 and share > 0.05:
            said.append(f"{name} {share:.0%}")
    if not said:
        return ""
    return (
        "Ridge penalties at an end of their grid, where a wider grid (regression.alpha_grid) might "
        f"choose others, by share of the targets: {', '.join(said)}."
    )


def _dropped_voxels(responses: Mapping[str, str | Path]) -> str:
    counts = voxel_counts(responses)
    said = [f"{name} {of - used:,} of {of:,}" for name, used, of in counts if used < of]
    if not said:
        return ""
    return (
        f"Voxels of the mask that are not used: {', '.join(said)}. They do not vary within some "
        "session, or fall below responses.min_ncsnr; published pipelines keep all."
    )
