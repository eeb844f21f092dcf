"""What is known of the published files, each fact on a small file that has it.

No test sees the files themselves: NSD may not be passed on, and the models are large. The facts are
from the programs that wrote the files, from listings, and from sizes that decompose exactly.
"""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml
from torch import nn

import diffusion_models
import published_models
from buckets import in_memory
from nsdrecon import layout
from nsdrecon.clip_features import TextEncoder
from nsdrecon.data.captions import captions_of
from nsdrecon.data.nsd import read_design, read_stimulus_table, trial_table
from nsdrecon.data.stimuli import extract_stimuli
from nsdrecon.data.volumes import read_labels, read_map, read_mask, read_session
from nsdrecon.diffusion.backbone import SD_LATENT_SCALE, Backbone
from nsdrecon.diffusion.sampling import Sampling, build_scheduler
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.errors import InputError
from nsdrecon.evaluation.networks import FeatureExtractor
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.metrics import NetworkMetric
from nsdrecon.store import read_array
from nsdrecon.transfer.chunks import read_voxels
from nsdrecon.transfer.ranges import image_layout
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdrecon.vdvae.config import VDVAEConfig
from nsdrecon.vdvae.model import VDVAE
from small_nsd import AFFINE, write_betas_hdf5, write_betas_nifti, write_design, write_volume
from small_pictures import write_clip
from vdvae_models import TINY, random_model
from workflow_runs import ROOT

# Natural Scenes Dataset

SHAPE, N_TRIALS = (9, 8, 7), 30
HEADER_BYTES, NODE_BYTES = 1400, 3656
OLDEST = b"\x89HDF\r\n\x1a\n\x00"  # the signature of HDF5, and superblock 0


@pytest.fixture(scope="module")
def betas() -> np.ndarray:
    """(X, Y, Z, trials), int16, with voxels that lie outside of a session's valid volume."""
    betas = np.random.default_rng(0).integers(-32768, 32768, (*SHAPE, N_TRIALS)).astype(np.int16)
    betas[0] = 0
    return betas


@pytest.fixture(scope="module")
def inside() -> np.ndarray:
    """-1 outside of the cortex, 0 in the cortex, 1 in the mask."""
    return np.random.default_rng(1).integers(-1, 2, SHAPE).astype(np.int16)


@pytest.fixture
def voxels(tmp_path, inside):
    return read_mask(write_volume(tmp_path / "nsdgeneral.nii.gz", inside))


def test_betas_hdf5(tmp_path, betas, inside, voxels):
    """Superblock 0, a B-tree of version 1 with nodes for 64 chunks, a chunk a voxel, no filter."""
    path = write_betas_hdf5(tmp_path / "betas_session01.hdf5", betas)
    content = path.read_bytes()
    assert content.startswith(OLDEST)
    n_nodes = content.count(b"TREE\x01")
    assert n_nodes > np.prod(SHAPE) / 64
    assert len(content) == HEADER_BYTES + n_nodes * NODE_BYTES + betas.nbytes
    expected = betas[inside > 0].T
    np.testing.assert_array_equal(read_session(path, voxels, N_TRIALS), expected)
    by_ranges = read_voxels(in_memory(content), "key", voxels.index, SHAPE, N_TRIALS)
    np.testing.assert_array_equal(by_ranges, expected)


