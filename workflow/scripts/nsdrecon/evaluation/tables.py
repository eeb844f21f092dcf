"""Tables to read and to print: Markdown and LaTeX in the layout of the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nsdrecon.errors import InputError, listing
from nsdrecon.evaluation.published import PublishedResult
from nsdrecon.evaluation.statistics import SIGNIFICANT
from nsdrecon.metrics import PUBLISHED_COLUMNS, Metric, NetworkMetric
from nsdrecon.store import dataset, open_h5
from nsdrecon.whole_files import whole_file


@dataclass(frozen=True)
class Layout:
    """Which systems a table shows, by group, each system with its label.

    ``shuffled-<system>`` and the like are floors; ``oracle-<name>``, which know the seen image, are
    ceilings. Systems without rows are left out.
    """

    systems: Mapping[str, str]
    floors: Mapping[str, str]
    ceilings: Mapping[str, str]

    def groups(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """(heading, system to label) of the three groups."""
        yield "Reconstructions", self.systems
        yield "Floors", self.floors
        yield "Ceilings (know the seen image)", self.ceilings


def described(metrics: pd.DataFrame, columns: Sequence[Metric], layout: Layout) -> pd.DataFrame:
    """A table of metrics with what a reader of the file alone must know of each row.

    Parameters
    ----------
    metrics
        :func:`nsdrecon.evaluation.statistics.metrics_table`.
    columns, layout
        Metrics and systems of the run.

    Returns
    -------
    The same with the columns ``kind`` (system, floor or ceiling) after the system, and ``unit`` and
    ``better`` (higher or lower) after the metric.
    """
    kinds = dict.fromkeys(layout.systems, "system") | dict.fromkeys(layout.floors, "floor")
    kinds |= dict.fromkeys(layout.ceilings, "ceiling")
    rows = [*columns, *(row.within_category() for row in columns if isinstance(row, NetworkMetric))]
    unit = {row.name: "share" if row.score.percent else "none" for row in rows}
    better = {row.name: row.score.better for row in rows}
    table = metrics.copy()
    added = (("system", "kind", kinds), ("metric", "better", better), ("metric", "unit", unit))
    for after, name, values in added:
        table.insert(table.columns.get_loc(after) + 1, name, table[after].map(values))
    return table


def write_markdown(
    metrics: pd.DataFrame,
    output: str | Path,
    *,
    columns: Sequence[Metric],
    layout: Layout,
    published: Sequence[PublishedResult] = (),
    note: str = "",
) -> None:
    """Write the table of metrics as Markdown: a part for each subject and for the pooled values.

    Parameters
    ----------
    metrics
        :func:`nsdrecon.evaluation.statistics.metrics_table`, of one protocol.
    output
        File, written all or nothing.
    columns
        Metrics in the order of the columns.
    layout
        Systems, floors and ceilings.
    published
        Rows to print beside the pooled values (or those of the only subject). A published value is
        printed only in a column of the same name.
    note
        What else a reader must know.

    Raises
    ------
    InputError
        If the table has no rows, or rows of several protocols.
    """
    protocol = _protocol(metrics)
    explanation = " ".join([explained(metrics), note]).strip().replace("*", "\\*")
    parts = [f"# Scores, protocol `{protocol}`", explanation]
    subjects = list(metrics["subject"].unique())
    for subject in subjects:
        rows = metrics[metrics["subject"] == subject]
        parts.append(f"## {subject_title(metrics, subject)}")
        shown = published if subject == subjects[-1] else ()
        parts.append(_markdown_table(rows, columns, layout, shown, protocol))
    notes = _footnotes(published, protocol)
    parts += [f"{mark} {note}" for mark, note in notes]
    with whole_file(output) as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write_latex(
    metrics: pd.DataFrame,
    output: str | Path,
    *,
    subject: str,
    columns: Sequence[Metric],
    layout: Layout,
    published: Sequence[PublishedResult] = (),
    note: str = "",
) -> None:
    r"""Write the table of one subject, or of the pooled values, as a LaTeX ``tabular`` with notes.

    For ``\input`` in a document that loads ``booktabs``. Intervals stand below their means, so
    that the eight published metrics fit a page.

    Parameters
    ----------
    metrics, output, columns, layout, published, note
        As in :func:`write_markdown`.
    subject
        Which rows: a subject or ``pooled``.
    """
    protocol = _protocol(metrics)
    rows = metrics[metrics["subject"] == subject]
    if rows.empty:
        raise InputError(
            "table of metrics",
            found=f"subjects {listing(metrics['subject'].unique())}",
            expected=repr(subject),
        )
    marks = {footnote: mark for mark, footnote in _footnotes(published, protocol)}
    heads = " & ".join(_latex(heading_of(column)) for column in columns)
    lines = [
        f"% {subject_title(metrics, subject)}; protocol {protocol}; needs the package booktabs.",
        "\\begingroup\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        "\\noindent\\begin{tabular}{l" + "c" * len(columns) + "}",
        "\\toprule",
        f" & {heads} \\\\",
    ]
    for heading, systems in layout.groups():
        cells = _cells(rows, columns, systems, bold=heading == "Reconstructions")
        if cells:
            lines += ["\\midrule", _latex_group(heading, len(columns))]
        for label, values in cells:
            lines += _latex_rows(label, values)
    if published:
        lines += ["\\midrule", _latex_group("Published, without intervals", len(columns))]
        for result in published:
            mark = marks[_footnote(result, protocol)]
            label = f"{_latex(result.system)}\\textsuperscript{{{mark.strip('[]')}}}"
            values = [_published_cell(result, column) for column in columns]
            lines.append(" & ".join([label, *map(_latex, values)]) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}", "\\par\\smallskip\\scriptsize"]
    explanation = " ".join([explained(metrics), note]).strip()
    lines.append(f"\\noindent {_latex(explanation)}")
    lines += [
        f"\\par\\noindent\\textsuperscript{{{mark.strip('[]')}}}~{_latex(footnote)}"
        for footnote, mark in marks.items()
    ]
    lines.append("\\par\\endgroup")
    with whole_file(output) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def readable(
    metrics: pd.DataFrame, subject: str, columns: Sequence[Metric], layout: Layout
) -> pd.DataFrame:
    """The table of one subject for a page: a row a system of some group, a cell a metric."""
    rows = metrics[metrics["subject"] == subject]
    lines = []
    for heading, systems in layout.groups():
        for label, cells in _cells(rows, columns, systems, bold=heading == "Reconstructions"):
            line: dict[str, object] = {"group": heading, "system": label}
            heads = map(heading_of, columns)
            lines.append(line | dict(zip(heads, cells, strict=True)))
    return pd.DataFrame(lines)


def readable_holdout(
    holdout: pd.DataFrame, subject: str, columns: Sequence[Metric], labels: Mapping[str, str]
) -> pd.DataFrame:
    """Scores of clusters left out and of the others, of one subject, for a page.

    Parameters
    ----------
    holdout
        Metrics of both decoders (:func:`nsdrecon.evaluation.variants.holdout_table`), with the
        columns ``training`` and ``images``.
    subject
        Which rows: a subject or ``pooled``.
    columns
        Metrics in the order of the columns.
    labels
        System to label.
    """
    lines = []
    keys = ["system", "training", "images"]
    own = holdout[holdout["subject"] == subject]
    for (system, training, images), rows in own.groupby(keys, sort=False):
        shown = f"{images} ({rows['n_images'].max()})"
        line = {"system": labels[system], "training": training, "test images": shown}
        for column in columns:
            (cell,) = _column_cells(rows, column, [system], bold=False)
            line[heading_of(column)] = cell
        lines.append(line)
    return pd.DataFrame(lines)


def readable_contrasts(contrasts: pd.DataFrame, columns: Sequence[Metric]) -> pd.DataFrame:
    """Paired differences of one subject for a page: a row a contrast, a column a metric.

    Those that are significant stand out.
    """
    lines = []
    for name, rows in contrasts.groupby("contrast", sort=False):
        line: dict[str, object] = {"contrast": name}
        for column in columns:
            for _, row in rows[rows["metric"] == column.name].iterrows():
                low, high = (number_of(row[limit], column) for limit in ("ci_low", "ci_high"))
                p = "<0.001" if row["p_holm"] < 0.001 else f"={row['p_holm']:.3f}"
                difference = number_of(row["difference"], column)
                significant = bool(row["p_holm"] < SIGNIFICANT)
                line[heading_of(column)] = Cell(difference, f"[{low}, {high}] p{p}", significant)
        lines.append(line)
    return pd.DataFrame(lines)


def readable_published(
    published: Sequence[PublishedResult], protocol: str
) -> tuple[pd.DataFrame, list[str]]:
    """Published results for a page: a row a result, and the footnotes that its marks refer to.

    Parameters
    ----------
    published
        Results.
    protocol
        Protocol of the values that they stand beside; the footnotes say where theirs is another.
    """
    columns = [row for row in PUBLISHED_COLUMNS if any(row.name in r.values for r in published)]
    notes = _footnotes(published, protocol)
    marks = {note: mark for mark, note in notes}
    rows = pd.DataFrame(
        {
            "system": f"{result.system} {marks[_footnote(result, protocol)]}",
            **{heading_of(column): _published_cell(result, column) for column in columns},
        }
        for result in published
    )
    return rows, [f"{mark} {note}" for mark, note in notes]


@dataclass(frozen=True)
class Cell:
    """One printed value, its interval, and whether it is the best of its group.

    Parameters
    ----------
    value, interval
        As printed; the interval, or what else stands small below the value, is empty where there is
        none.
    best
        Whether it stands out from its group.
    """

    value: str
    interval: str = ""
    best: bool = False

    def __str__(self) -> str:
        return f"{self.value} {self.interval}".strip()


def _cells(
    rows: pd.DataFrame, columns: Sequence[Metric], systems: Mapping[str, str], *, bold: bool
) -> list[tuple[str, list[Cell]]]:
    """Label and cells of each system that has rows."""
    there = [system for system in systems if (rows["system"] == system).any()]
    by_column = [_column_cells(rows, column, there, bold and len(there) > 1) for column in columns]
    return [(systems[system], [cells[k] for cells in by_column]) for k, system in enumerate(there)]


def _column_cells(
    rows: pd.DataFrame, column: Metric, systems: Sequence[str], bold: bool
) -> list[Cell]:
    own = rows[rows["metric"] == column.name].set_index("system").reindex(systems)
    means = own["mean"].to_numpy()
    signed = -means if column.score.better == "lower" else means
    best = np.nanmax(signed) if bold and not np.isnan(signed).all() else np.nan
    cells = []
    for (_, row), score in zip(own.iterrows(), signed, strict=True):
        if np.isnan(row["mean"]):
            cells.append(Cell("–"))
            continue
        limits = f"[{number_of(row['ci_low'], column)}, {number_of(row['ci_high'], column)}]"
        mark = "*" if row["n_undefined"] else ""
        cells.append(Cell(number_of(row["mean"], column) + mark, limits, bool(score == best)))
    return cells


def number_of(value: float, column: Metric) -> str:
    """A value of a metric as it is printed: identification in per cent, others as they are."""
    text = f"{100 * value:.1f}" if column.score.percent else f"{value:.3f}"
    return text if float(text) else text.lstrip("-")


def heading_of(column: Metric) -> str:
    """Head of a metric's column: its name, its unit, and which way is better."""
    unit = " (%)" if column.score.percent else ""
    return f"{column.name}{unit} {'↓' if column.score.better == 'lower' else '↑'}"


