"""Drawn scenes: pictures, captions and attributes that belong together."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nsdrecon.randomness import generator
from nsdsim.scenes import (
    CATEGORIES,
    LIGHTS,
    OBJECT_KINDS,
    caption_scene,
    draw_scene,
    sample_scene,
    scene_attributes,
)
from nsdsim.wording import MAX_WORDS, MIN_WORDS

GOLDEN = Path(__file__).parent / "golden" / "scenes.png"
THUMBNAIL = 16
SHEET_COLUMNS = 6


def scenes(n, seed=0):
    rng = np.random.default_rng(seed)
    return [sample_scene(rng) for _ in range(n)]


def shrunk(picture, size):
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, dtype=float)


@pytest.fixture(scope="module")
def many():
    return scenes(400)


def test_the_draw_covers_all_there_is(many):
    assert {scene.category for scene in many} == set(CATEGORIES)
    assert {scene.light for scene in many} == set(LIGHTS)
    assert {item.kind for scene in many for item in scene.objects} == set(OBJECT_KINDS)
    assert {len(scene.objects) for scene in many} == {0, 1, 2, 3}
    assert len(CATEGORIES) >= 14
    assert len(OBJECT_KINDS) >= 12


def test_scenes_are_values():
    first, again = scenes(3), scenes(3)
    assert first == again
    assert len({*first, *again}) == 3


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([32, 64, 97]))
def test_a_picture_follows_from_its_scene(seed, size):
    scene = sample_scene(np.random.default_rng(seed))
    picture = draw_scene(scene, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5
    np.testing.assert_array_equal(picture, draw_scene(scene, size))


def test_a_small_drawing_is_a_large_one_averaged_down():
    for scene in scenes(8, seed=1):
        small = draw_scene(scene, 64).astype(float)
        large = shrunk(draw_scene(scene, 425), 64)
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.97
        assert np.abs(small - large).mean() < 8


def test_an_object_is_where_it_is_said_to_be():
    for scene in scenes(40, seed=2):
        if len(scene.objects) != 1:
            continue
        [item] = scene.objects
        bare = type(scene)(scene.category, scene.light, scene.horizon, scene.layout, (), scene.seed)
        changed = np.any(draw_scene(scene, 64) != draw_scene(bare, 64), axis=-1)
        columns = (np.flatnonzero(changed.any(axis=0)) + 0.5) / 64
        assert changed.mean() > 0.01
        assert columns.min() > item.x - 0.6 * item.width - 0.05
        assert columns.max() < item.x + 0.6 * item.width + 0.05


def test_categories_can_be_told_apart_at_a_glance():
    """By day, a blurred picture is nearer to its own category's mean than to the others'."""
    bright = [scene for scene in scenes(600, seed=4) if scene.light == "day"]
    pictures = np.array([shrunk(draw_scene(scene, 32), 8).ravel() for scene in bright])
    names = np.array([scene.category for scene in bright])
    half = len(bright) // 2
    centres = np.array([pictures[:half][names[:half] == name].mean(axis=0) for name in CATEGORIES])
    distances = ((pictures[half:, None] - centres) ** 2).sum(axis=-1)
    hits = np.array(CATEGORIES)[distances.argmin(axis=1)] == names[half:]
    assert hits.mean() > 0.6  # chance: 1 in 18


def test_five_different_captions_name_scene_and_main_object(many):
    words = Counter()
    for scene in many:
        captions = caption_scene(scene)
        assert len(captions) == len(set(captions)) == 5
        for caption in captions:
            assert caption.endswith(".")
            text = caption[:-1]
            assert text == text.lower()
            assert all(word.isalpha() for word in text.split(" "))
            assert MIN_WORDS <= len(text.split()) <= MAX_WORDS
            words.update(text.split())
        if scene.objects:
            main = scene.objects[0]
            assert sum(main.kind in caption for caption in captions) >= 4
            assert sum(main.colour in caption for caption in captions) >= 3
            assert any(main.place in caption for caption in captions)
    assert len(words) < 250


def test_captions_of_a_category_share_its_name(many):
    """In every caption of a category there is a word that is rare in the others'."""
    said = {name: Counter() for name in CATEGORIES}
    for scene in many:
        for caption in caption_scene(scene):
            said[scene.category].update(set(caption[:-1].split()))
    for scene in many:
        for caption in caption_scene(scene):
            shares = [
                said[scene.category][word] / sum(counts[word] for counts in said.values())
                for word in set(caption[:-1].split())
            ]
            assert max(shares) > 0.45, caption


def test_attributes_describe_the_scene(many):
    names = list(scene_attributes(many[0]))
    for scene in many:
        attributes = scene_attributes(scene)
        assert list(attributes) == names
        present = {name for name, value in attributes.items() if value > 0}
        kinds = {f"object:{item.kind}" for item in scene.objects}
        assert {name for name in present if name.startswith("object:")} == kinds
        assert f"category:{scene.category}" in present
        assert f"light:{scene.light}" in present
        assert attributes["animate"] + attributes["inanimate"] == len(scene.objects)


def contact_sheet():
    """The first scene of each category, as thumbnails."""
    first = {scene.category: scene for scene in reversed(scenes(400))}
    thumbnails = [shrunk(draw_scene(first[name], 64), THUMBNAIL) for name in CATEGORIES]
    rows = [
        np.concatenate(thumbnails[start : start + SHEET_COLUMNS], axis=1)
        for start in range(0, len(thumbnails), SHEET_COLUMNS)
    ]
    return np.concatenate(rows).astype(np.uint8)


def test_pictures_look_as_when_the_demo_models_were_trained():
    kept = np.asarray(Image.open(GOLDEN), dtype=float)
    assert np.abs(contact_sheet() - kept).mean() < 2


def test_layout_numbers_stay_below_one():
    """They choose among options: rounded up to 1, a number would choose one beyond the last."""
    for index in range(3000):
        assert max(sample_scene(generator("demo-models", "train", 0, index)).layout) < 1