def test_betas_nifti(tmp_path, betas, inside, voxels):
    """A slope of 0, which means no scaling; the place in sform alone; 4/3 seconds."""
    path = write_betas_nifti(tmp_path / "betas_session01.nii.gz", betas)
    header = gzip.decompress(path.read_bytes())[:348]
    assert struct.unpack_from("<f", header, 92)[0] == pytest.approx(4 / 3)  # pixdim[4]
    assert struct.unpack_from("<fff", header, 108) == (352, 0, 0)  # vox_offset, scl_slope, _inter
    assert struct.unpack_from("<hh", header, 252) == (0, 1)  # qform_code, sform_code
    np.testing.assert_array_equal(read_session(path, voxels, N_TRIALS), betas[inside > 0].T)
    np.testing.assert_allclose(nib.load(path).affine, AFFINE)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_roi_volumes(tmp_path, voxels, dtype):
    """-1 outside, 0 in unlabelled cortex, 1 to N in the regions."""
    labels = np.random.default_rng(2).integers(-1, 8, SHAPE).astype(dtype)
    path = write_volume(tmp_path / "prf-visualrois.nii.gz", labels)
    mask = read_mask(path)
    np.testing.assert_array_equal(mask.index, np.argwhere(labels > 0))
    np.testing.assert_allclose(mask.affine, AFFINE)
    found = read_labels(path, voxels)
    np.testing.assert_array_equal(found, labels[tuple(voxels.index.T)])
    assert found.dtype == np.int32


def test_ncsnr(tmp_path, voxels):
    """Without a value in some voxels."""
    ncsnr = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    ncsnr[tuple(voxels.index[0])] = np.nan
    found = read_map(write_volume(tmp_path / "ncsnr.nii.gz", ncsnr), voxels)
    assert np.isnan(found[0])
    np.testing.assert_array_equal(found, ncsnr[tuple(voxels.index.T)])


@pytest.mark.parametrize("types", ["double", "small"])
def test_design(tmp_path, types):
    """40 sessions of 12 runs, with 63 and 62 stimuli in turn: 750 trials each; 8 subjects."""
    order = np.repeat(np.arange(1, 10_001), 3)
    pattern = np.zeros((40, 12, 75))
    pattern[:, 0::2, :63] = 1
    pattern[:, 1::2, :62] = 1
    shared = np.arange(1, 1001)
    own = np.arange(1001, 73_001).reshape(8, 9000)
    variables = {
        "masterordering": order[None],
        "subjectim": np.concatenate([np.tile(shared, (8, 1)), own], axis=1),
        "sharedix": shared[None],
        "stimpattern": pattern,
        "basiccnt": np.zeros((3, 40)),
    }
    for name, values in variables.items():
        small = np.min_scalar_type(int(values.max()))
        variables[name] = values.astype(np.float64 if types == "double" else small)
    design = read_design(write_design(tmp_path / "nsd_expdesign.mat", **variables))
    assert (design.trials_per_session == 750).all()
    assert (len(design.image_of_trial), design.n_shared) == (30_000, 1000)
    trials = trial_table(design, "subj08", range(1, 38))
    assert len(trials) == 27_750
    assert trials["nsd_id"].min() == 0
    assert trials["nsd_id"].max() < 73_000
    assert set(trials.loc[trials["split"] == "test", "nsd_id"]) <= set(range(1000))


def test_stimulus_table(tmp_path):
    """As pandas wrote it: rows numbered without a title, the crop a tuple in text."""
    columns = {
        "cocoId": [532481, 245764, 385029],
        "cocoSplit": ["val2017", "train2017", "train2017"],
        "cropBox": ["(0, 0, 0.1671875, 0.1671875)", "(0.109375, 0.109375, 0, 0)", "(0, 0, 0, 0)"],
        "loss": [0.1, 0.0, 0.25],
        "nsdId": [0, 1, 2],
        "flagged": [False, True, False],
        "BOLD5000": [False, False, True],
        "shared1000": [False, True, False],
        **{f"subject{k}": [0, 1, 0] for k in range(1, 9)},
        **{f"subject{k}_rep{n}": [0, 7 * n, 0] for k, n in product(range(1, 9), range(3))},
    }
    pd.DataFrame(columns).to_csv(tmp_path / "nsd_stim_info_merged.csv")
    table = read_stimulus_table(tmp_path / "nsd_stim_info_merged.csv")
    assert list(table.columns) == ["nsd_id", "coco_id", "coco_split", "shared"]
    assert table["coco_id"].tolist() == columns["cocoId"]
    assert table["shared"].tolist() == [False, True, False]


