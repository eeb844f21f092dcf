"""The gallery of a full run in a browser: time to the first picture, memory, requests, errors.

A simulated set as large as NSD's: 982 images, 4 subjects, 9 systems with floors and ceilings, eight
metrics. The page is opened in a headless Chromium, its pages are turned and its order is changed.
Run with ``python -m benchmarks.bench_gallery``; it fails where a limit is broken.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import SCRIPTS  # noqa: F401  (puts the library on the path)
from nsdrecon.metrics import METRICS, PROTOCOLS
from nsdrecon.pages.gallery import gallery_columns, write_gallery, write_strips
from nsdrecon.run import FLOORS
from nsdrecon.store import write_arrays

IMAGES, SUBJECTS, SYSTEMS, CEILINGS = 982, 4, 9, 3
DRAWN = 16  # strips that are made; the others are copies of them
MOST_SECONDS, MOST_MB = 2.0, 200.0
MOST_WAITING = 60  # seconds for all that the probe does

# Runs in a copy of the page after its own program, and leaves what it found in the title.
PROBE = """<script>
(async () => {
  const strip = document.querySelector(".picture").style.backgroundImage.slice(5, -2);
  const image = new Image();
  image.src = strip;
  await image.decode();
  await new Promise((done) => requestAnimationFrame(done));
  const first = performance.now();
  const times = [];
  for (const order of ["best", "median", "worst", "number"]) {
    const begin = performance.now();
    form.elements.order.value = order;
    form.dispatchEvent(new Event("input"));
    for (const button of document.querySelectorAll("button[data-step='1']")) button.click();
    times.push(performance.now() - begin);
    await new Promise((done) => setTimeout(done, 300));
  }
  const outside = performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("file:"));
  document.title = JSON.stringify({ first, slowest: Math.max(...times), outside });
})();
</script></body>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="chromium", help="a Chromium or Chrome")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = simulated(Path(folder))
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("</body>", PROBE), encoding="utf-8")
        pictures = sum(path.stat().st_size for path in Path(folder).rglob("*.webp"))
        files = IMAGES * SUBJECTS
        print(f"page {len(text) / 1e6:.1f} MB, {files} strips of {pictures / 1e6:.0f} MB")
        found, peak, errors = opened(page, arguments.browser, Path(folder) / "profile")
    print(f"first picture after {found['first'] / 1000:.2f} s (limit {MOST_SECONDS})")
    print(f"other order and next page within {found['slowest'] / 1000:.2f} s")
    print(f"memory of the page's process {peak:.0f} MB (limit {MOST_MB:.0f})")
    print(f"requests outside: {found['outside'] or 'none'}; errors: {errors or 'none'}")
    if found["first"] > 1000 * MOST_SECONDS or peak > MOST_MB or found["outside"] or errors:
        raise SystemExit("a limit is broken")


def simulated(folder: Path) -> Path:
    """A gallery of a full run with drawn pictures; its page."""
    random = np.random.default_rng(0)
    ids = np.sort(random.choice(73000, IMAGES, replace=False))
    systems = {f"system-{n}": f"Backbone {n}, DDPM" for n in range(SYSTEMS)}
    ceilings = {f"oracle-{n}": f"Backbone {n}, oracle" for n in range(CEILINGS)}
    columns = gallery_columns(systems, FLOORS, ceilings)
    names = [column.name for column in columns[1:]]
    for number in range(SUBJECTS):
        strips(folder / f"gallery/pictures/subj{number:02d}", ids, names, random)
    metrics = [row for row in METRICS if row.published and row.protocol in (None, PROTOCOLS[0])]

    def table() -> pd.DataFrame:
        values = random.random((IMAGES, len(metrics)))
        scores = pd.DataFrame(values, columns=[row.name for row in metrics])
        return scores.assign(nsd_id=ids, sample=0)

    page = folder / "gallery/index.html"
    write_gallery(
        page,
        title="A full run",
        pictures="pictures",
        columns=columns,
        metrics=metrics,
        scores={f"subj{n:02d}": {name: table() for name in names} for n in range(SUBJECTS)},
        chosen={},
        captions={int(image): ["a person doing a thing in a place"] * 5 for image in ids},
    )
    return page


def strips(folder: Path, ids: np.ndarray, names: list[str], random: np.random.Generator) -> None:
    """Strips of smooth random pictures at the size of NSD's, each used for many images."""
    with tempfile.TemporaryDirectory() as place:
        coarse = random.integers(0, 256, (DRAWN, 12, 12, 3), dtype=np.uint8)
        images = np.stack([np.asarray(Image.fromarray(c).resize((425, 425))) for c in coarse])
        write_arrays(Path(place) / "seen.h5", ids[:DRAWN], {"images": images})
        write_arrays(Path(place) / "system.h5", ids[:DRAWN], {"images": images[:, None]})
        reconstructions = dict.fromkeys(names, Path(place) / "system.h5")
        write_strips(
            folder,
            stimuli=Path(place) / "seen.h5",
            reconstructions=reconstructions,
            samples={},
        )
    for number, image in enumerate(ids[DRAWN:]):
        os.link(folder / f"{ids[number % DRAWN]}.webp", folder / f"{image}.webp")


def opened(page: Path, browser: str, profile: Path) -> tuple[dict, float, list[str]]:
    """What the probe found, the peak memory of the page's process (MB), errors of the console."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", page.as_uri()]
    peak, found, start = 0.0, None, time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            while found is None and time.monotonic() - start < MOST_WAITING:
                time.sleep(0.1)
                peak = max(peak, page_memory(str(profile)))
                found = next((t for t in titles(profile) if t.startswith("{")), None)
        finally:
            process.terminate()
            process.wait()
        said.seek(0)
        errors = [line for line in said.read().splitlines() if "CONSOLE" in line]
    if found is None:
        raise SystemExit("the page did not finish its work")
    return json.loads(found), peak, errors


def titles(profile: Path) -> list[str]:
    """Titles of the pages that a browser has open."""
    try:
        port = (profile / "DevToolsActivePort").read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
            return [html.unescape(target["title"]) for target in json.load(answer)]
    except OSError:  # it is not up yet
        return []


def page_memory(profile: str) -> float:
    """Memory of the browser's process that draws the page, shared parts by their share, in MB.

    It keeps an empty one ready besides.
    """
    largest = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            if profile in command and "--type=renderer" in command:
                lines = (process / "smaps_rollup").read_text().splitlines()
                shares = (line.split()[1] for line in lines if line.startswith("Pss:"))
                largest = max(largest, sum(map(int, shares)) / 1e3)
        except OSError:  # it ended meanwhile
            continue
    return largest


if __name__ == "__main__":
    main()