def _markdown_table(
    rows: pd.DataFrame,
    columns: Sequence[Metric],
    layout: Layout,
    published: Sequence[PublishedResult],
    protocol: str,
) -> str:
    lines = [
        "| system | " + " | ".join(heading_of(column) for column in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    blank = " |" * len(columns)
    for heading, systems in layout.groups():
        cells = _cells(rows, columns, systems, bold=heading == "Reconstructions")
        if cells:
            lines.append(f"| *{heading}* |{blank}")
        for label, values in cells:
            texts = [
                f"**{cell.value}** {cell.interval}" if cell.best else str(cell) for cell in values
            ]
            lines.append(f"| {label} | " + " | ".join(texts) + " |")
    if published:
        lines.append(f"| *Published, without intervals* |{blank}")
        marks = {note: mark for mark, note in _footnotes(published, protocol)}
        for result in published:
            mark = marks[_footnote(result, protocol)]
            values = [_published_cell(result, column) for column in columns]
            lines.append(f"| {result.system} {mark} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _published_cell(result: PublishedResult, column: Metric) -> str:
    value = result.values.get(column.name)
    return "–" if value is None else number_of(value, column)


def _footnote(result: PublishedResult, protocol: str) -> str:
    """What a reader must know to compare a published row."""
    note = f"{result.source}; {result.test_set}; {result.certainty}"
    if result.protocol and result.protocol != protocol:
        note += f"; computed under protocol {result.protocol}, not comparable digit by digit"
    if result.caution:
        note += f". Not comparable: {result.caution}"
    return note.rstrip(".") + "."


def _footnotes(published: Sequence[PublishedResult], protocol: str) -> list[tuple[str, str]]:
    notes = list(dict.fromkeys(_footnote(result, protocol) for result in published))
    return [(f"[{chr(ord('a') + k)}]", note) for k, note in enumerate(notes)]


def explained(metrics: pd.DataFrame) -> str:
    """What the numbers and the marks of a table of metrics mean."""
    text = (
        "Means with 95 % bootstrap intervals over images. Identification (%) is two-way: chance is "
        "50. ↑ higher is better, ↓ lower is better."
    )
    if metrics["n_undefined"].any():
        text += (
            " * Some correlations are undefined because a picture is constant; "
            "they count as no relation."
        )
    return text


def voxels_used(responses: Mapping[str, str | Path]) -> str:
    """How many voxels the decoders had, beside those of published pipelines.

    Parameters
    ----------
    responses
        Subject to a file of mean responses (:func:`nsdrecon.data.betas.average_repeats`).
    """
    counts = [f"{name} {used:,} of {of:,}" for name, used, of in voxel_counts(responses)]
    return (
        f"Voxels used: {', '.join(counts)}. Left out are those that do not vary within some "
        "session, or fall below responses.min_ncsnr. Published pipelines keep all of nsdgeneral: "
        "15,724 in subject 1."
    )


def voxel_counts(responses: Mapping[str, str | Path]) -> Iterator[tuple[str, int, int]]:
    """Each subject, how many voxels are used, and how many the mask has."""
    for subject, path in responses.items():
        with open_h5(path) as file:
            yield subject, len(dataset(file, "voxel")), int(file.attrs["voxels_in_mask"])


def subject_title(metrics: pd.DataFrame, subject: str) -> str:
    """Whose rows of a table of metrics these are: a subject, or how many are pooled; the images."""
    rows = metrics[metrics["subject"] == subject]
    images, subjects = rows["n_images"].max(), rows["n_subjects"].max()
    who = f"{subjects} subjects, pooled" if subjects > 1 else subject
    return f"{who}, {images} images"


def _protocol(metrics: pd.DataFrame) -> str:
    names = list(metrics["protocol"].unique())
    if len(names) != 1:
        raise InputError(
            "table of metrics",
            found=f"protocols {listing(names) or '(none)'}",
            expected="rows of one protocol",
        )
    return str(names[0])


def _latex(text: str) -> str:
    special = {"&": "\\&", "%": "\\%", "_": "\\_", "#": "\\#", "$": "\\$", "–": "--"}
    special |= {"↑": "$\\uparrow$", "↓": "$\\downarrow$", "{": "\\{", "}": "\\}"}
    special |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return "".join(special.get(character, character) for character in text)


def _latex_group(heading: str, n_columns: int) -> str:
    return f"\\multicolumn{{{n_columns + 1}}}{{l}}{{\\textit{{{_latex(heading)}}}}} \\\\"


def _latex_rows(label: str, cells: Sequence[Cell]) -> list[str]:
    """A line of means and a line of their intervals."""
    means = [f"\\textbf{{{_latex(c.value)}}}" if c.best else _latex(c.value) for c in cells]
    intervals = [f"{{\\tiny {cell.interval.replace('-', '$-$')}}}" for cell in cells]
    return [
        " & ".join([_latex(label), *means]) + " \\\\[-1ex]",
        " & ".join(["", *intervals]) + " \\\\",
    ]
