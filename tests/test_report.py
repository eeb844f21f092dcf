import base64
import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from accessible import Page
from nsdrecon.errors import InputError
from nsdrecon.evaluation.published import PUBLISHED
from nsdrecon.evaluation.tables import (
    Cell,
    Layout,
    described,
    readable,
    readable_contrasts,
    readable_holdout,
    readable_published,
    voxels_used,
    write_latex,
    write_markdown,
)
from nsdrecon.metrics import DISTANCE, NetworkMetric, configured_metrics
from nsdrecon.pages.provenance import code_version, devices_used, measured
from nsdrecon.pages.report import (
    Facts,
    Folded,
    Links,
    Note,
    Picture,
    Section,
    Table,
    settings_table,
    write_report,
)
from nsdrecon.pages.summary import best_systems, contrasts_in_words, warnings
from nsdrecon.store import write_arrays

COLUMNS = [
    *configured_metrics("brain-diffuser", []),
    NetworkMetric("CLIP-small", "networks:clip"),
    NetworkMetric("SwAV", "networks:swav", DISTANCE),
]
LAYOUT = Layout(
    {"vdvae": "VDVAE", "sd-ddpm": "Stable Diffusion", "vd-ddim": "not scored"},
    {"flat-grey": "flat grey"},
    {"oracle-vae": "VAE of the seen image"},
)


def metrics():
    values = {
        "vdvae": (0.3, 0.4, 0.7, 0.5),
        "sd-ddpm": (0.2, 0.5, 0.9, 0.4),
        "flat-grey": (0.0, 0.55, 0.5, 1.0),
        "oracle-vae": (0.9, 0.9, 1.0, 0.1),
    }
    rows = [
        {
            "subject": subject,
            "system": system,
            "protocol": "brain-diffuser",
            "metric": column.name,
            "mean": mean,
            "ci_low": mean - 0.01,
            "ci_high": mean + 0.01,
            "n_images": 40,
            "n_subjects": 2 if subject == "pooled" else 1,
            "n_undefined": 40 * (system == "flat-grey" and column.name == "PixCorr"),
        }
        for subject in ("subj01", "subj02", "pooled")
        for system, means in values.items()
        for column, mean in zip(COLUMNS, means, strict=True)
    ]
    return pd.DataFrame(rows)


