import base64
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nsdrecon.errors import InputError
from nsdrecon.evaluation.published import PUBLISHED
from nsdrecon.evaluation.tables import (
    Layout,
    readable,
    readable_contrasts,
    readable_holdout,
    readable_published,
    voxels_used,
    write_latex,
    write_markdown,
)
from nsdrecon.metrics import DISTANCE, NetworkMetric, configured_metrics
from nsdrecon.pages.report import Note, Picture, Section, Table, settings_table, write_report
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
    assert table["kind"].tolist() == ["reconstruction", "reconstruction", "floor", "ceiling"]
    assert table["CLIP-small (%) ↑"][1] == "90.0 [89.0, 91.0]"


def test_published_values_for_a_page_have_their_footnotes():
    rows, notes = readable_published(PUBLISHED, "brain-diffuser")
    for system in rows["system"]:
        assert sum(note.startswith(system[-3:]) for note in notes) == 1, system
    values = rows.set_index("system").loc["NaturalScenesReconstruction, DDPM [e]"]
    assert values[["PixCorr", "SSIM", "CLIP"]].tolist() == ["0.562", "0.467", "–"]
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
    assert shown["CLIP-small (%) ↑"].tolist() == ["70.0 [69.0, 71.0]"] * 4


def test_contrasts_for_a_page():
    row = {"contrast": "DDPM - DDIM", "metric": "SSIM", "difference": -0.0001}
    row |= {"ci_low": -0.002, "ci_high": 0.002, "p_holm": 0.0004}
    shown = readable_contrasts(pd.DataFrame([row]), COLUMNS[:2])
    assert shown["SSIM ↑"].tolist() == ["0.000 [-0.002, 0.002] p<0.001"]


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


def report(tmp_path, *parts, **options):
    path = tmp_path / "report.html"
    fields = {"title": "Title", "summary": "Summary", **options}
    write_report(path, sections=[Section("One part", parts)], **fields)
    return path.read_text(encoding="utf-8")


def test_report_needs_nothing_but_itself(tmp_path, picture):
    (tmp_path / "dag.svg").write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x" "y.dtd">\n'
        '<svg viewBox="0 0 1 1"><text>rule</text></svg>\n'
    )
    table = Table(pd.DataFrame({"system": ["a"], "SSIM": [0.12345], "n": [3]}), "A table")
    text = report(
        tmp_path,
        "Two paragraphs.\n\nThe second.",
        Picture(picture, "A picture"),
        Picture(tmp_path / "dag.svg", "The rules"),
        table,
        Note("Simulated data."),
        footer="torch 2",
    )
    embedded = base64.b64encode(picture.read_bytes()).decode()
    assert f'src="data:image/png;base64,{embedded}"' in text
    assert '<svg viewBox="0 0 1 1">' in text
    assert "y.dtd" not in text
    assert "<p>The second.</p>" in text
    assert "<td>0.123</td>" in text
    assert '<div class="note"><p>Simulated data.</p></div>' in text
    assert text.count("<figcaption>") == 2
    assert '<a href="#one-part">' in text
    assert '<section id="one-part">' in text
    assert not re.search(r"<script|<link|https?://", text)
    assert re.search(r"<caption>A table</caption>\s*<thead>", text)


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


def test_missing_numbers_are_dashes(tmp_path):
    text = report(tmp_path, Table(pd.DataFrame({"a": [np.nan, 1.0]}), ""))
    assert "<td>–</td>" in text


def test_settings_become_a_flat_table():
    table = settings_table(
        {"seed": 0, "nsd": {"format": "hdf5", "sessions": [1, 2]}, "x": None}, ""
    )
    assert table.data.to_numpy().tolist() == [
        ["seed", "0"],
        ["nsd.format", "hdf5"],
        ["nsd.sessions", "1, 2"],
        ["x", "none"],
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.png", None, "found no file"),
        ("figure.gif", b"GIF", "expected PNG, JPEG or SVG"),
        ("empty.svg", b"<html></html>", "no svg element"),
    ],
)
def test_pictures_that_cannot_be_shown(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        report(tmp_path, Picture(tmp_path / name, "A picture"))
    assert not (tmp_path / "report.html").exists()
