"""The pages of a finished run, and what the report of Snakemake itself shows of it."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from accessible import Page
from tiny_runs import OVERLAYS
from workflow_runs import ROOT, snakemake

RESULTS = Path("results/demo")


@pytest.fixture(scope="module")
def report(tiny):
    return (tiny / RESULTS / "report.html").read_text(encoding="utf-8")


def test_everybody_can_use_the_report(report):
    assert Page(report).problems() == []


def test_every_link_of_the_report_leads_to_a_file(tiny, report):
    links = [link for link in Page(report).links if not link.startswith("#")]
    assert {"gallery/index.html", "tables/metrics.tsv", "figures/metrics.pdf"} <= set(links)
    assert [link for link in links if not (tiny / RESULTS / link).exists()] == []


def test_the_report_says_first_which_run_it_is_and_how_good(report):
    short, _, rest = report.partition('<h2 id="scores">')
    assert rest
    for text in ("<dd>demo</dd>", "simulated", "<dd>subj01</dd>", "floor: shuffled", "worst"):
        assert text in short
    assert "--profile profiles/demo" in short


def test_the_gallery_has_a_strip_for_each_image(tiny):
    page = (tiny / RESULTS / "gallery/index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, flags=re.S)[1])
    strips = (tiny / RESULTS / "gallery/pictures/subj01").glob("*.webp")
    assert sorted(int(path.stem) for path in strips) == data["ids"]
    assert set(data["captions"]) == set(map(str, data["ids"]))


def test_results_load_as_the_pages_say(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    for page in ("README.md", "docs/results.md"):
        names: dict = {}
        for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.S):
            exec(block, names)
        assert set(names["metrics"]["kind"]) == {"system", "floor", "ceiling"}
        assert names["metrics"].notna()[["kind", "unit", "better"]].all(axis=None)
    assert len(names["images"]) == len(names["nsd_id"]) == len(names["latents"]) > 0


def test_the_console_says_how_long_the_run_still_takes(tiny):
    console = (tiny / "console.txt").read_text()
    jobs = len(re.findall(r"^Finished jobid", console, flags=re.M))
    left = re.findall(r"^About (?:a minute|[\d.]+ (?:min|h)) left", console, flags=re.M)
    assert len(left) == jobs - 1 > 20


def test_the_report_of_snakemake_shows_the_results(tiny, tmp_path):
    output = tmp_path / "snakemake.zip"
    done = snakemake(tiny, "--profile", "profiles/demo", "--report", str(output), overlays=OVERLAYS)
    assert done.returncode == 0, done.stderr[-4000:]
    with zipfile.ZipFile(output) as archive:
        names = [Path(name).name for name in archive.namelist()]
    figures = {"metrics.png", "extremes_subj01.png", "regression_subj01.png", "rulegraph.svg"}
    assert figures | {"metrics.tsv", "usage.tsv", "report.html"} <= set(names)
