import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nsdrecon.errors import InputError
from nsdrecon.evaluation.tables import Layout
from nsdrecon.metrics import DISTANCE, NetworkMetric, PixelMetric
from nsdrecon.pages.figures import pictures, scores
from nsdrecon.pages.figures.drawing import COLOURS, evenly_spaced
from nsdrecon.pages.figures.pictures import (
    extremes_figure,
    reconstructions_figure,
    samples_figure,
)
from nsdrecon.pages.figures.regression import noise_ceiling_figure, regression_figure
from nsdrecon.pages.figures.scores import (
    contrasts_figure,
    curves_figure,
    dots_figure,
    retrieval_figure,
    scatter_figure,
)
from nsdrecon.store import read_array, write_arrays
from small_pictures import NSD_ID, write_system


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_chosen_images_are_spread_and_repeatable():
    assert evenly_spaced(NSD_ID, 4).tolist() == [2, 8, 41, 300]
    assert evenly_spaced(NSD_ID[::-1], 4).tolist() == [2, 8, 41, 300]
    assert evenly_spaced(NSD_ID, 50).tolist() == sorted(NSD_ID)
    assert evenly_spaced(NSD_ID, 1).tolist() == [2]


def test_reconstructions_figure_shows_the_right_pictures(tmp_path, stimuli, system, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "_show", lambda panel, image: shown.append(image))
    chosen = np.array([41, 7, 300])
    caption = reconstructions_figure(
        stimuli,
        {"stage 2": system},
        tmp_path / "figure.png",
        nsd_id=chosen,
        choice="evenly spaced through the sorted ids",
        subject="subj01",
    )
    expected = [
        *read_array(stimuli, "images", chosen),
        *read_array(system, "images", chosen)[:, 0],
    ]
    assert len(shown) == 6
    assert all(np.array_equal(one, other) for one, other in zip(shown, expected, strict=True))
    assert "3 images, evenly spaced through the sorted ids" in caption


def test_samples_figure_shows_the_chosen_sample(tmp_path, stimuli, system, monkeypatch):
    shown = []
    monkeypatch.setattr(pictures, "_show", lambda panel, image: shown.append(image))
    mean = np.full((10, 40, 40, 3), 9, np.uint8)
    spread = np.zeros((10, 40, 40), np.float32)
    spread[NSD_ID == 41, 3, 5] = 30
    choice = np.arange(10) % 2
    write_arrays(
        tmp_path / "samples.h5",
        NSD_ID,
        {"mean": mean, "uncertainty": spread, "chosen": choice},
    )
    caption = samples_figure(
        stimuli,
        system,
        tmp_path / "samples.h5",
        tmp_path / "figure.png",
        nsd_id=np.array([41, 2]),
        choice="two",
        title="subj01: SD",
    )
    images = read_array(system, "images", np.array([41, 2]))
    np.testing.assert_array_equal(shown[2], images[0, 1])
    np.testing.assert_array_equal(shown[3], images[1, 0])
    np.testing.assert_array_equal(shown[4], mean[0])
    # Black where the samples agree, the brightest colour where they differ most.
    assert shown[6].max(axis=2)[3, 5] > 200
    assert shown[7].max() < 10
    assert "of 2 samples" in caption
    assert "to 30 grey levels" in caption


def test_reconstructions_figure_is_drawn(tmp_path, stimuli, system):
    options = {"nsd_id": NSD_ID[:2], "choice": "the first", "subject": "subj01"}
    reconstructions_figure(stimuli, {"stage 2": system}, tmp_path / "a.png", **options)
    reconstructions_figure(stimuli, {"stage 2": system}, tmp_path / "b.png", **options)
    image = pixels(tmp_path / "a.png")
    # Mosaics of all colours: most of the figure is neither white nor grey.
    assert (np.ptp(image, axis=2) > 30).mean() > 0.4
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_image_that_a_system_lacks(tmp_path, stimuli):
    write_system(tmp_path / "few.h5", NSD_ID[:5])
    with pytest.raises(InputError, match=r"few\.h5: found no row for nsd_id 90"):
        reconstructions_figure(
            stimuli,
            {"stage 2": tmp_path / "few.h5"},
            tmp_path / "figure.png",
            nsd_id=np.array([90]),
            choice="",
            subject="subj01",
        )
    assert not (tmp_path / "figure.png").exists()


PIXCORR, SWAV = PixelMetric("PixCorr", "pixels:f"), NetworkMetric("SwAV", "networks:f", DISTANCE)
SSIM = PixelMetric("SSIM", "pixels:f")