def line_of(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


def test_markdown_table(tmp_path):
    write_markdown(metrics(), tmp_path / "metrics.md", columns=COLUMNS, layout=LAYOUT)
    text = (tmp_path / "metrics.md").read_text()
    assert re.findall("^## (.*)$", text, flags=re.MULTILINE) == [
        "subj01, 40 images",
        "subj02, 40 images",
        "2 subjects, pooled, 40 images",
    ]
    part = text.split("## ")[-1]
    assert line_of(part, "| system") == (
        "| system | PixCorr ↑ | SSIM ↑ | CLIP-small (%) ↑ | SwAV ↓ |"
    )
    assert line_of(part, "| Stable") == (
        "| Stable Diffusion | 0.200 [0.190, 0.210] | **0.500** [0.490, 0.510] "
        "| **90.0** [89.0, 91.0] | **0.400** [0.390, 0.410] |"
    )
    # Floors and ceilings never win, and undefined correlations are marked and explained.
    assert "**" not in line_of(part, "| flat grey")
    assert "**" not in line_of(part, "| VAE of the seen image")
    assert "0.000* [" in line_of(part, "| flat grey")
    assert "not scored" not in text
    assert "they count as no relation" in text


def test_published_values_stand_only_under_their_own_metric(tmp_path):
    write_markdown(
        metrics(), tmp_path / "m.md", columns=COLUMNS, layout=LAYOUT, published=PUBLISHED
    )
    text = (tmp_path / "m.md").read_text()
    assert text.count("Brain-Diffuser") == 1
    # No published CLIP under CLIP-small; SwAV has the paper's name.
    assert line_of(text, "| Brain-Diffuser") == "| Brain-Diffuser [a] | 0.254 | 0.356 | – | 0.423 |"
    assert "computed under protocol mindeye, not comparable" in line_of(text, "[b]")
    assert "1,000 images (40 sessions)" in line_of(text, "[c]")
    leak = line_of(text, "[e]")
    assert "Not comparable: in the code as published, the second stage starts from latents" in leak
    assert "encoded from the test images themselves" in leak
    assert text.count("NaturalScenesReconstruction, ") == 2


def test_latex_table(tmp_path):
    options = {"columns": COLUMNS, "layout": LAYOUT, "published": PUBLISHED}
    options["note"] = "Of simulated images."
    write_latex(metrics(), tmp_path / "m.tex", subject="pooled", **options)
    text = (tmp_path / "m.tex").read_text()
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    rows = [line for line in body.splitlines() if " & " in line and "multicolumn" not in line]
    assert {line.count(" & ") for line in rows} == {4}
    assert "CLIP-small (\\%) $\\uparrow$" in text
    assert "SwAV $\\downarrow$" in text
    assert "\nStable Diffusion & 0.200 & \\textbf{0.500} & " in text
    assert "\n & {\\tiny [0.190, 0.210]} & {\\tiny [0.490, 0.510]} & " in text
    assert "[$-$0.010, 0.010]" in text
    # Marks are explained, notes are there, and no font or length outlives the table.
    assert "* Some correlations are undefined" in text
    assert "Of simulated images." in text
    assert text.count("\\begingroup") == text.count("\\endgroup") == 1
    assert "Brain-Diffuser\\textsuperscript{a} & 0.254 & 0.356 & -- & 0.423" in text
    assert not re.search(r"(?<!\\)%(?!.*2 subjects)", text.split("\n", 1)[1])
    with pytest.raises(InputError, match="expected 'subj05'"):
        write_latex(metrics(), tmp_path / "m.tex", subject="subj05", **options)


def test_latex_takes_no_commands_from_titles(tmp_path):
    layout = replace(LAYOUT, systems=dict.fromkeys(LAYOUT.systems, r"\input{a}~b^c"))
    options = {"columns": COLUMNS, "layout": layout, "subject": "pooled"}
    write_latex(metrics(), tmp_path / "m.tex", **options)
    text = (tmp_path / "m.tex").read_text()
    assert "\n\\textbackslash{}input\\{a\\}\\textasciitilde{}b\\textasciicircum{}c & " in text


def test_voxels_used_stand_beside_those_of_published_pipelines(tmp_path):
    voxels = {"voxel": np.zeros((1200, 3), np.int32)}
    write_arrays(tmp_path / "test.h5", np.arange(1200), voxels, {"voxels_in_mask": 1225})
    text = voxels_used({"subj01": tmp_path / "test.h5"})
    assert text.startswith("Voxels used: subj01 1,200 of 1,225. Left out")
    assert text.endswith("15,724 in subject 1.")


def test_protocols_are_never_mixed(tmp_path):
    mixed = metrics()
    mixed.loc[3, "protocol"] = "mindeye"
    with pytest.raises(InputError, match="rows of one protocol"):
        write_markdown(mixed, tmp_path / "m.md", columns=COLUMNS, layout=LAYOUT)


def test_table_for_a_page():
    table = readable(metrics(), "subj01", COLUMNS, LAYOUT)
    assert table["system"].tolist() == [
        "VDVAE",
        "Stable Diffusion",
        "flat grey",
        "VAE of the seen image",
    ]
    groups = ["Reconstructions"] * 2 + ["Floors", "Ceilings (know the seen image)"]
    assert table["group"].tolist() == groups
    assert table["CLIP-small (%) ↑"][1] == Cell("90.0", "[89.0, 91.0]", best=True)
    assert not table["CLIP-small (%) ↑"][0].best


def test_published_values_for_a_page_have_their_footnotes():
    rows, notes = readable_published(PUBLISHED, "brain-diffuser")
    for system in rows["system"]:
        assert sum(note.startswith(system[-3:]) for note in notes) == 1, system
    values = rows.set_index("system").loc["NaturalScenesReconstruction, DDPM [e]"]
    assert values[["PixCorr ↑", "SSIM ↑", "CLIP (%) ↑"]].tolist() == ["0.562", "0.467", "–"]
    assert rows["AlexNet(2) (%) ↑"][0] == "94.2"
    assert "Not comparable" in notes[-1]
    assert "computed under protocol mindeye" in notes[1]
    _, notes = readable_published(PUBLISHED, "mindeye")
    assert "computed under protocol brain-diffuser" in notes[0]


def test_holdout_for_a_page():
    parts = [
        metrics().assign(training=training, images=images, n_images=n)
        for training in ("all clusters", "clusters left out")
        for images, n in (("left-out clusters", 15), ("other clusters", 25))
    ]
    table = pd.concat(part[part["system"] == "vdvae"] for part in parts)
    shown = readable_holdout(table, "pooled", COLUMNS, LAYOUT.systems)
    assert shown["system"].tolist() == ["VDVAE"] * 4
    assert shown["training"].tolist() == ["all clusters"] * 2 + ["clusters left out"] * 2
    assert shown["test images"].tolist() == ["left-out clusters (15)", "other clusters (25)"] * 2
    assert shown["CLIP-small (%) ↑"].map(str).tolist() == ["70.0 [69.0, 71.0]"] * 4


def test_contrasts_for_a_page():
    row = {"contrast": "DDPM - DDIM", "metric": "SSIM", "difference": -0.0001}
    row |= {"ci_low": -0.002, "ci_high": 0.002, "p_holm": 0.0004}
    shown = readable_contrasts(pd.DataFrame([row]), COLUMNS[:2])
    assert shown["SSIM ↑"][0] == Cell("0.000", "[-0.002, 0.002] p<0.001", best=True)


def test_rows_of_the_table_for_programs_say_what_they_are():
    table = described(metrics(), COLUMNS, LAYOUT)
    assert table.drop(columns=["kind", "unit", "better"]).equals(metrics())
    found = table.set_index(["subject", "system", "metric"]).loc["pooled"]
    keys = ["kind", "unit", "better"]
    assert found.loc[("sd-ddpm", "CLIP-small"), keys].tolist() == ["system", "share", "higher"]
    assert found.loc[("flat-grey", "SwAV"), keys].tolist() == ["floor", "none", "lower"]
    assert found.loc[("oracle-vae", "SSIM"), "kind"] == "ceiling"


def test_published_rows_are_complete():
    by_name = {result.system: result for result in PUBLISHED}
    assert by_name["Brain-Diffuser"].values["EffNet-B"] == 0.775
    for result in PUBLISHED:
        assert result.source
        assert result.certainty
        assert result.test_set
        assert all(0 < value < 1 for value in result.values.values())
        assert bool(result.caution) == (result.protocol == "")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "figure.png"
    Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(path)
    return path


def report(tmp_path, *parts, title="Title", footer=""):
    path = tmp_path / "results" / "report.html"
    section = Section("One part", parts)
    write_report(path, title=title, head=["Head"], sections=[section], footer=footer)
    return path.read_text(encoding="utf-8")


def test_report_needs_nothing_but_itself(tmp_path, picture):
    (tmp_path / "dag.svg").write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x" "y.dtd">\n'
        '<svg viewBox="0 0 1 1"><text id="node1">rule</text></svg>\n'
    )
    picture.with_suffix(".pdf").touch()
    cell = Cell("0.5", "[0.4, 0.6]", best=True)
    rows = {"group": ["A", "B"], "system": ["a", "b"], "SSIM": [0.12345, np.nan], "n": [cell, 3]}
    text = report(
        tmp_path,
        "Two paragraphs.\n\nThe second.",
        Picture(picture, "A picture. More of it", legible=True),
        Folded("More", [Picture(tmp_path / "dag.svg", "The rules", legible=True)]),
        Table(pd.DataFrame(rows), "A table. With words"),
        Note("Simulated data."),
        Facts({"run": "demo"}),
        Links({tmp_path / "logs": "a log for each job"}),
        footer="torch 2",
    )
    embedded = base64.b64encode(picture.read_bytes()).decode()
    assert f'src="data:image/png;base64,{embedded}"' in text
    assert 'alt="A picture"' in text
    assert '<svg role="img" aria-label="The rules" viewBox="0 0 1 1">' in text
    assert "y.dtd" not in text
    assert "node1" not in text
    assert "<p>The second.</p>" in text
    assert '<div class="note"><p>Simulated data.</p></div>' in text
    assert "<dt>run</dt><dd>demo</dd>" in text
    assert "<summary>More</summary>" in text
    # Files are named from where the page lies.
    assert '<a href="../figure.pdf">PDF</a>' in text
    assert '<li><a href="../logs">../logs</a> a log for each job</li>' in text
    assert not re.search(r"<script|<link|https?://", text)
    page = Page(text)
    assert page.problems() == []
    assert page.titles == ["Title"]
    assert "#one-part" in page.links


