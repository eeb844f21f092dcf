"""A gallery of all test images with all systems: one page, with a strip of pictures an image.

The page draws a few images at a time by a program inside it, so that it stays quick with a thousand
images of several subjects. Its pictures lie beside it, one file for each subject and image.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.metrics import Metric
from nsdrecon.pages.gallery_script import SCRIPT
from nsdrecon.pages.style import COLOURS
from nsdrecon.store import ID, read_array, read_ids
from nsdrecon.whole_files import whole_file, whole_folder

logger = logging.getLogger(__name__)

SEEN = "seen"
_TOGETHER = 16  # images read at a time
_LARGEST_UNCERTAINTY = 127.5  # grey levels; half of the samples black and half of them white

_CSS = """
main { max-width: 96rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; }
h2 { font-size: 1rem; margin: 0; } h3 { font-size: .9rem; margin: 0; flex-basis: 100%; }
p { color: var(--soft); margin: .2rem 0 1rem; }
form { background: var(--ground); border: 1px solid var(--line); border-radius: 6px;
       padding: .7rem 1rem; display: flex; flex-wrap: wrap; gap: .5rem 1.2rem;
       align-items: center; }
details { flex-basis: 100%; } summary { cursor: pointer; color: var(--link); }
fieldset { border: 0; margin: .3rem 0 0; padding: 0; }
fieldset label { margin-right: 1rem; display: inline-block; }
select, button { font: inherit; padding: .25rem .5rem; min-height: 2rem; max-width: 100%; }
button { white-space: nowrap; }
.pages { position: sticky; top: 0; background: var(--page); padding: .5rem 0; z-index: 1;
         display: flex; gap: .7rem; align-items: center; border-bottom: 1px solid var(--line); }
article { padding: .8rem 0; border-bottom: 1px solid var(--line); scroll-margin-top: 4rem; }
article:target { background: var(--warm); }
.captions { margin: .1rem 0 .4rem; font-size: .85rem; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; margin: .3rem 0; }
figure { margin: 0; width: var(--size, 9rem); }
.picture { width: 100%; aspect-ratio: 1; border-radius: 3px; background-color: var(--ground);
           background-repeat: no-repeat; }