def test_stimuli(tmp_path):
    """Contiguous behind a header of 2,048 bytes, which is what the size of the file says."""
    images = np.random.default_rng(4).integers(0, 256, (3, 425, 425, 3), dtype=np.uint8)
    path = tmp_path / "nsd_stimuli.hdf5"
    with h5py.File(path, "w", libver="earliest") as file:
        file["imgBrick"] = images
    assert path.read_bytes()[: len(OLDEST)] == OLDEST
    assert path.stat().st_size == 2048 + 3 * 425 * 425 * 3
    assert 39_556_877_048 == 2048 + 73_000 * 425 * 425 * 3
    with h5py.File(path) as file:
        assert image_layout(file["imgBrick"], str(path), path.stat().st_size).offset == 2048
    extract_stimuli(path, np.array([2, 0]), tmp_path / "images.h5")
    np.testing.assert_array_equal(read_array(tmp_path / "images.h5", "images"), images[[0, 2]])


def test_captions(tmp_path):
    """Five of up to 250 characters, which may be empty; no pickle."""
    rows = [["a cat", "two cats on a bed", "", "", ""], ["é" * 250, "b", "c", "d", "e"]]
    path = tmp_path / "COCO_73k_annots_curated.npy"
    np.save(path, np.array(rows, dtype="<U250"), allow_pickle=False)
    assert path.stat().st_size == 128 + 2 * 5 * 1000
    assert captions_of(path, np.array([1, 0]), 2) == [rows[1], rows[0][:2]]


def test_bucket_and_sessions():
    """Public without an account, and with all sessions of every subject."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    places = schema["properties"]["nsd"]["properties"]["s3"]["properties"]
    defaults = {name: place["default"] for name, place in places.items()}
    assert defaults["bucket"] == "natural-scenes-dataset"
    assert defaults["region"] == "us-east-2"
    assert defaults["anonymous"]
    assert list(layout.SESSIONS) == list(range(1, 9))
    assert list(layout.SESSIONS.values()) == [40, 40, 32, 30, 40, 32, 40, 30]


# Networks that score


class SmallNetwork(nn.Module):
    """With batch norm and a head, as torchvision's networks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3)
        self.bn1 = nn.BatchNorm2d(6)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of ten classes."""
        return self.fc(self.avgpool(self.bn1(self.conv1(x))).flatten(1))


@pytest.fixture
def small_network(monkeypatch) -> dict[str, torch.Tensor]:
    """The weights of a small network, which stands for each of torchvision's."""
    torch.manual_seed(0)
    model = SmallNetwork()
    model(torch.randn(4, 3, 20, 20))  # so that its batch norm has means and variances, and counts
    monkeypatch.setattr(torchvision.models, "inception_v3", lambda **_: SmallNetwork())
    monkeypatch.setattr(torchvision.models, "resnet50", lambda **_: SmallNetwork())
    return model.state_dict()


def layers_of(path: Path, architecture: str, layers: Iterable[str], size: int) -> dict:
    """Layer to its features of two images."""
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    source = f"nsdrecon.evaluation.networks:{architecture}"
    metrics = [
        NetworkMetric(name, source, weights=str(path), layer=name, size=size) for name in layers
    ]
    return FeatureExtractor(metrics, protocol("brain-diffuser"))(images, 2)


def features(path: Path, architecture: str) -> np.ndarray:
    return layers_of(path, architecture, ["avgpool"], 20)["avgpool"]


def without_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if "num_batches_tracked" not in name}


