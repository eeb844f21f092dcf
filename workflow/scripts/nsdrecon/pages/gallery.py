"""A gallery of all test images with all systems: one page with pictures in a folder beside it."""

from __future__ import annotations

import html
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.store import ID, read_array, read_ids
from nsdrecon.whole_files import whole_file

logger = logging.getLogger(__name__)

_CSS = """
body { margin: 0 auto; max-width: 80rem; padding: 1.2rem; color: #1f2329;
       font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } p { color: #5b626c; margin: .2rem 0 1rem; }
fieldset { border: 1px solid #e3e6ea; border-radius: 4px; margin: 0 0 1.2rem; }
label { margin-right: 1rem; white-space: nowrap; }
article { display: flex; flex-wrap: wrap; gap: .5rem; padding: .7rem 0;
          border-top: 1px solid #e3e6ea; content-visibility: auto; }
article h2 { flex-basis: 100%; font-size: .85rem; font-weight: 600; margin: 0; color: #5b626c; }
figure { margin: 0; width: 9rem; } figure img { width: 100%; border-radius: 3px; display: block; }
figcaption { font-size: .74rem; color: #5b626c; overflow-wrap: anywhere; }
"""


def write_gallery(
    output: str | Path,
    *,
    stimuli: str | Path,
    systems: Mapping[str, str | Path],
    scores: Mapping[str, pd.DataFrame],
    metrics: Sequence[str],
    title: str,
    pixels: int = 192,
) -> None:
    """Write a page with every test image: what was seen, every sample of every system, its scores.

    Check boxes show and hide systems (by style sheet alone). The pictures are JPEG files in a
    folder named after the page: ``gallery.html`` and ``gallery_pictures/``.

    Parameters
    ----------
    output
        HTML file; it appears when all its pictures are there.
    stimuli
        HDF5 with ``nsd_id`` and ``images`` (n, size, size, 3).
    systems
        System to reconstructions, HDF5 with ``images`` (n, samples, size, size, 3), of the same
        images.
    scores
        System to its per-image table; a system may be missing.
    metrics
        Columns whose values stand under the pictures.
    title
        Head of the page.
    pixels
        Largest height and width of the pictures.

    Raises
    ------
    InputError
        If a system lacks an image, or a table lacks a metric.
    """
    output = Path(output)
    nsd_id = np.sort(read_ids(stimuli))
    for system, path in systems.items():
        missing = np.setdiff1d(nsd_id, read_ids(path))
        if len(missing):
            raise InputError(
                path, found=f"no row for nsd_id {listing(missing)}", expected=f"all of {system}"
            )
    folder = output.with_name(f"{output.stem}_pictures")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    values = {system: _scores(table, metrics, system) for system, table in scores.items()}
    articles = []
    for image in progress(nsd_id, description="gallery"):
        seen = read_array(stimuli, "images", np.array([image]))[0]
        figures = [_figure(seen, folder, f"{image}_seen", "seen", "", pixels)]
        for number, (system, path) in enumerate(systems.items()):
            samples = read_array(path, "images", np.array([image]))[0]
            for sample, picture in enumerate(samples):
                caption = " ".join([system, *values.get(system, {}).get((image, sample), [])])
                name = f"{image}_{system}_{sample}"
                figures.append(_figure(picture, folder, name, caption, f"s{number}", pixels))
        articles.append(f"<article><h2>{image}</h2>{''.join(figures)}</article>")
    with whole_file(output) as partial:
        partial.write_text(_page(title, list(systems), articles), encoding="utf-8")
    logger.info("%d images of %d systems in %s", len(nsd_id), len(systems), output)


def _scores(
    table: pd.DataFrame, metrics: Sequence[str], system: str
) -> dict[tuple[int, int], list[str]]:
    """(nsd_id, sample) to "metric value" texts."""
    missing = [name for name in (ID, "sample", *metrics) if name not in table]
    if missing:
        raise InputError(
            f"scores of {system}",
            found=f"columns {listing(table.columns, 12)}",
            expected=f"also {listing(missing)}",
        )
    return {
        (int(row[ID]), int(row["sample"])): [f"{name} {row[name]:.2f}" for name in metrics]
        for row in table.to_dict("records")
    }


def _figure(
    picture: np.ndarray, folder: Path, name: str, caption: str, kind: str, pixels: int
) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    path = folder / f"{name}.jpg"
    image.save(path, quality=90)
    text = html.escape(caption, quote=True)
    source = html.escape(f"{folder.name}/{path.name}", quote=True)
    return (
        f'<figure class="{kind}"><img loading="lazy" src="{source}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _page(title: str, systems: Sequence[str], articles: Sequence[str]) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" id="c{number}" checked> {html.escape(system)}</label>'
        for number, system in enumerate(systems)
    )
    hiding = "\n".join(
        f"body:has(#c{number}:not(:checked)) .s{number} {{ display: none; }}"
        for number in range(len(systems))
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_CSS}{hiding}
</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>{len(articles)} test images, by their number in the stimulus file.</p>
<fieldset><legend>shown</legend>{boxes}</fieldset>
{"".join(articles)}
</body>
</html>
"""