def test_tables_of_the_report(tmp_path):
    cell = Cell("0.5", "[0.4, 0.6]", best=True)
    rows = {"group": ["A", "B"], "system": ["a", "b"], "SSIM": [0.12345, np.nan], "n": [cell, 3]}
    text = report(tmp_path, Table(pd.DataFrame(rows), "A table"))
    assert re.findall('class="group".*?>(.)<', text) == ["A", "B"]
    assert re.findall('<th scope="row">(.)</th>', text) == ["a", "b"]
    assert "<td>0.123</td><td><strong>0.5</strong><small>[0.4, 0.6]</small></td>" in text
    assert "<td>–</td><td>3</td>" in text


def test_report_escapes_text(tmp_path, picture):
    text = report(
        tmp_path,
        "a < b & c",
        Picture(picture, 'said "x" <y>'),
        Table(pd.DataFrame({"<h>": ["<v>"]}), "<c>"),
        title="<t>",
    )
    for escaped in (
        "a &lt; b &amp; c",
        "&lt;y&gt;",
        "&lt;h&gt;",
        "&lt;v&gt;",
        "&lt;c&gt;",
        "&lt;t&gt;",
    ):
        assert escaped in text
    assert 'alt="said &quot;x&quot;' in text


def test_settings_beside_their_defaults():
    settings = {"seed": 3, "nsd": {"sessions": [1, 2], "keep": False}, "x": None, "m": {"a": {}}}
    changed, every = settings_table(settings, {"seed": 0, "nsd.keep": False, "x": None, "m": {}})
    assert every.to_numpy().tolist() == [
        ["seed", "3", "0"],
        ["nsd.sessions", "[1, 2]", "none, must be given"],
        ["nsd.keep", "false", "false"],
        ["x", "null", "null"],
        ["m", "{a: {}}", "{}"],
    ]
    assert changed["setting"].tolist() == ["seed", "nsd.sessions", "m"]