def metrics():
    means = {"sd-ddpm": 0.5, "shuffled-sd-ddpm": 0.1, "flat-grey": 0.2, "oracle-sd-ddpm": 0.9}
    rows = [
        (subject, system, metric, mean)
        for subject in ("subj01", "pooled")
        for metric in ("PixCorr", "SwAV")
        for system, mean in means.items()
    ]
    table = pd.DataFrame(rows, columns=["subject", "system", "metric", "mean"])
    n_subjects = table["subject"].map({"subj01": 1, "pooled": 2})
    ends = {"ci_low": table["mean"] - 0.05, "ci_high": table["mean"] + 0.05}
    return table.assign(n_subjects=n_subjects, **ends)


LAYOUT = Layout(
    {"sd-ddpm": "Stable Diffusion", "vd-ddpm": "not scored"},
    {"flat-grey": "flat grey", "shuffled-sd-ddpm": "own floor"},
    {"oracle-sd-ddpm": "own ceiling"},
)


def letters(drawing):
    return re.findall(r"<!-- (.*?) -->", drawing.read_text())


@pytest.mark.parametrize("values", [(1, 4), (1000, "loo")])
def test_curves_run_over_numbers_and_words_with_their_floors(tmp_path, values):
    table = pd.concat(metrics().assign(value=value) for value in values)
    options = {"by": "value", "xlabel": "penalty", "metrics": ["PixCorr", "SwAV"]}
    labels = {"sd-ddpm": "Stable Diffusion", "vd-ddpm": "not scored"}
    output = tmp_path / "curves.svg"
    caption = curves_figure(table, output, **options, labels=labels, against="a penalty")
    assert caption.startswith("pooled: scores against a penalty.")
    assert {"Stable Diffusion", *map(str, values)} <= set(letters(output))
    assert "not scored" not in letters(output)


def test_a_curve_shows_the_pooled_rows_though_one_subject_goes_on(tmp_path):
    parts = [metrics().assign(value=value) for value in (1, 4)]
    parts.append(metrics().query("subject == 'subj01'").assign(value=9))
    options = {"by": "value", "xlabel": "sessions", "metrics": ["PixCorr"], "against": "sessions"}
    output = tmp_path / "curves.svg"
    caption = curves_figure(pd.concat(parts), output, **options, labels={"sd-ddpm": "SD"})
    assert caption.startswith("pooled")
    assert {"1", "4"} <= set(letters(output))
    assert "9" not in letters(output)
    assert "Not shown" not in caption


def test_a_curve_is_of_the_same_subjects_at_all_its_values(tmp_path):
    """Those of other means would look like a rise or a fall."""
    parts = [metrics().assign(value=value, n_subjects=8) for value in (1, 20)]
    parts += [metrics().assign(value=value, n_subjects=2) for value in (30, 37)]
    options = {"by": "value", "xlabel": "sessions", "metrics": ["PixCorr"], "against": "sessions"}
    output = tmp_path / "curves.svg"
    caption = curves_figure(pd.concat(parts), output, **options, labels={"sd-ddpm": "SD"})
    assert {"1", "20"} <= set(letters(output))
    assert not {"30", "37"} & set(letters(output))
    assert caption.endswith("Not shown, as fewer subjects have a value there: sessions 30, 37.")


def test_dots_between_floors_and_ceilings(tmp_path):
    output = tmp_path / "dots.svg"
    options = {"subject": "pooled", "columns": [PIXCORR, SWAV], "layout": LAYOUT}
    assert "all subjects pooled" in dots_figure(metrics(), output, **options)
    texts = letters(output)
    for text in ("Stable Diffusion", "flat grey", "PixCorr ↑", "SwAV ↓"):
        assert text in texts
    # A system's own floor and ceiling lie on its row.
    assert not {"own floor", "own ceiling", "not scored"} & set(texts)
    assert output.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_rows_of_the_dots():
    lines = scores._lines(LAYOUT, set(metrics()["system"]))
    assert [label for label, _ in lines] == ["Stable Diffusion", "flat grey"]
    assert set(lines[0][1]) == {"sd-ddpm", "shuffled-sd-ddpm", "oracle-sd-ddpm"}


def test_dots_of_a_subject_that_is_not_there(tmp_path):
    options = {"subject": "subj07", "columns": [PIXCORR], "layout": LAYOUT}
    with pytest.raises(InputError, match="found subjects subj01, pooled; expected 'subj07'"):
        dots_figure(metrics(), tmp_path / "d.png", **options)


def test_contrasts_that_are_significant_are_filled(tmp_path, monkeypatch):
    faces = []
    monkeypatch.setattr(
        scores, "_dot", lambda panel, place, *values: faces.append(values[-1]["markerfacecolor"])
    )
    row = {"subject": "pooled", "metric": "SSIM", "ci_low": -0.1, "ci_high": 0.1, "difference": 0}
    rows = [row | {"contrast": name, "p_holm": p} for name, p in (("a - b", 0.04), ("c - d", 0.06))]
    output = tmp_path / "contrasts.svg"
    contrasts_figure(pd.DataFrame(rows), output, subject="pooled", columns=[SSIM])
    assert faces == [COLOURS[0], "white"]
    assert {"a - b", "c - d"} <= set(letters(output))


