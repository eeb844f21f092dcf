"""One HTML file of sections with its pictures inside, no scripts, and links to files beside it."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from PIL import Image

from nsdrecon.errors import InputError
from nsdrecon.evaluation.tables import Cell
from nsdrecon.pages.style import COLOURS
from nsdrecon.whole_files import whole_file

_DRAWN_AT, _SHOWN_AT = 150, 96  # pixels an inch: of the figures' files, of a page

_CSS = """
.page { display: grid; grid-template-columns: minmax(0, 1fr); }
nav { position: sticky; top: 0; z-index: 3; background: var(--ground);
      border-bottom: 1px solid var(--line); padding: .3rem 1rem; }
nav ul { display: flex; gap: .2rem 1rem; list-style: none; padding: 0; margin: 0;
         overflow-x: auto; white-space: nowrap; }
nav a { display: inline-block; padding: .3rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
.content { max-width: 64rem; padding: 1.2rem 1.2rem 3rem; min-width: 0; }
@media (min-width: 72rem) {
  .page { grid-template-columns: 13rem minmax(0, 1fr); }
  nav { height: 100vh; border: 0; border-right: 1px solid var(--line); padding: 1.2rem 1rem; }
  nav ul { display: block; white-space: normal; overflow: visible; }
  .content { padding: 1.6rem 2.4rem 3rem; }
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; scroll-margin-top: 3.5rem; }
p, dd, li, td, th, figcaption { overflow-wrap: anywhere; }
figcaption, caption, footer { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem 1rem;
     margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
figure { margin: 1.2rem 0; }
figure img, figure svg { display: block; max-width: 100%; height: auto; background: #fff;
                         border-radius: 4px; }
.scroll { overflow-x: auto; }
.natural svg, .natural img { max-width: none; }
@media (max-width: 40rem) { .legible img { max-width: none; } }
figcaption, caption { font-size: .87rem; margin-top: .5rem; text-align: left; }
figcaption { max-width: 48rem; }
.table { margin: 1.2rem 0; }
.table > p { font-size: .87rem; color: var(--soft); margin: .5rem 0; max-width: 48rem; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right;
         vertical-align: top; white-space: nowrap; }
th { font-weight: 600; } tbody th { font-weight: 400; }
td small, th small { display: block; color: var(--soft); }
.text td { text-align: left; white-space: normal; min-width: 6rem; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page);
                 white-space: normal; min-width: 7rem; max-width: 15rem; z-index: 1; }
@media (max-width: 40rem) { th:first-child { max-width: 9rem; } }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; white-space: normal;
           overflow-wrap: break-word; }
.text thead th { text-align: left; }
tbody .group { white-space: nowrap; max-width: none; font-style: italic; padding-top: .8rem;
               color: var(--soft); }
.note { border-left: 4px solid var(--edge); background: var(--warm); padding: .5rem 1rem;
        border-radius: 0 4px 4px 0; margin: 1rem 0; }
.note p { margin: .3rem 0; }
details { border: 1px solid var(--line); border-radius: 4px; padding: .4rem .9rem;
          margin: .8rem 0; }