figcaption { font-size: .78rem; line-height: 1.35; color: var(--soft); overflow-wrap: anywhere; }
figcaption span { display: block; }
.title { color: var(--ink); }
.floor .picture { outline: 2px dashed var(--soft); }
.ceiling .picture { outline: 2px solid #c0392b; }
"""


@dataclass(frozen=True)
class Column:
    """Something that is shown of every image.

    Parameters
    ----------
    name
        Of a system, floor or ceiling; of the file of its scores too.
    title
        For a person.
    kind
        ``seen``, ``system``, ``floor``, ``ceiling`` or ``uncertainty``.
    """

    name: str
    title: str
    kind: str


def gallery_columns(
    systems: Mapping[str, str],
    floors: Mapping[str, str],
    ceilings: Mapping[str, str],
    several: Sequence[str] = (),
) -> list[Column]:
    """What a gallery shows: the seen image, systems, floors with pictures, ceilings, uncertainty.

    Parameters
    ----------
    systems, floors, ceilings
        Name to title.
    several
        Systems that draw several samples of an image, of which the uncertainty is shown.
    """
    groups = (("system", systems), ("floor", floors), ("ceiling", ceilings))
    columns = [Column(SEEN, "seen", SEEN)]
    columns += [Column(name, title, kind) for kind, row in groups for name, title in row.items()]
    kind = "uncertainty"
    return columns + [Column(f"{kind}-{s}", f"{systems[s]}: uncertainty", kind) for s in several]


def write_strips(
    folder: str | Path,
    *,
    stimuli: str | Path,
    reconstructions: Mapping[str, str | Path],
    samples: Mapping[str, str | Path],
    nsd_id: np.ndarray | None = None,
    pixels: int = 192,
) -> None:
    """Write a file for each test image: all its pictures from left to right, in one strip.

    Parameters
    ----------
    folder
        It gets ``{nsd_id}.webp`` for each image and appears when all are there.
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n, size, size, 3).
    reconstructions
        Systems, floors and ceilings to HDF5 with ``images`` (n, samples, size, size, 3).
    samples
        Systems that draw several samples to their summary: the chosen sample is shown, and at the
        end of the strip the uncertainty, from black to white by the root of its share of the
        largest possible. Of others the first sample is shown.
    nsd_id
        Images of the subject; by default all stimuli.
    pixels
        Height and width of a picture.

    Raises
    ------
    InputError
        If a system lacks an image.
    """
    nsd_id = np.sort(read_ids(stimuli) if nsd_id is None else nsd_id)
    for system, path in reconstructions.items():
        missing = np.setdiff1d(nsd_id, read_ids(path))
        if len(missing):
            raise InputError(
                path, found=f"no row for nsd_id {listing(missing)}", expected=f"all of {system}"
            )
    with whole_folder(folder) as made:
        blocks = np.array_split(nsd_id, -(-len(nsd_id) // _TOGETHER))
        for ids in progress(blocks, description="images", unit="block"):
            for image, strip in zip(
                ids, _strips(ids, stimuli, reconstructions, samples, pixels), strict=True
            ):
                strip.save(made / f"{image}.webp", quality=85)
    logger.info("%d images of %d systems in %s", len(nsd_id), len(reconstructions), folder)


def _strips(
    nsd_id: np.ndarray,
    stimuli: str | Path,
    reconstructions: Mapping[str, str | Path],
    samples: Mapping[str, str | Path],
    pixels: int,
) -> Iterator[Image.Image]:
    columns = [read_array(stimuli, "images", nsd_id)]
    for system, path in reconstructions.items():
        images = read_array(path, "images", nsd_id)
        chosen = read_array(samples[system], "chosen", nsd_id) if system in samples else 0
        columns.append(images[np.arange(len(nsd_id)), chosen])
    for path in samples.values():
        share = np.sqrt(read_array(path, "uncertainty", nsd_id) / _LARGEST_UNCERTAINTY)
        columns.append(matplotlib.colormaps["magma"](share, bytes=True)[..., :3])
    for pictures in zip(*columns, strict=True):
        strip = Image.new("RGB", (pixels * len(pictures), pixels))
        for place, picture in enumerate(pictures):
            # Small pictures keep their pixels, large ones are averaged.
            method = Image.Resampling.NEAREST if len(picture) < pixels else Image.Resampling.LANCZOS
            strip.paste(
                Image.fromarray(picture).resize((pixels, pixels), method), (place * pixels, 0)
            )
        yield strip


def write_gallery(
    output: str | Path,
    *,
    title: str,
    pictures: str,
    columns: Sequence[Column],
    metrics: Sequence[Metric],
    scores: Mapping[str, Mapping[str, pd.DataFrame]],
    chosen: Mapping[str, Mapping[str, str | Path]],
    captions: Mapping[int, Sequence[str]],
) -> None:
    """Write the page, all or nothing.

    Parameters
    ----------
    output
        HTML file. It needs the strips beside it and nothing else.
    title
        Head of the page.
    pictures
        Folder of the strips, relative to the page; in it one folder a subject (`write_strips`).
    columns
        What the strips show, from left to right.
    metrics
        What the images can be sorted by.
    scores
        Subject to column to its table of scores, with a row an image and sample.
    chosen
        Subject to system to the summary of its samples, where there are several.
    captions
        Image to its captions.

    Raises
    ------
    InputError
        If a table lacks a metric.
    """
    subjects = {
        subject: _subject_data(tables, metrics, chosen.get(subject, {}), subject)
        for subject, tables in scores.items()
    }
    data = {
        "pictures": pictures,
        "columns": [asdict(column) for column in columns],
        "metrics": [
            {"name": row.name, "percent": row.score.percent, "better": row.score.better}
            for row in metrics
        ],
        "subjects": subjects,
        "ids": sorted({image for known in subjects.values() for image in known["ids"]}),
        "captions": {int(image): list(texts) for image, texts in captions.items()},
    }
    with whole_file(output) as partial:
        partial.write_text(_page(title, columns, metrics, data), encoding="utf-8")
    logger.info("%d images of %d subjects in %s", len(data["ids"]), len(subjects), output)


def _subject_data(
    tables: Mapping[str, pd.DataFrame],
    metrics: Sequence[Metric],
    chosen: Mapping[str, str | Path],
    subject: str,
) -> dict[str, object]:
    """Ids of the images and, in their order, the scores of the samples that are shown."""
    names = [row.name for row in metrics]
    ids = np.unique(next(iter(tables.values()))[ID])
    scores = {}
    for system, table in tables.items():
        missing = [name for name in (ID, "sample", *names) if name not in table]
        if missing:
            raise InputError(
                f"scores of {system}, {subject}",
                found=f"columns {listing(table.columns, 12)}",
                expected=f"also {listing(missing)}",
            )
        shown = read_array(chosen[system], "chosen", ids) if system in chosen else 0
        wanted = pd.MultiIndex.from_arrays([ids, np.broadcast_to(shown, ids.shape)])
        own = table.set_index([ID, "sample"]).reindex(wanted)[names]
        scores[system] = {
            name: [None if np.isnan(value) else round(float(value), 4) for value in own[name]]
            for name in names
        }
    return {"ids": ids.tolist(), "scores": scores}


def _page(
    title: str, columns: Sequence[Column], metrics: Sequence[Metric], data: Mapping[str, object]
) -> str:
    scored = [column for column in columns if column.kind == "system"]
    subjects = list(data["subjects"])
    everybody = [("", "all together")] if len(subjects) > 1 else []
    order = [("number", "by number"), ("best", "best first"), ("worst", "worst first")]
    order.append(("median", "median first"))
    controls = [
        _select("subject", "subject", [*((name, name) for name in subjects), *everybody]),
        _select("order", "order", order),
        _select("metric", "by", [(row.name, row.name) for row in metrics]),
        _select("system", "of", [(column.name, column.title) for column in scored]),
        '<label><input type="checkbox" name="every"> every score</label>',
        '<label>size <input type="range" name="size" min="5" max="24" value="9"></label>',
    ]
    # What is inside a script element ends at the first "</".
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{COLOURS}{_CSS}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
<p>Every test image, by its number in the stimulus file. Dashed: floors, which need no decoder;
red: ceilings, which know the seen image. Left and right arrow keys turn the pages; an address that
ends in <code>#</code> and a number leads to that image. <a href="../report.html">Report</a></p>
<form id="choice">
{chr(10).join(controls)}
<details><summary>Shown: systems, floors, ceilings</summary>
<fieldset><legend class="skip">shown</legend>{"".join(map(_box, columns))}</fieldset></details>
</form>
<nav class="pages" aria-label="pages of images">
<button type="button" data-step="-1">← previous</button>
<button type="button" data-step="1">next →</button>
<span id="status" role="status"></span>
</nav>
<div id="images"></div>
<noscript><p>Without scripts this page is empty; the pictures lie in
{html.escape(str(data["pictures"]))}.</p></noscript>
</main>
<script type="application/json" id="data">{text}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _select(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    shown = "".join(
        f'<option value="{html.escape(value, quote=True)}">{html.escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{label} <select name="{name}">{shown}</select></label>'


def _box(column: Column) -> str:
    checked = " checked" if column.kind in (SEEN, "system", "uncertainty") else ""
    value = html.escape(column.name, quote=True)
    return (
        f'<label><input type="checkbox" name="column" value="{value}"{checked}> '
        f"{html.escape(column.title)}</label>"
    )