def test_images_from_best_to_worst(stimuli, system, monkeypatch):
    rows = []
    monkeypatch.setattr(pictures, "_picture_grid", lambda o, columns, names, t: rows.extend(names))
    ids = np.sort(NSD_ID)
    one = pd.DataFrame(
        {"nsd_id": ids, "sample": 0, "SSIM": np.arange(10.0), "SwAV": np.arange(10.0)}
    )
    options = {"subject": "subj01"}
    for metric, worst_first in ((SSIM, True), (SWAV, False)):
        rows.clear()
        extremes_figure(stimuli, {"sd": system}, [one], "x.png", metric=metric, **options)
        order = ids if worst_first else ids[::-1]
        best, worst = order[::-1][:2], order[::-1][-2:]
        assert rows[:2] == [f"best: {image}" for image in best]
        assert rows[2] == f"median: {order[::-1][4]}"
        assert rows[4:] == [f"worst: {image}" for image in worst]


def per_image(system, values):
    ids = range(len(values))
    return pd.DataFrame({"nsd_id": ids, "subject": "subj01", "system": system, "SSIM": values})


def test_scatter_of_two_systems(tmp_path):
    first, second = per_image("vdvae", [0.1, 0.2, 0.3, 0.4]), per_image("sd", [0.2, 0.3, 0.4, 0.1])
    options = {"labels": {"vdvae": "VDVAE", "sd": "Stable Diffusion"}}
    caption = scatter_figure(first, second, [SSIM], tmp_path / "scatter.png", **options)
    assert caption.endswith("Stable Diffusion has the higher value for 75% in SSIM.")
    assert pixels(tmp_path / "scatter.png").std() > 0
    with pytest.raises(InputError, match="nsd_id 3 in one of them only"):
        scatter_figure(first, second[:3], [SSIM], tmp_path / "scatter.png", **options)
    tied = per_image("sd", [0.1, 0.2, 0.4, 0.4])
    caption = scatter_figure(first, tied, [SSIM], tmp_path / "scatter.png", **options)
    assert caption.endswith("25% in SSIM (the same for 75%).")


def test_regression_figure(tmp_path):
    parts = pd.DataFrame({"part": ["all", "0", "1"], "loo_correlation_mean": [0.25, 0.4, np.nan]})
    whole = pd.DataFrame({"part": ["all"], "loo_correlation_mean": [0.12]})
    caption = regression_figure(
        {"sd-text": parts, "vdvae": whole}, tmp_path / "regression.png", subject="subj01"
    )
    assert "sd-text 0.25, vdvae 0.12" in caption
    assert (tmp_path / "regression.png").exists()


def test_noise_ceiling_figure(tmp_path):
    caption = noise_ceiling_figure({"subj01": np.array([10.0, 20, 60])}, tmp_path / "ceiling.png")
    assert "subj01 20 %" in caption
    assert (tmp_path / "ceiling.png").exists()


def test_retrieval_figure(tmp_path):
    curve = {
        "metric": "CLIP-small",
        "n_way": [2, 10],
        "accuracy": [0.8, 0.3],
        "ci_low": [0.7, 0.2],
        "ci_high": [0.9, 0.4],
    }
    table = pd.concat(
        pd.DataFrame({"subject": subject, "system": system, **curve})
        for subject in ("subj01", "subj02")
        for system in ("vdvae", "sd-ddpm")
    )
    options = {"metrics": ["CLIP-small"], "labels": {"sd-ddpm": "SD"}}
    caption = retrieval_figure(table, tmp_path / "retrieval.png", **options)
    assert "means over 2 subjects" in caption
    assert pixels(tmp_path / "retrieval.png").std() > 0


def test_retrieval_is_averaged_where_all_subjects_have_a_value(tmp_path):
    parts = [
        pd.DataFrame({"subject": subject, "n_way": [2, 10, n], "accuracy": [0.8, 0.3, 0.1]})
        for subject, n in (("subj01", 41), ("subj02", 53))
    ]
    table = pd.concat(parts).assign(system="vdvae", metric="CLIP-small", ci_low=0.1, ci_high=0.9)
    output = tmp_path / "retrieval.svg"
    retrieval_figure(table, output, metrics=["CLIP-small"], labels={"vdvae": "VDVAE"})
    assert {"2", "10"} <= set(letters(output))
    assert not {"41", "53"} & set(letters(output))


def test_retrieval_figure_without_identification_says_so(tmp_path):
    table = pd.DataFrame(columns=["subject", "system", "metric", "n_way", "accuracy"])
    caption = retrieval_figure(table, tmp_path / "r.png", metrics=[], labels={})
    assert "candidates" in caption
