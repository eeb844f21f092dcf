import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPModel

from clip_models import clip_vit_l_14
from nsdrecon.errors import InputError
from nsdrecon.evaluation import networks
from nsdrecon.evaluation.networks import FeatureExtractor, by_network
from nsdrecon.evaluation.pixels import pixel_correlation, ssim_along_columns
from nsdrecon.evaluation.protocols import PROTOCOLS, protocol
from nsdrecon.evaluation.retrieval import retrieval_table
from nsdrecon.evaluation.scoring import Scored, evaluate
from nsdrecon.evaluation.similarity import (
    correlation_distance,
    correlation_matrix,
    identification_within_category,
    two_way_identification,
)
from nsdrecon.evaluation.statistics import metrics_table
from nsdrecon.extensions import implementation
from nsdrecon.metrics import (
    CLIP_MEAN,
    CLIP_STD,
    DISTANCE,
    IDENTIFICATION,
    NetworkMetric,
    PixelMetric,
    configured_metrics,
)
from nsdrecon.store import read_array, read_table, write_arrays, write_table
from small_pictures import N_IMAGES, NSD_ID, evaluated, write_clip, write_system

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


def small_alexnet():
    """Layers with the names and the in-place habits of torchvision's AlexNet, few channels each."""
    model = nn.Module()
    model.features = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(inplace=True),
    )
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.forward = lambda x: model.avgpool(model.features(x))
    return model


@pytest.fixture
def small_torchvision(monkeypatch):
    """torchvision with small networks in place of the real ones."""
    torch.manual_seed(0)
    models = types.SimpleNamespace(alexnet=lambda weights: small_alexnet())
    monkeypatch.setattr(networks, "_torchvision", lambda: types.SimpleNamespace(models=models))


def metric_of(source, weights, name="small", **fields):
    return NetworkMetric(
        name, f"nsdrecon.evaluation.networks:{source}", weights=str(weights), **fields
    )


def clip_metric(name, folder, **fields):
    return metric_of("clip", folder, name, mean=CLIP_MEAN, std=CLIP_STD, **fields)


def alexnet_metric(weights, name="small AlexNet", layer="features.1"):
    return metric_of("alexnet", weights, name, layer=layer, size=20)


def published_metric(protocol_name, name, weights):
    """The row of a published network, as a configuration names it."""
    return configured_metrics(protocol_name, [{"name": name, "weights": str(weights)}])[-1]


def pixels_and(*networks):
    return [*configured_metrics("brain-diffuser", []), *networks]


def extract(metrics, images, name="brain-diffuser", **options):
    found = FeatureExtractor(metrics, protocol(name))(images, len(images), **options)
    return {name: features.numpy() for name, features in found.items()}


def test_clip_features_are_the_projected_image_embeddings(clip, stimuli):
    images = read_array(stimuli, "images")
    found = extract([clip_metric("small", clip)], images)["small"]
    inputs = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
            for image in images
        ]
    )
    pixels = (inputs / 255 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    model = CLIPModel.from_pretrained(clip).eval()
    with torch.no_grad():
        vision = model.vision_model(torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32))
        expected = model.visual_projection(vision.pooler_output)
    assert found.shape == (N_IMAGES, 16)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batches_do_not_change_features(clip, stimuli):
    images = read_array(stimuli, "images")
    metric = clip_metric("small", clip)
    whole = extract([metric], images)["small"]
    for batch_size in (1, 3):
        parts = extract([metric], images, batch_size=batch_size)["small"]
        np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_the_protocols_show_the_network_different_pictures(clip, stimuli):
    images = read_array(stimuli, "images")
    metric = clip_metric("small", clip)
    one, other = (extract([metric], images, name)["small"] for name in PROTOCOLS)
    assert np.abs(one - other).max() > 1e-3


def test_layers_of_one_network_come_from_one_pass(tmp_path, small_torchvision, stimuli):
    model = small_alexnet()
    torch.save(model.state_dict(), tmp_path / "alexnet.pth")
    layers = ("features.0", "features.1", "features.3")
    metrics = [alexnet_metric(tmp_path / "alexnet.pth", layer, layer) for layer in layers]
    (group,) = by_network(metrics)
    images = read_array(stimuli, "images")
    found = extract(group, images, batch_size=4)
    pixels = np.stack([protocol("brain-diffuser").network_input(image, 20) for image in images])
    x = (torch.from_numpy(pixels) - torch.tensor(metrics[0].mean).view(3, 1, 1)) / torch.tensor(
        metrics[0].std
    ).view(3, 1, 1)
    with torch.no_grad():
        for position, module in enumerate(model.features):
            # The ReLUs work in place: what follows must not reach back into a kept layer.
            x = module(x.clone())
            if f"features.{position}" in layers:
                expected = x.flatten(1)
                np.testing.assert_allclose(found[f"features.{position}"], expected, atol=1e-5)
    assert (found["features.0"] < 0).any()


