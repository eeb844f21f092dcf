"""CLIP features: the spaces of the published pipelines, whatever the batch."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.pipelines.deprecated.versatile_diffusion import (
    pipeline_versatile_diffusion_dual_guided,
)
from transformers import CLIPTextModel, CLIPTokenizer

import diffusion_models
from nsdrecon.clip_features import (
    CLIP_MEAN,
    CLIP_STD,
    TextEncoder,
    VisionEncoder,
    clip_pixels,
    sd_text_features,
    sd_text_shape,
    vd_text_features,
    vd_text_shape,
    vd_vision_features,
    vd_vision_shape,
)
from nsdrecon.errors import InputError

GOLDEN = Path(__file__).parent / "golden" / "clip_pixels.npz"
IDS = np.array([9, 2, 40])
CAPTIONS = [["a cat", "cat 1", ""], ["dog", "", ""], ["a cat", "tree", "red car"]]

REFERENCE = pipeline_versatile_diffusion_dual_guided.VersatileDiffusionDualGuidedPipeline


def stimuli(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 40, 40, 3), dtype=np.uint8)


# Preprocessing


@pytest.mark.parametrize("name", ["landscape", "portrait", "small"])
def test_pixels_are_those_of_the_clip_processor(name):
    """Golden values: CLIPImageProcessorPil of transformers 5.23 for uint8 images, 28 pixels."""
    with np.load(GOLDEN, allow_pickle=False) as golden:
        image, expected = golden[name], golden[f"{name}_pixels"]
    np.testing.assert_array_equal(clip_pixels(image, 28), expected)


def test_an_image_of_the_right_size_is_only_standardised():
    image = stimuli(1)[0, :28, :28]
    expected = (image / 255 - CLIP_MEAN) / CLIP_STD
    np.testing.assert_allclose(clip_pixels(image, 28), expected.transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((28, 28, 3), dtype=np.float32),
        np.zeros((28, 28), dtype=np.uint8),
        np.zeros((28, 28, 4), dtype=np.uint8),
    ],
)
def test_images_whose_scale_would_be_a_guess_are_refused(image):
    with pytest.raises(InputError, match="uint8 RGB"):
        clip_pixels(image, 28)


# Definitions


def test_sd_text_is_the_mean_of_last_hidden_states_over_captions(sd_folder):
    tokenizer = CLIPTokenizer.from_pretrained(sd_folder / "tokenizer")
    model = CLIPTextModel.from_pretrained(sd_folder / "text_encoder").eval()
    found = sd_text_features(IDS, CAPTIONS, sd_folder)
    assert found.dtype == np.float32
    assert found.shape == (3, *sd_text_shape(sd_folder))
    for row, captions in zip(found, CAPTIONS, strict=True):
        ids = tokenizer(
            [text for text in captions if text],
            padding="max_length",
            max_length=diffusion_models.TOKENS,
            return_tensors="pt",
        ).input_ids
        with torch.inference_mode():
            expected = model(ids).last_hidden_state.mean(dim=0)
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_the_first_token_of_sd_text_is_the_same_for_all_captions(sd_folder):
    found = sd_text_features(IDS, CAPTIONS, sd_folder)
    np.testing.assert_allclose(found[:, 0], found[[0, 0, 0], 0], atol=1e-6)
    assert np.abs(found[0, 1:] - found[1, 1:]).max() > 0.01


def test_vd_text_is_normalised_by_the_pooled_token_as_in_diffusers(vd_folder):
    encoder = TextEncoder(vd_folder, projected=True)
    reference = SimpleNamespace(tokenizer=encoder.tokenizer, text_encoder=encoder.model)
    found = vd_text_features(IDS, CAPTIONS, vd_folder)
    assert found.shape == (3, *vd_text_shape(vd_folder))
    for row, captions in zip(found, CAPTIONS, strict=True):
        texts = [text for text in captions if text]
        with torch.inference_mode():
            expected = REFERENCE._encode_text_prompt(reference, texts, "cpu", 1, False)
        np.testing.assert_allclose(row, expected.mean(dim=0), atol=1e-5)


def test_vd_vision_is_normalised_by_the_class_token_as_in_diffusers(vd_folder):
    images = stimuli()
    encoder = VisionEncoder(vd_folder)
    pixels = torch.from_numpy(np.stack([clip_pixels(image, 28) for image in images]))
    reference = SimpleNamespace(
        image_encoder=encoder.model,
        image_feature_extractor=lambda **_: SimpleNamespace(pixel_values=pixels),
    )
    found = vd_vision_features(IDS, images, vd_folder)
    with torch.inference_mode():
        expected = REFERENCE._encode_image_prompt(reference, list(images), "cpu", 1, False)
    assert found.shape == (3, *vd_vision_shape(vd_folder))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[:, 0], axis=-1), 1, atol=1e-5)


# Identity, batches and order


@pytest.mark.parametrize("features", [sd_text_features, vd_text_features])
def test_text_features_do_not_depend_on_batch_order_or_shard(sd_folder, vd_folder, features):
    folder = sd_folder if features is sd_text_features else vd_folder
    whole = features(IDS, CAPTIONS, folder)
    order = [2, 0, 1]
    shuffled = features(IDS[order], [CAPTIONS[row][::-1] for row in order], folder, batch_size=1)
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-5)
    np.testing.assert_allclose(features(IDS[1:], CAPTIONS[1:], folder), whole[1:], atol=1e-5)


def test_vision_features_do_not_depend_on_batch_or_order(vd_folder):
    images = stimuli()
    whole = vd_vision_features(IDS, images, vd_folder)
    order = [2, 0, 1]
    shuffled = vd_vision_features(IDS[order], images[order], vd_folder, batch_size=2)
    np.testing.assert_allclose(shuffled, whole[order], atol=1e-5)


def test_an_array_of_captions_is_as_good_as_lists(sd_folder):
    np.testing.assert_array_equal(
        sd_text_features(IDS, np.array(CAPTIONS), sd_folder),
        sd_text_features(IDS, CAPTIONS, sd_folder),
    )


def test_a_caption_that_occurs_twice_is_encoded_once(sd_folder, monkeypatch):
    encoded = []
    encode = TextEncoder.encode

    def counting(self, texts):
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "encode", counting)
    sd_text_features(IDS, CAPTIONS, sd_folder)
    assert sorted(encoded) == ["a cat", "cat 1", "dog", "red car", "tree"]


# Bad input


@pytest.mark.parametrize("features", [sd_text_features, vd_text_features])
def test_images_without_a_caption_are_named(features, tmp_path):
    # The folder holds no model: captions are checked first.
    with pytest.raises(InputError, match="no caption for nsd_id 2, 40"):
        features(IDS, [["a cat"], ["", " "], []], tmp_path)


def test_captions_and_images_of_another_number_than_ids_are_refused(tmp_path):
    with pytest.raises(InputError, match="found 2 rows of captions; expected 3"):
        sd_text_features(IDS, CAPTIONS[:2], tmp_path)
    with pytest.raises(InputError, match="found 2 images; expected 3"):
        vd_vision_features(IDS, stimuli(2), tmp_path)
    with pytest.raises(InputError, match="double nsd_id 9"):
        vd_vision_features(np.array([9, 9]), stimuli(2), tmp_path)


def test_captions_that_are_too_long_are_cut_and_counted(sd_folder, caplog):
    with caplog.at_level(logging.WARNING):
        found = TextEncoder(sd_folder, projected=False).token_ids(["cat", "a" * 40])
    assert found.shape == (2, diffusion_models.TOKENS)
    assert "1 of 2 captions are longer than 12 tokens" in caplog.text


def test_a_tokenizer_without_a_vocabulary_is_refused(sd_folder, tmp_path):
    shutil.copytree(sd_folder / "tokenizer", tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="tokenizer: found no vocabulary"):
        sd_text_features(IDS, CAPTIONS, tmp_path)