summary { cursor: pointer; color: var(--link); }
footer { padding-top: 1.2rem; border-top: 1px solid var(--line); font-size: .82rem; }
@media print { nav { display: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Picture:
    """An image file with its caption. SVG is placed in the page as it is, PNG embedded.

    Parameters
    ----------
    path
        The file.
    caption
        What it shows.
    legible
        Keep its size on a small screen, where one scrolls over it, since there are letters in it.
    """

    path: str | Path
    caption: str
    legible: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption. Its first column names the rows.

    Parameters
    ----------
    data
        Numbers, texts and :class:`nsdrecon.evaluation.tables.Cell`. Rows of a column ``group``, if
        there is one, are put under its values.
    caption
        What it shows.
    digits
        Decimals of floating-point numbers.
    text
        Whether it holds sentences rather than numbers.
    """

    data: pd.DataFrame
    caption: str
    digits: int = 3
    text: bool = False


@dataclass(frozen=True)
class Note:
    """Text that a reader must not overlook."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values, a line each."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Links:
    """Files beside the page, each with what is in it."""

    files: Mapping[str | Path, str]


@dataclass(frozen=True)
class Folded:
    """Parts that are hidden until a reader opens them."""

    title: str
    parts: Sequence[Part]


Part = str | Picture | Table | Note | Facts | Links | Folded


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading of its own."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def write_report(
    output: str | Path,
    *,
    title: str,
    head: Sequence[Part],
    sections: Sequence[Section],
    footer: str,
) -> None:
    """Write the report, all or nothing.

    Parameters
    ----------
    output
        HTML file, readable without the network and without any other file; links to other files
        are relative to it.
    title
        Head of the page.
    head
        What stands under it, before all sections.
    sections
        The parts of the page; the navigation leads to them.
    footer
        Last line, for instance the versions.

    Raises
    ------
    InputError
        If a picture is missing, or is neither PNG nor SVG.
    """
    links = "".join(
        f'<li><a href="#{_anchor(section.title)}">{html.escape(section.title)}</a></li>'
        for section in sections
    )
    page = _Page(Path(output).parent)
    body = "\n".join(map(page.section, sections))
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{COLOURS}{_CSS}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<div class="page">
<nav aria-label="sections"><ul>{links}</ul></nav>
<div class="content" id="content">
<header>
<h1>{html.escape(title)}</h1>
{page.parts(head)}
</header>
<main>
{body}
</main>
<footer>{html.escape(footer)}</footer>
</div>
</div>
</body>
</html>
"""
    with whole_file(output) as partial:
        partial.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Page:
    """Turns the parts of a page that lies in a folder into HTML."""

    folder: Path

    def section(self, section: Section) -> str:
        heading = f'<h2 id="{_anchor(section.title)}">{html.escape(section.title)}</h2>'
        return f"<section>\n{heading}\n{self.parts(section.parts)}\n</section>"

    def parts(self, parts: Sequence[Part]) -> str:
        return "\n".join(map(self.part, parts))

    def part(self, part: Part) -> str:
        if isinstance(part, Picture):
            return self.picture(part)
        if isinstance(part, Table):
            return _table(part)
        if isinstance(part, Note):
            return f'<div class="note">{_paragraphs(part.text)}</div>'
        if isinstance(part, Facts):
            pairs = ((html.escape(name), html.escape(text)) for name, text in part.values.items())
            return f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in pairs)}</dl>"
        if isinstance(part, Links):
            files = ((self.link(file), html.escape(text)) for file, text in part.files.items())
            return f"<ul>{''.join(f'<li>{link} {text}</li>' for link, text in files)}</ul>"
        if isinstance(part, Folded):
            title = html.escape(part.title)
            return f"<details><summary>{title}</summary>\n{self.parts(part.parts)}\n</details>"
        return _paragraphs(part)

    def link(self, file: str | Path, text: str = "") -> str:
        place = os.path.relpath(file, self.folder)
        return f'<a href="{html.escape(place, quote=True)}">{html.escape(text or place)}</a>'

    def picture(self, picture: Picture) -> str:
        path = Path(picture.path)
        if not path.is_file():
            raise InputError(path, found="no file", expected="a picture for the report")
        suffix = path.suffix.lower()
        alternative = html.escape(picture.caption.split(". ")[0].rstrip("."), quote=True)
        if suffix == ".svg":
            label = f'<svg role="img" aria-label="{alternative}"'
            shown = _inline_svg(path).replace("<svg", label, 1)
        elif suffix == ".png":
            with Image.open(path) as image:
                width = round(image.width * _SHOWN_AT / _DRAWN_AT)
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            source = f"data:image/png;base64,{data}"
            shown = f'<img alt="{alternative}" width="{width}" src="{source}">'
        else:
            raise InputError(path, found=f"a {suffix or 'nameless'} file", expected="PNG or SVG")
        if picture.legible:
            kind = "natural" if suffix == ".svg" else "legible"
            shown = _scrolling(shown, alternative, kind)
        pdf = path.with_suffix(".pdf")
        file = f" {self.link(pdf, 'PDF')}" if pdf.is_file() else ""
        caption = f"<figcaption>{html.escape(picture.caption)}{file}</figcaption>"
        return f"<figure>\n{shown}\n{caption}\n</figure>"


def settings_table(
    settings: Mapping[str, object], defaults: Mapping[str, object]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settings with their defaults, as YAML writes them: those that differ, and all.

    Parameters
    ----------
    settings
        Nested settings of a run; their names become dotted.
    defaults
        Dotted name to default, of the settings that have one.
    """
    rows = [
        {"setting": name, "value": _written(value), "default": _written(defaults[name])}
        if name in defaults
        else {"setting": name, "value": _written(value), "default": "none, must be given"}
        for name, value in _flat(settings, set(defaults))
    ]
    table = pd.DataFrame(rows, columns=["setting", "value", "default"])
    return table[table["value"] != table["default"]], table


def _flat(
    settings: Mapping[str, object], whole: set[str], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Dotted names and values; what has a default as a whole is not taken apart."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and name not in whole:
            yield from _flat(value, whole, f"{name}.")
        else:
            yield name, value


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _paragraphs(text: str) -> str:
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return "\n".join(f"<p>{html.escape(block)}</p>" for block in blocks)


def _inline_svg(path: Path) -> str:
    """The svg element of a file, without the prolog, which HTML does not know, and names of parts.

    Several drawings of one program name their parts alike.
    """
    text = path.read_text(encoding="utf-8")
    found = re.search(r"<svg\b.*</svg>", text, flags=re.DOTALL)
    if found is None:
        raise InputError(path, found="no svg element", expected="an SVG drawing")
    return re.sub(r'\sid="[^"]*"', "", found.group())


def _scrolling(content: str, label: str, kind: str = "") -> str:
    """Content that may be wider than the screen; the keyboard can scroll it."""
    about = f'class="scroll {kind}" tabindex="0" role="region" aria-label="{label}"'
    return f"<div {about}>{content}</div>"


def _table(table: Table) -> str:
    data = table.data.drop(columns="group", errors="ignore")
    heads = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in data.columns)
    lines, group = [], None
    groups = table.data["group"] if "group" in table.data else [None] * len(data)
    for own, row in zip(groups, data.itertuples(index=False), strict=True):
        if own != group:
            group, text = own, html.escape(str(own))
            span = f'colspan="{len(data.columns)}" scope="colgroup"'
            lines.append(f'<tr><th class="group" {span}>{text}</th></tr>')
        name, *cells = (_cell(value, table.digits) for value in row)
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{name}</th>{values}</tr>')
    kind = ' class="text"' if table.text else ""
    content = f"<table{kind}><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    label = html.escape(table.caption.split(". ")[0], quote=True)
    caption = f"<p>{html.escape(table.caption)}</p>"
    return f'<div class="table">{_scrolling(content, label)}{caption}</div>'


def _cell(value: object, digits: int) -> str:
    if isinstance(value, Cell):
        shown = html.escape(value.value)
        shown = f"<strong>{shown}</strong>" if value.best else shown
        return f"{shown}<small>{html.escape(value.interval)}</small>" if value.interval else shown
    if value is None or value is pd.NA or value != value:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else html.escape(str(value))


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
