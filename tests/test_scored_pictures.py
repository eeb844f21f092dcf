"""Tables of scores, one row a picture, from files of reconstructions."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from network_metrics import clip_metric, extract, pixels_and
from nsdrecon.errors import InputError
from nsdrecon.evaluation import pixel_scoring, scoring
from nsdrecon.evaluation.pixels import pixel_correlation, ssim_along_columns
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.evaluation.retrieval import retrieval_table
from nsdrecon.evaluation.scoring import Scored, evaluate
from nsdrecon.evaluation.seen_features import write_seen_features
from nsdrecon.evaluation.similarity import (
    correlation_distance,
    correlation_matrix,
    identification_within_category,
    two_way_identification,
)
from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.extensions import implementation
from nsdrecon.metrics import (
    DISTANCE,
    IDENTIFICATION,
    NetworkMetric,
    PixelMetric,
    configured_metrics,
)
from nsdrecon.store import read_array, read_table, write_arrays, write_table
from small_pictures import N_IMAGES, NSD_ID, evaluated, write_clip, write_stimuli, write_system

PIXELS = {
    "protocol_name": "brain-diffuser",
    "metrics": configured_metrics("brain-diffuser", []),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def reconstructions(tmp_path):
    return write_system(tmp_path / "sd-ddpm.h5", NSD_ID)


def test_per_image_table(tmp_path, clip, stimuli, reconstructions):
    metrics = [
        clip_metric("small CLIP", clip),
        clip_metric("small distance", clip, score=DISTANCE),
    ]
    table = evaluated(
        reconstructions,
        stimuli,
        tmp_path / "scores.tsv",
        protocol_name="brain-diffuser",
        metrics=pixels_and(*metrics),
    )
    assert list(table.columns) == [
        *("nsd_id", "subject", "system", "protocol", "sample"),
        *("PixCorr", "SSIM", "small CLIP", "small distance", "undefined"),
    ]
    assert table["nsd_id"].tolist() == sorted(NSD_ID)
    assert table["subject"].unique().tolist() == ["subj01"]
    images, made = (
        read_array(path, "images", np.sort(NSD_ID)) for path in (stimuli, reconstructions)
    )
    for row in range(N_IMAGES):
        pixels = protocol("brain-diffuser").pixels
        pair = [pixels(one, images.shape[1:3]) for one in (images[row], made[row, 0])]
        assert table["PixCorr"][row] == pytest.approx(pixel_correlation(*pair))
        assert table["SSIM"][row] == pytest.approx(ssim_along_columns(*pair))
    features = [extract(metrics[:1], part)["small CLIP"] for part in (images, made[:, 0])]
    identified = two_way_identification(correlation_matrix(*features))
    np.testing.assert_allclose(table["small CLIP"], identified)
    features = [extract(metrics[1:], part)["small distance"] for part in (images, made[:, 0])]
    distances = correlation_distance(correlation_matrix(*features))
    np.testing.assert_allclose(table["small distance"], distances, rtol=1e-5)
    stored = read_table(tmp_path / "scores.tsv")
    np.testing.assert_allclose(stored["SSIM"], table["SSIM"], rtol=1e-8)


def test_order_of_rows_in_the_files_does_not_matter(tmp_path, clip, stimuli):
    images = read_array(stimuli, "images")
    order = np.random.default_rng(3).permutation(N_IMAGES)
    write_arrays(tmp_path / "mixed.h5", NSD_ID[order], {"images": images[order]})
    write_system(tmp_path / "made.h5", NSD_ID, samples=2)
    one, other = (
        evaluated(
            tmp_path / "made.h5",
            path,
            tmp_path / "scores.tsv",
            protocol_name="mindeye",
            metrics=pixels_and(clip_metric("small", clip)),
        )
        for path in (stimuli, tmp_path / "mixed.h5")
    )
    assert one.equals(other)


def test_every_sample_is_scored_against_all_ground_truths(tmp_path, clip, stimuli):
    write_system(tmp_path / "two.h5", NSD_ID, samples=2)
    options = {"protocol_name": "brain-diffuser", "metrics": [clip_metric("small", clip)]}
    both = evaluated(tmp_path / "two.h5", stimuli, tmp_path / "two.tsv", **options)
    assert both["sample"].tolist() == [0] * N_IMAGES + [1] * N_IMAGES
    images = read_array(tmp_path / "two.h5", "images")
    for sample in range(2):
        alone = tmp_path / f"one{sample}.h5"
        labels = {"system": "sd-ddpm", "subject": "subj01"}
        write_arrays(alone, NSD_ID, {"images": images[:, [sample]]}, labels)
        expected = evaluated(alone, stimuli, tmp_path / "one.tsv", **options)
        rows = both[both["sample"] == sample].reset_index(drop=True)
        assert rows.drop(columns="sample").equals(expected.drop(columns="sample"))


def test_constant_pictures_are_misses_and_counted(tmp_path, stimuli, reconstructions, caplog):
    """Also in a network to which they are constant features: never the best, nor near it."""
    (tmp_path / "mine.py").write_text(
        "def pooled(weights, device): return lambda pixels: pixels[:, :, ::8, ::8]\n"
    )
    networks = [
        NetworkMetric(
            name, f"{tmp_path}/mine.py:pooled", score, size=32, mean=(0,) * 3, std=(1,) * 3
        )
        for name, score in (("distance", DISTANCE), ("two-way", IDENTIFICATION))
    ]
    images = read_array(reconstructions, "images")
    images[[2, 5]] = 128
    labels = {"system": "sd-ddpm", "subject": "subj01"}
    write_arrays(tmp_path / "flat.h5", NSD_ID, {"images": images}, labels)
    table = evaluated(
        tmp_path / "flat.h5",
        stimuli,
        tmp_path / "t.tsv",
        protocol_name="brain-diffuser",
        metrics=pixels_and(*networks),
    ).set_index("nsd_id")
    flat = NSD_ID[[2, 5]]
    assert (table.loc[flat, ["PixCorr", "two-way"]] == 0).all(axis=None)
    assert (table.loc[flat, "distance"] == 1).all()
    assert table.drop(flat)["distance"].max() < 0.9
    assert (table.loc[flat, "undefined"] == "PixCorr,distance").all()
    assert (table.drop(flat)["undefined"] == "").all()
    assert "PixCorr: 2 of 10 values undefined, counted as a miss" in caplog.text


def test_identification_within_categories(tmp_path, clip, stimuli, reconstructions):
    categories = {image: "ab"[k % 2] for k, image in enumerate(sorted(NSD_ID))}
    categories[300] = "alone"
    rows = {"nsd_id": list(categories), "category": list(categories.values())}
    write_table(tmp_path / "categories.tsv", pd.DataFrame(rows))
    metric = clip_metric("small", clip)
    table = evaluated(
        reconstructions,
        stimuli,
        tmp_path / "t.tsv",
        protocol_name="brain-diffuser",
        metrics=pixels_and(metric),
        categories=tmp_path / "categories.tsv",
    )
    features = [
        extract([metric], pictures)["small"]
        for pictures in (
            read_array(stimuli, "images", np.sort(NSD_ID)),
            read_array(reconstructions, "images", np.sort(NSD_ID))[:, 0],
        )
    ]
    expected = identification_within_category(
        correlation_matrix(*features), np.array(list(categories.values()))
    )
    np.testing.assert_allclose(table["small (same category)"], expected)
    assert np.isnan(expected).sum() == 1
    assert (table["undefined"] == "").all()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (NSD_ID[:8], "no nsd_id 21, 60;"),
        (np.append(NSD_ID, [1000]), "extra nsd_id 1000;"),
        (np.append(NSD_ID[1:], [1000]), "no nsd_id 7 and extra nsd_id 1000;"),
    ],
)
def test_missing_and_extra_images_are_named(tmp_path, stimuli, ids, message):
    write_system(tmp_path / "made.h5", ids)
    with pytest.raises(InputError, match=message):
        evaluated(tmp_path / "made.h5", stimuli, tmp_path / "t.tsv", **PIXELS)
    assert not (tmp_path / "t.tsv").exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((10, 1, 8, 8, 3)), "type float64; expected uint8"),
        (np.zeros((10, 8, 8, 3), np.uint8), r"shape \(10, 8, 8, 3\)"),
        (np.zeros((10, 1, 8, 6, 3), np.uint8), r"shape \(10, 1, 8, 6, 3\)"),
        (np.zeros((10, 1, 8, 8, 4), np.uint8), r"shape \(10, 1, 8, 8, 4\)"),
        (np.zeros((10, 0, 8, 8, 3), np.uint8), r"shape \(10, 0, 8, 8, 3\)"),
    ],
)
def test_reconstructions_that_are_no_pictures(tmp_path, stimuli, images, message):
    labels = {"system": "sd-ddpm", "subject": "subj01"}
    write_arrays(tmp_path / "odd.h5", NSD_ID, {"images": images}, labels)
    with pytest.raises(InputError, match=message):
        evaluated(tmp_path / "odd.h5", stimuli, tmp_path / "t.tsv", **PIXELS)


def test_reconstructions_without_a_label(tmp_path, stimuli):
    images = np.zeros((10, 1, 8, 8, 3), np.uint8)
    write_arrays(tmp_path / "made.h5", NSD_ID, {"images": images}, {"subject": "subj01"})
    with pytest.raises(InputError, match="an attribute 'system'"):
        evaluated(tmp_path / "made.h5", stimuli, tmp_path / "t.tsv", **PIXELS)


def test_systems_share_a_network_and_the_features_of_the_ground_truths(tmp_path, stimuli):
    """The tables are those of each alone; every picture passes the network once."""
    (tmp_path / "mine.py").write_text(
        "seen = []\n"
        "def pooled(weights, device):\n"
        "    return lambda pixels: seen.append(len(pixels)) or pixels[:, :, ::8, ::8]\n"
    )
    source = f"{tmp_path}/mine.py:pooled"
    metric = NetworkMetric("mine", source, size=32, mean=(0,) * 3, std=(1,) * 3)
    systems = ["sd-ddpm", "vd-ddim"]
    made = [write_system(tmp_path / f"{name}.h5", NSD_ID, system=name) for name in systems]
    options = {"protocol_name": "brain-diffuser", "metrics": pixels_and(metric)}
    both = evaluate(
        [Scored(path, tmp_path / f"{path.stem}.tsv", tmp_path / "floor.tsv") for path in made],
        stimuli,
        **options,
    )
    assert sum(implementation(source).__globals__["seen"]) == 3 * N_IMAGES
    for path, table in zip(made, both, strict=True):
        alone = evaluated(path, stimuli, tmp_path / "t.tsv", **options)
        pd.testing.assert_frame_equal(table, alone)
        assert (tmp_path / f"{path.stem}.tsv").read_bytes() == (tmp_path / "t.tsv").read_bytes()
    assert set(read_table(tmp_path / "floor.tsv")["system"]) == {"shuffled-vd-ddim"}


def test_features_of_seen_images_are_taken_from_their_file(tmp_path):
    """By their ids, whoever else's images are in it; no seen image passes the network again."""
    (tmp_path / "mine.py").write_text(
        "seen = []\n"
        "def pooled(weights, device):\n"
        "    return lambda pixels: seen.append(len(pixels)) or pixels[:, :, ::8, ::8]\n"
    )
    source = f"{tmp_path}/mine.py:pooled"
    options = {"size": 32, "mean": (0,) * 3, "std": (1,) * 3}
    rows = [NetworkMetric(name, source, **options) for name in ("red/green", "red")]
    everybodys = write_stimuli(tmp_path / "seen.h5", np.append(NSD_ID, [1, 100]))
    features = tmp_path / "features.h5"
    write_seen_features(everybodys, features, protocol_name="brain-diffuser", metrics=rows)
    passed = implementation(source).__globals__["seen"]
    assert sum(passed) == N_IMAGES + 2
    made = write_system(tmp_path / "made.h5", NSD_ID)
    options = {"protocol_name": "brain-diffuser", "metrics": pixels_and(*rows), "nsd_id": NSD_ID}
    found = evaluated(
        made, everybodys, tmp_path / "from_file.tsv", seen_features=features, **options
    )
    assert sum(passed) == 2 * N_IMAGES + 2
    pd.testing.assert_frame_equal(found, evaluated(made, everybodys, tmp_path / "t.tsv", **options))
    write_seen_features(everybodys, features, protocol_name="brain-diffuser", metrics=rows[1:])
    with pytest.raises(InputError, match="expected a dataset 'red%2Fgreen'"):
        evaluated(made, everybodys, tmp_path / "t.tsv", seen_features=features, **options)


