"""One HTML file of sections, with its pictures inside, no scripts and no links outward."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from nsdrecon.errors import InputError
from nsdrecon.whole_files import whole_file

_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}

_CSS = """
:root { --ink: #1f2329; --soft: #5b626c; --line: #e3e6ea; --ground: #f7f8fa; --mark: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: white; font: 16px/1.55 system-ui, sans-serif; }
header { background: var(--ground); border-bottom: 1px solid var(--line); padding: 2.2rem 1.2rem; }
header > * { max-width: 60rem; margin: 0 auto; }
main, footer { max-width: 62.4rem; margin: 0 auto; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 auto .4rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .4rem; }
header p, figcaption, caption, footer { color: var(--soft); }
main { padding: 0 1.2rem 2rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0;
         margin: 1rem 0 0; }
a { color: var(--mark); text-decoration: none; }
a:hover { text-decoration: underline; }
figure { margin: 1.2rem 0; }
figure img, figure svg { display: block; max-width: 100%; height: auto; border-radius: 4px; }
figcaption, caption { font-size: .87rem; margin-top: .5rem; text-align: left; }
caption { caption-side: bottom; padding-top: .5rem; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right;
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
/* A table of names and values: a long value takes several lines. */
td:nth-child(2):last-child { white-space: normal; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
.note { border-left: 4px solid #e69f00; background: #fdf6e8; padding: .7rem 1rem;
        border-radius: 0 4px 4px 0; margin: 1.2rem 0; }
.note p { margin: .2rem 0; }
footer { padding: 1.2rem; border-top: 1px solid var(--line); font-size: .82rem; }
@media (max-width: 40rem) { body { font-size: 15px; } h1 { font-size: 1.4rem; } }
@media print { nav { display: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Picture:
    """An image file with its caption. SVG is placed in the page as it is, PNG and JPEG embedded."""

    path: str | Path
    caption: str


@dataclass(frozen=True)
class Table:
    """A table with its caption; ``digits`` are decimals of floating-point numbers."""

    data: pd.DataFrame
    caption: str
    digits: int = 3


@dataclass(frozen=True)
class Note:
    """Text that a reader must not overlook."""

    text: str


@dataclass(frozen=True)
class Section:
    """A part of the page: paragraphs (strings), pictures, tables and notes in their order."""

    title: str
    parts: Sequence[str | Picture | Table | Note] = field(default_factory=tuple)


def write_report(
    output: str | Path, *, title: str, summary: str, sections: Sequence[Section], footer: str = ""
) -> None:
    """Write the report, all or nothing.

    Parameters
    ----------
    output
        HTML file, readable without the network and without any other file.
    title, summary
        Head of the page.
    sections
        Its parts.
    footer
        Last line, for instance the versions.

    Raises
    ------
    InputError
        If a picture is missing, or is neither PNG, JPEG nor SVG.
    """
    links = "".join(
        f'<li><a href="#{_anchor(section.title)}">{html.escape(section.title)}</a></li>'
        for section in sections
    )
    body = "\n".join(_section(section) for section in sections)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_CSS}</style>
</head>
<body>
<header>
<h1>{html.escape(title)}</h1>
<p>{html.escape(summary)}</p>
<nav><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
<footer>{html.escape(footer)}</footer>
</body>
</html>
"""
    with whole_file(output) as partial:
        partial.write_text(page, encoding="utf-8")


def settings_table(settings: Mapping[str, object], caption: str) -> Table:
    """Settings as a table of two columns; nested mappings become dotted names."""
    rows = pd.DataFrame(_flat(settings), columns=["setting", "value"])
    return Table(rows, caption)


def _flat(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{name}", ", ".join(map(str, value))))
        else:
            rows.append((f"{prefix}{name}", "none" if value is None else str(value)))
    return rows


def _section(section: Section) -> str:
    parts = "\n".join(_part(part) for part in section.parts)
    return (
        f'<section id="{_anchor(section.title)}">\n<h2>{html.escape(section.title)}</h2>\n{parts}\n'
        "</section>"
    )


def _part(part: str | Picture | Table | Note) -> str:
    if isinstance(part, Picture):
        return _picture(part)
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Note):
        return f'<div class="note">{_paragraphs(part.text)}</div>'
    return _paragraphs(part)


def _paragraphs(text: str) -> str:
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return "\n".join(f"<p>{html.escape(block)}</p>" for block in blocks)


def _picture(picture: Picture) -> str:
    path = Path(picture.path)
    if not path.is_file():
        raise InputError(path, found="no file", expected="a picture for the report")
    suffix = path.suffix.lower()
    alternative = html.escape(picture.caption, quote=True)
    if suffix == ".svg":
        shown = _inline_svg(path)
    elif suffix in _MEDIA_TYPES:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        shown = f'<img alt="{alternative}" src="data:{_MEDIA_TYPES[suffix]};base64,{data}">'
    else:
        raise InputError(path, found=f"a {suffix or 'nameless'} file", expected="PNG, JPEG or SVG")
    return f"<figure>\n{shown}\n<figcaption>{html.escape(picture.caption)}</figcaption>\n</figure>"


def _inline_svg(path: Path) -> str:
    """The svg element of a file, without the prolog, which HTML does not know."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"<svg\b.*</svg>", text, flags=re.DOTALL)
    if found is None:
        raise InputError(path, found="no svg element", expected="an SVG drawing")
    return found.group()


def _table(table: Table) -> str:
    numeric = {
        name: f"{{:.{table.digits}f}}".format
        for name in table.data.columns
        if pd.api.types.is_float_dtype(table.data[name])
    }
    body = table.data.to_html(
        index=False, border=0, escape=True, na_rep="–", formatters=numeric, justify="unset"
    )
    body = re.sub(r'<table border="0" class="dataframe">', "<table>", body, count=1)
    caption = f"<caption>{html.escape(table.caption)}</caption>"
    return f'<div class="scroll">{body.replace("<thead>", caption + "<thead>", 1)}</div>'


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