def test_best_systems_stand_between_floor_and_ceiling():
    rows = pd.concat(
        [metrics(), metrics().query("system == 'flat-grey'").assign(system="shuffled-sd-ddpm")]
    )
    layout = Layout(LAYOUT.systems, {"shuffled-sd-ddpm": "own floor"}, {})
    table = best_systems(rows, "pooled", COLUMNS, layout)
    best = {cell.value: cell.interval for cell in table["metric, best system"]}
    assert best["SSIM ↑"] == best["SwAV ↓"] == "Stable Diffusion"
    assert best["PixCorr ↑"] == "VDVAE"
    table.index = [cell.value for cell in table.pop("metric, best system")]
    assert table.loc["SSIM ↑", "score"] == Cell("0.500", "[0.490, 0.510]")
    assert table.loc["SSIM ↑", "floor: shuffled"] == Cell("0.550", "[0.540, 0.560]")
    assert table["ceiling: true latents"].isna().all()


def test_contrasts_in_words():
    rows = [("PixCorr", -0.02, 0.01), ("SSIM", 0.001, 0.9), ("CLIP-small", 0.03, 0.04)]
    rows += [("SwAV", -0.1, 0.001)]
    table = pd.DataFrame(rows, columns=["metric", "difference", "p_holm"])
    table = table.assign(subject="pooled", contrast="x", system="sd-ddpm", baseline="vdvae")
    (said,) = contrasts_in_words(table, "pooled", COLUMNS, LAYOUT.systems)
    assert said == (
        "Stable Diffusion against VDVAE: better in CLIP-small (+3.0 points), SwAV (-0.100); "
        "worse in PixCorr (-0.020); no clear difference in SSIM."
    )