def test_weights_may_be_safetensors(tmp_path, small_torchvision, stimuli):
    model = small_alexnet()
    torch.save(model.state_dict(), tmp_path / "alexnet.pth")
    save_file(model.state_dict(), tmp_path / "alexnet.safetensors")
    images = read_array(stimuli, "images")
    one, other = (
        extract([alexnet_metric(tmp_path / name)], images)["small AlexNet"]
        for name in ("alexnet.pth", "alexnet.safetensors")
    )
    np.testing.assert_array_equal(one, other)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: without(state, "features.2.bias"), r"no weight features\.2\.bias"),
        (lambda state: {**state, "head": torch.ones(1)}, "an unknown weight head"),
        (
            lambda state: {**state, "features.0.bias": torch.ones(9)},
            r"another shape of features\.0\.bias",
        ),
        (lambda state: [1, 2], "found list; expected a state dict"),
        (lambda state: {"epoch": 3}, "state dict of tensors"),
    ],
)
def test_a_network_file_of_the_wrong_kind(tmp_path, small_torchvision, change, message):
    torch.save(change(small_alexnet().state_dict()), tmp_path / "other.pth")
    with pytest.raises(InputError, match=message) as caught:
        FeatureExtractor([alexnet_metric(tmp_path / "other.pth")], protocol("brain-diffuser"))
    assert "other.pth" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_network_file_that_is_none(tmp_path, small_torchvision, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no readable weights"):
        FeatureExtractor([alexnet_metric(path)], protocol("brain-diffuser"))


def test_executable_pickles_are_not_run(tmp_path, small_torchvision):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="no readable weights"):
        FeatureExtractor([alexnet_metric(tmp_path / "trap.pth")], protocol("brain-diffuser"))
    assert not (tmp_path / "sprung").exists()


def test_missing_weights_and_layers(tmp_path, small_torchvision):
    with pytest.raises(InputError, match="found no file"):
        FeatureExtractor([alexnet_metric(tmp_path / "none.pth")], protocol("brain-diffuser"))
    torch.save(small_alexnet().state_dict(), tmp_path / "alexnet.pth")
    metric = alexnet_metric(tmp_path / "alexnet.pth", layer="features.9")
    with pytest.raises(InputError, match=r"no layer 'features\.9'"):
        FeatureExtractor([metric], protocol("brain-diffuser"))


@pytest.mark.parametrize("broken", [None, "other release"])
def test_networks_of_torchvision_need_torchvision(tmp_path, monkeypatch, broken):
    if broken is None:
        monkeypatch.setitem(sys.modules, "torchvision", None)
    else:
        monkeypatch.delitem(sys.modules, "torchvision", raising=False)
        (tmp_path / "torchvision.py").write_text("raise RuntimeError('no operator nms')\n")
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="torchvision: found not usable"):
        FeatureExtractor([alexnet_metric(tmp_path / "alexnet.pth")], protocol("brain-diffuser"))


def test_clip_vit_l_14_at_full_size(tmp_path):
    """All 24 layers, through the loader of the published metric; stored in half precision."""
    model = clip_vit_l_14()
    assert sum(weight.numel() for weight in model.parameters()) == 303_966_208
    model.save_pretrained(tmp_path)
    rules = protocol("brain-diffuser")
    metric = published_metric(rules.name, "CLIP", tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (2, 425, 425, 3), dtype=np.uint8)
    found = extract([metric], images)["CLIP"]
    pixels = np.stack([rules.network_input(image, 224) for image in images])
    normalised = (pixels - np.reshape(CLIP_MEAN, (3, 1, 1))) / np.reshape(CLIP_STD, (3, 1, 1))
    with torch.inference_mode():
        # By the file's own weights, in float32 as the published evaluation.
        expected = model.float().eval()(torch.tensor(normalised, dtype=torch.float32)).image_embeds
    assert found.shape == (2, 768)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_published_name_needs_the_published_file(tmp_path):
    (tmp_path / "alexnet.pth").write_bytes(b"other weights")
    metric = published_metric("mindeye", "AlexNet(2)", tmp_path / "alexnet.pth")
    with pytest.raises(InputError, match=r"alexnet\.pth: found sha256 .* expected 7be5be79"):
        FeatureExtractor([metric], protocol("mindeye"))


def test_the_published_clip_is_vit_l_14(clip):
    metric = published_metric("brain-diffuser", "CLIP", clip)
    with pytest.raises(InputError, match="hidden_size 32; expected 1024: ViT-L/14"):
        FeatureExtractor([metric], protocol("brain-diffuser"))


def test_a_clip_in_one_file_is_not_read(tmp_path):
    """As OpenAI publishes it: executable TorchScript."""
    (tmp_path / "ViT-L-14.pt").write_bytes(b"PK")
    message = r"ViT-L-14\.pt: found a file; expected the folder of a CLIP"
    for name in ("CLIP", "another"):
        metric = published_metric("brain-diffuser", name, tmp_path / "ViT-L-14.pt")
        with pytest.raises(InputError, match=message):
            FeatureExtractor([metric], protocol("brain-diffuser"))


def test_a_clip_of_another_input_size(clip):
    with pytest.raises(InputError, match="pictures of 32 pixels; expected 64"):
        FeatureExtractor([clip_metric("small", clip, size=64)], protocol("brain-diffuser"))


def test_a_network_without_an_input_size(tmp_path, small_torchvision):
    torch.save(small_alexnet().state_dict(), tmp_path / "alexnet.pth")
    metric = metric_of("alexnet", tmp_path / "alexnet.pth", layer="features.1")
    with pytest.raises(InputError, match="no size of pictures"):
        FeatureExtractor([metric], protocol("brain-diffuser"))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("torch.zeros(3, 5)", "found 3 rows of features; expected a row for each of 10 pictures"),
        ("torch.zeros(10)", r"features of shape \(10,\)"),
    ],
)
def test_features_that_are_not_a_row_a_picture(tmp_path, stimuli, returned, message):
    (tmp_path / "mine.py").write_text(
        f"import torch\ndef network(weights, device): return lambda pixels: {returned}\n"
    )
    metric = NetworkMetric("mine", f"{tmp_path}/mine.py:network", size=20)
    with pytest.raises(InputError, match=message):
        extract([metric], read_array(stimuli, "images"))


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


def test_constant_pictures_are_misses_and_counted(tmp_path, clip, stimuli, reconstructions, caplog):
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
