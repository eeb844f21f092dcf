"""Captions of scenes, in the manner of COCO: five annotators, each with an eye for other things."""

from __future__ import annotations

from dataclasses import dataclass

from .sampling import KIND_SPECS, Scene, SceneObject

MIN_WORDS, MAX_WORDS = 8, 14


@dataclass(frozen=True)
class PlaceWords:
    """How a category is spoken of: its name, where things are in it, and what is seen there."""

    name: str
    where: str
    near: str
    details: str


_PLACES = {
    "beach": PlaceWords("beach", "on a sandy beach", "by the sea", "sand and blue waves"),
    "forest": PlaceWords(
        "forest", "in a dark forest", "among tall trees", "trees and a narrow path"
    ),
    "lake": PlaceWords(
        "mountain lake", "at a mountain lake", "below snowy peaks", "mountains and calm water"
    ),
    "street": PlaceWords(
        "city street", "on a city street", "in front of tall buildings", "tall buildings and a road"
    ),
    "farm": PlaceWords(
        "farm field", "in a farm field", "behind a wooden fence", "a barn and crop rows"
    ),
    "desert": PlaceWords("desert", "in a dry desert", "on the hot sand", "sand dunes and a cactus"),
    "snow": PlaceWords(
        "snowy slope", "on a snowy slope", "in the white snow", "deep snow and pine trees"
    ),
    "harbour": PlaceWords(
        "harbour", "in a harbour town", "near the old houses", "water and colorful houses"
    ),
    "park": PlaceWords("park", "in a green park", "on the grass", "green grass and leafy trees"),
    "garden": PlaceWords(
        "garden", "in a flower garden", "next to the lawn", "many flowers and a lawn"
    ),
    "river": PlaceWords(
        "river", "at a wide river", "between green banks", "a winding river and green hills"
    ),
    "airport": PlaceWords("airport", "at an airport", "on the runway", "a runway and a tower"),
    "railway": PlaceWords(
        "train station", "at a train station", "next to the platform", "tracks and a platform"
    ),
    "market": PlaceWords(
        "street market",
        "at a street market",
        "in front of fruit stands",
        "stands full of fresh fruit",
    ),
    "stadium": PlaceWords(
        "sports stadium", "in a sports stadium", "in front of the crowd", "green turf and a crowd"
    ),
    "kitchen": PlaceWords(
        "kitchen", "in a kitchen", "near the stove", "a stove and wooden cabinets"
    ),
    "bedroom": PlaceWords(
        "bedroom", "in a bedroom", "near the window", "a window and long curtains"
    ),
    "lounge": PlaceWords(
        "living room", "in a living room", "beside a shelf of books", "a book shelf and a rug"
    ),
}

_LIGHTS = {
    "day": ("on a sunny day", "under a blue sky", "sunny"),
    "sunset": ("at sunset", "under an orange sky", "glowing"),
    "night": ("at night", "under a dark sky", "dark"),
    "overcast": ("on a cloudy day", "under a grey sky", "grey"),
}
_INDOOR_LIGHTS = {
    "day": ("during the day", "in bright light", "bright"),
    "night": ("in the evening", "in warm lamp light", "dim"),
}

# What an object does, if it does not simply stand there.
_VERBS = {
    "cat": "sitting",
    "elephant": "walking",
    "bird": "flying",
    "car": "parked",
    "bus": "stopped",
    "truck": "parked",
    "train": "waiting",
    "boat": "floating",
    "airplane": "parked",
    "kite": "flying",
    "ball": "lying",
}
# Another word for the same thing, as a second annotator might choose.
_OTHER_NAMES = {
    "dog": "puppy",
    "cat": "kitten",
    "boat": "sailboat",
    "airplane": "plane",
    "sofa": "couch",
    "person": "man",
    "car": "vehicle",
    "vase": "flower vase",
    "ball": "round ball",
    "house": "small house",
    "sheep": "woolly sheep",
    "train": "passenger train",
}
_SPOTS = {"left": "on the left", "middle": "in the middle", "right": "on the right"}


def _with_article(phrase: str) -> str:
    """Put "a" or "an" before a phrase."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _named(item: SceneObject) -> str:
    if item.kind == "person":
        return f"person in {item.colour}"
    return f"{item.colour} {item.kind}"


def _verb(item: SceneObject) -> str:
    return _VERBS.get(item.kind, "standing")


def _where(item: SceneObject, place: PlaceWords) -> str:
    """Where the object is: things in the sky are over the place, boats beside dry land."""
    preposition, rest = place.where.split(" ", 1)
    zone = KIND_SPECS[item.kind].zone
    if zone == "sky":
        preposition = "over"
    elif zone == "water" and preposition != "at":
        preposition = "near"
    return f"{preposition} {rest}"


def _fit(*parts: tuple[str, bool]) -> str:
    """Join parts (text, wanted): wanted ones always, others as long as there is room."""
    length = sum(len(text.split()) for text, wanted in parts if wanted)
    chosen = []
    for text, wanted in parts:
        words = 0 if wanted else len(text.split())
        if text and (wanted or length + words <= MAX_WORDS):
            chosen.append(text)
            length += words
    return " ".join(chosen) + "."


def _caption_with_objects(scene: Scene) -> tuple[str, ...]:
    place = _PLACES[scene.category]
    when, sky, mood = (_INDOOR_LIGHTS if scene.indoor else _LIGHTS)[scene.light]
    main, *others = scene.objects
    name, spot, where = _with_article(_named(main)), _SPOTS[main.place], _where(main, place)
    other_name = _with_article(_OTHER_NAMES.get(main.kind, main.kind))
    kinds = [_with_article(item.kind) for item in scene.objects]
    near = "in the sky" if KIND_SPECS[main.kind].zone == "sky" else place.near
    second = f"and {_with_article(_named(others[0]))}" if others else ""
    return (
        _fit((f"{name} {_verb(main)} {where}", True), (when, False), (near, False)),
        _fit(
            (f"{_with_article(f'{mood} {place.name}')} with {name}", True),
            (second, False),
            (spot, not others),
            (sky, False),
        ),
        _fit((f"there is {other_name} {near} {where}", True), (sky, False)),
        _fit(
            (f"a picture of {' and '.join(kinds[:2])} {place.where}", True),
            (f"with {kinds[2]}" if len(kinds) > 2 else "", False),
            (when, False),
        ),
        _fit(
            (f"{name} is {spot} of this {place.name}", True),
            (f"with {place.details}", False),
            (when, False),
        ),
    )


def _caption_without_objects(scene: Scene) -> tuple[str, ...]:
    place = _PLACES[scene.category]
    when, sky, mood = (_INDOOR_LIGHTS if scene.indoor else _LIGHTS)[scene.light]
    return (
        _fit((f"an empty {place.name} with {place.details}", True), (when, True)),
        _fit((f"a wide view of {_with_article(f'{mood} {place.name}')}", True), (sky, True)),
        _fit((f"there is nobody {place.where} {when}", True), (f"only {place.details}", False)),
        _fit((f"a picture of {place.details} {place.where}", True), (sky, False)),
        _fit((f"{place.details} can be seen {place.where}", True), (when, False)),
    )


def caption_scene(scene: Scene) -> tuple[str, ...]:
    """Five captions: what stands where; place and light; nearby things; all objects; position.

    Returns
    -------
    Five different sentences of 8 to 14 lower-case words with a final period.
    """
    return _caption_with_objects(scene) if scene.objects else _caption_without_objects(scene)