def test_warnings_name_what_a_reader_must_beware_of(tmp_path):
    grid = {"alpha_grid": np.array([1.0, 10, 100, 1000]), "alpha": np.array([1.0, 10, 1000, 10])}
    for name, alpha in (("ends", grid["alpha"]), ("inside", np.full(4, 10.0))):
        write_arrays(tmp_path / f"{name}.h5", np.arange(4), grid | {"alpha": alpha})
    voxels = {"voxel": np.zeros((8, 3), np.int32)}
    write_arrays(tmp_path / "test.h5", np.arange(8), voxels, {"voxels_in_mask": 10})
    files = {
        "weights": {name: tmp_path / f"{name}.h5" for name in ("ends", "inside")},
        "responses": {"subj01": tmp_path / "test.h5"},
    }
    floors, undefined, penalties, dropped = warnings(metrics(), COLUMNS, LAYOUT, **files)
    assert (
        "SSIM: flat grey (0.550) is better than VDVAE (0.400), Stable Diffusion (0.500)." in floors
    )
    assert "PixCorr is undefined" in undefined
    assert "flat grey (40)" in undefined
    assert penalties.endswith("by share of the targets: ends 50%.")
    assert "subj01 2 of 10" in dropped


def test_when_and_on_what_a_run_was_computed(tmp_path):
    assert measured(tmp_path) is None
    for number, (end, seconds) in enumerate(((5000, 1800), (9000, 3600))):
        path = tmp_path / "rule" / f"{number}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t1.0\n")
        os.utime(path, (end, end))
    for name, text in (("empty", ""), ("killed", "s\th:m:s\tmax_rss\n")):
        (tmp_path / f"rule/{name}.tsv").write_text(text)
    found = measured(tmp_path)
    assert (found.jobs, found.hours) == (2, 1.5)
    assert (found.begin.timestamp(), found.end.timestamp()) == (3200, 9000)
    for name, device in (("a", "cuda (NVIDIA H100)"), ("b", "cpu (4 threads)"), ("c", "cpu (1)")):
        (tmp_path / f"{name}.log").write_text(f"10:00:00 INFO nsdrecon.devices: device: {device}\n")
    assert devices_used(tmp_path) == ["CPU", "NVIDIA H100"]


def test_code_of_no_clone_has_no_version(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "no clone" in code_version(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "found no file"),
        ("figure.gif", b"GIF", "expected PNG or SVG"),
        ("empty.svg", b"<html></html>", "no svg element"),
    ],
)
def test_pictures_that_cannot_be_shown(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        report(tmp_path, Picture(tmp_path / name, "A picture"))
    assert not (tmp_path / "results" / "report.html").exists()