def test_weights_without_the_counters_of_batch_norm_give_the_same(tmp_path, small_network):
    """As Inception v3's, which are older than the counters."""
    torch.save(small_network, tmp_path / "with.pth")
    torch.save(without_counters(small_network), tmp_path / "without.pth")
    expected = features(tmp_path / "with.pth", "inception_v3")
    np.testing.assert_array_equal(features(tmp_path / "without.pth", "inception_v3"), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("bn1.running_mean"), "no weight bn1.running_mean"),
        (
            lambda state: state.update({"bn2.num_batches_tracked": torch.tensor(3)}),
            "an unknown weight bn2.num_batches_tracked",
        ),
    ],
)
def test_other_weights_are_neither_missing_nor_unknown(tmp_path, small_network, change, message):
    state = without_counters(small_network)
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=message):
        features(tmp_path / "other.pth", "inception_v3")


def test_swav(tmp_path, small_network):
    """A prefix before every name, heads beside the trunk, counters, the format before zip."""
    torch.save(small_network, tmp_path / "trunk.pth")
    trunk = {name: value for name, value in small_network.items() if not name.startswith("fc.")}
    heads = {"projection_head.0.weight": torch.ones(2, 6), "prototypes.weight": torch.ones(9, 2)}
    state = {f"module.{name}": value for name, value in (trunk | heads).items()}
    path = tmp_path / "swav_800ep_pretrain.pth.tar"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    expected = features(tmp_path / "trunk.pth", "inception_v3")
    np.testing.assert_array_equal(features(path, "resnet50_swav"), expected)


@pytest.mark.parametrize(
    ("architecture", "n_features", "n_counters"),
    [
        ("alexnet", {"features.4": 139_968, "features.11": 43_264}, 0),
        ("inception_v3", {"avgpool": 2048}, 96),
        ("efficientnet_b1", {"avgpool": 1280}, 69),
        ("resnet50_swav", {"avgpool": 2048}, 53),
    ],
)
def test_published_architectures(tmp_path, architecture, n_features, n_counters):
    """At full size, random and without counters, through the loaders of the published metrics."""
    name = architecture.removesuffix("_swav")
    options = {"init_weights": False} if name == "inception_v3" else {}
    whole = getattr(torchvision.models, name)(weights=None, **options).state_dict()
    state = without_counters(whole)
    assert len(whole) - len(state) == n_counters
    if architecture == "resnet50_swav":
        state = {f"module.{k}": v for k, v in state.items() if not k.startswith("fc.")}
    torch.save(state, tmp_path / "random.pth")
    found = layers_of(tmp_path / "random.pth", architecture, n_features, 224)
    assert {layer: values.shape for layer, values in found.items()} == {
        layer: (2, length) for layer, length in n_features.items()
    }
    assert all(np.isfinite(values).all() for values in found.values())


def test_clip_as_openai_publishes_it_for_transformers(tmp_path):
    """Positions among the weights, sizes twice in the configuration."""
    folder = write_clip(tmp_path / "clip")
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)

    def embeddings() -> np.ndarray:
        metric = NetworkMetric("clip", "nsdrecon.evaluation.networks:clip", weights=str(folder))
        return FeatureExtractor([metric], protocol("brain-diffuser"))(images, 2)["clip"]

    expected = embeddings()
    published_models.as_openai_clip(folder)
    np.testing.assert_array_equal(embeddings(), expected)


# VDVAE


def test_vdvae_names():
    with torch.device("meta"):
        state = VDVAE(VDVAEConfig()).state_dict()
    assert len(state) == 2482
    assert sum(value.numel() for value in state.values()) == 125_005_860


@pytest.mark.parametrize("prefix", ["", "module."])
def test_vdvae_checkpoint(tmp_path, monkeypatch, prefix):
    """The format before zip, an ordered dictionary, tensors that were on a GPU."""
    model = random_model(TINY)
    state = model.state_dict(prefix=prefix)
    path = tmp_path / "imagenet64-iter-1600000-model-ema.th"
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save(state, path, _use_new_zipfile_serialization=False)
    assert not path.read_bytes().startswith(b"PK")
    assert b"cuda:0" in path.read_bytes()
    loaded = load_vdvae(path, TINY).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded[name], value), name