def test_a_network_that_chose_a_sample_does_not_score_it(tmp_path, stimuli):
    (tmp_path / "mine.py").write_text("def pooled(weights, device):\n    return lambda p: p\n")
    metric = NetworkMetric(
        "mine", f"{tmp_path}/mine.py:pooled", size=8, mean=(0,) * 3, std=(1,) * 3
    )
    made = write_system(tmp_path / "best.h5", NSD_ID, system="sd-ddpm-best")
    categories = tmp_path / "categories.tsv"
    write_table(categories, pd.DataFrame({"nsd_id": NSD_ID, "category": 0}))
    paths = [tmp_path / "best.tsv", tmp_path / "floor.tsv"]
    evaluate(
        [Scored(made, *paths, left_out=["mine"])],
        stimuli,
        protocol_name="brain-diffuser",
        metrics=pixels_and(metric),
        categories=categories,
    )
    tables = [read_table(path) for path in paths]
    for table in tables:
        assert table[["mine", "mine (same category)"]].isna().all(axis=None)
        assert table["PixCorr"].notna().all()
    found = metrics_table(tables, resamples=100, seed=0)
    assert "mine" not in set(found["metric"])
    assert retrieval_table(tables, ["mine"], resamples=100, seed=0).empty


def test_an_error_in_a_network_does_not_wait_for_all_pixels(tmp_path, stimuli, monkeypatch):
    ended, compared = threading.Event(), []

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ended.set()
            super().shutdown(wait)

    def slow(seen, made):
        ended.wait()
        compared.append(made)
        return 1.0

    monkeypatch.setattr(scoring, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(pixel_scoring, "_BLOCK", 1)
    monkeypatch.setattr(pixel_scoring, "implementation", lambda source: slow)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    made = write_system(tmp_path / "made.h5", NSD_ID)
    metrics = [*PIXELS["metrics"][:1], NetworkMetric("none", "nsdrecon.evaluation:none", size=8)]
    options = {"protocol_name": "brain-diffuser", "metrics": metrics}
    with pytest.raises(InputError, match="nothing with the name none"):
        evaluated(made, stimuli, tmp_path / "scores.tsv", **options)
    assert len(compared) <= 1


def test_a_picture_is_prepared_once_for_all_that_it_is_compared_with(tmp_path, stimuli):
    """Only the floor's walk through all images begins and ends with the same reconstruction."""
    (tmp_path / "mine.py").write_text(
        "from nsdrecon.evaluation.pixels import PreparedMetric, pixel_correlation as known\n"
        "prepared = []\n"
        "def prepare(picture):\n"
        "    prepared.append(picture)\n"
        "    return known.prepare(picture)\n"
        "metric = PreparedMetric(prepare, known.compare)\n"
    )
    systems = ["sd-ddpm", "vd-ddim"]
    made = [write_system(tmp_path / f"{name}.h5", NSD_ID, system=name) for name in systems]
    metrics = [*PIXELS["metrics"], PixelMetric("mine", f"{tmp_path}/mine.py:metric")]
    tables = evaluate(
        [Scored(path, tmp_path / "t.tsv", tmp_path / f"{path.stem}-floor.tsv") for path in made],
        stimuli,
        protocol_name="brain-diffuser",
        metrics=metrics,
    )
    tables += [read_table(tmp_path / f"{name}-floor.tsv") for name in systems]
    for table in tables:
        np.testing.assert_allclose(table["mine"], table["PixCorr"])
    prepare = implementation(f"{tmp_path}/mine.py:prepare")
    assert len(prepare.__globals__["prepared"]) == N_IMAGES + len(systems) * (N_IMAGES + 1)
