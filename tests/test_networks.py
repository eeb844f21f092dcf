import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPModel

from clip_models import clip_vit_l_14
from network_metrics import clip_metric, extract, metric_of
from nsdrecon.errors import InputError
from nsdrecon.evaluation import networks
from nsdrecon.evaluation.networks import FeatureExtractor, by_network
from nsdrecon.evaluation.protocols import PROTOCOLS, protocol
from nsdrecon.metrics import CLIP_MEAN, CLIP_STD, NetworkMetric, configured_metrics
from nsdrecon.store import read_array
from small_pictures import N_IMAGES, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


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


def alexnet_metric(weights, name="small AlexNet", layer="features.1"):
    return metric_of("alexnet", weights, name, layer=layer, size=20)


def published_metric(protocol_name, name, weights):
    """The row of a published network, as a configuration names it."""
    return configured_metrics(protocol_name, [{"name": name, "weights": str(weights)}])[-1]


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
        (lambda state: {7: state["features.0.bias"]}, "state dict of tensors"),
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
    with pytest.raises(InputError, match="bytes that do not load"):
        FeatureExtractor([alexnet_metric(path)], protocol("brain-diffuser"))


def test_executable_pickles_are_not_run(tmp_path, small_torchvision):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="bytes that do not load"):
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