# Stable and Versatile Diffusion


def assert_same_model(found: Backbone, expected: Backbone, scale: float) -> None:
    """The same noise, the same latents and the same features of nothing."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((1, *expected.spec.latent_shape), generator=generator)
    images = torch.rand((2, 3, 32, 32), generator=generator)
    with torch.inference_mode():
        for model in (found, expected):
            assert model.spec.conditioning == expected.spec.conditioning
            assert model.spec.image_size == expected.spec.image_size
        for name, value in expected.unconditional.items():
            torch.testing.assert_close(found.unconditional[name], value)
        condition = expected.condition(expected.unconditional)
        predictions = [model.predict(noise, 500, condition) for model in (found, expected)]
        torch.testing.assert_close(*predictions)
        latents = [model.encode(images) / model.spec.latent_scale for model in (found, expected)]
        torch.testing.assert_close(*latents)
    assert found.spec.latent_scale == scale
    sampling = Sampling("ddim", steps=50)
    schedules = [build_scheduler(model.spec.scheduler, sampling) for model in (found, expected)]
    for name in ("timesteps", "alphas_cumprod", "final_alpha_cumprod"):
        assert torch.equal(*[getattr(schedule, name) for schedule in schedules]), name


def test_stable_diffusion_1_4(tmp_path):
    """Safetensors with old names; no scale of the latents in the configuration."""
    folder = diffusion_models.write_stable_diffusion(tmp_path / "sd")
    expected = StableDiffusion.load(folder)
    published_models.as_stable_diffusion_1_4(folder)
    assert_same_model(StableDiffusion.load(folder), expected, SD_LATENT_SCALE)


def test_tokenizer(tmp_path):
    """Vocabulary and merges in two files, special tokens spelt out."""
    folder = ROOT / "workflow/demo_models/stable-diffusion"
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(folder / part, tmp_path / part)
    published_models.write_old_tokenizer(tmp_path / "tokenizer")
    texts = [
        "",
        "A Red car, on the  beach!",
        "don't, 42 z\u00e8bres \u2014 \U0001f600",
        "word " * 30,
    ]
    expected, found = (
        TextEncoder(path, projected=False).token_ids(texts) for path in (folder, tmp_path)
    )
    assert torch.equal(found, expected)
    assert len(expected.unique()) > 20


@pytest.fixture(scope="module")
def versatile_diffusion(tmp_path_factory) -> tuple[Path, VersatileDiffusion]:
    """A folder of the published form, and its model as today's libraries would store it."""
    folder = diffusion_models.write_versatile_diffusion(tmp_path_factory.mktemp("vd") / "vd")
    model = VersatileDiffusion.load(folder)
    return published_models.as_published_versatile_diffusion(folder), model


def test_versatile_diffusion(versatile_diffusion):
    """Pickles alone, old names, a text U-Net of channels in lists and without a size."""
    folder, expected = versatile_diffusion
    text_unet = json.loads((folder / "text_unet/config.json").read_text())
    assert text_unet["in_channels"] == [diffusion_models.WIDTH, 1, 1]
    assert text_unet["sample_size"] is None
    assert len(list(folder.rglob("*.bin"))) == 5
    assert not list(folder.rglob("*.safetensors"))
    assert_same_model(VersatileDiffusion.load(folder), expected, SD_LATENT_SCALE)


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_pickles_are_not_run(versatile_diffusion, tmp_path, part):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    folder, _ = versatile_diffusion
    (path,) = (folder / part).glob("*.bin")
    before = path.read_bytes()
    try:
        torch.save({"weight": Trap()}, path)
        with pytest.raises(InputError, match=f"{part}: found weights that do not load"):
            VersatileDiffusion.load(folder)
    finally:
        path.write_bytes(before)
    assert not (tmp_path / "sprung").exists()
