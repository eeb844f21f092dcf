"""What a simulated scene is: its category, light and objects, and how scenes are drawn at random.

All geometry is relative to the picture: x runs from 0 (left) to 1 (right), y from 0 (top) to 1
(bottom), sizes are fractions of the picture's side. A scene is therefore independent of the
resolution at which it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

LIGHTS = ("day", "sunset", "night", "overcast")
PLACES = ("left", "middle", "right")

_OUTDOOR_LIGHTS = {"day": 0.46, "sunset": 0.2, "night": 0.14, "overcast": 0.2}
_INDOOR_LIGHTS = {"day": 0.65, "night": 0.35}


@dataclass(frozen=True)
class KindSpec:
    """What is typical of one kind of object.

    Attributes
    ----------
    height : range of heights (fraction of the picture).
    aspect : width divided by height.
    colours : names of the colours it can have.
    animate : whether it is alive and moves by itself.
    zone : where it is found: "ground", "water" or "sky".
    """

    height: tuple[float, float]
    aspect: float
    colours: tuple[str, ...]
    animate: bool = False
    zone: str = "ground"


_PAINTS = ("red", "blue", "yellow", "white", "green", "orange", "black")

KIND_SPECS: Mapping[str, KindSpec] = {
    "person": KindSpec(
        (0.46, 0.64), 0.42, ("red", "blue", "yellow", "white", "green", "pink"), True
    ),
    "dog": KindSpec((0.30, 0.42), 1.2, ("brown", "black", "white", "orange"), True),
    "cat": KindSpec((0.32, 0.44), 0.8, ("orange", "black", "white", "grey"), True),
    "horse": KindSpec((0.46, 0.58), 1.15, ("brown", "white", "black"), True),
    "cow": KindSpec((0.36, 0.48), 1.35, ("white", "brown", "black"), True),
    "sheep": KindSpec((0.30, 0.40), 1.25, ("white", "grey"), True),
    "elephant": KindSpec((0.46, 0.58), 1.3, ("grey",), True),
    "bird": KindSpec((0.18, 0.26), 1.7, ("white", "black", "red", "blue"), True, "sky"),
    "car": KindSpec((0.22, 0.30), 2.0, _PAINTS),
    "bus": KindSpec((0.34, 0.44), 1.7, ("red", "yellow", "blue", "green", "orange")),
    "truck": KindSpec((0.34, 0.42), 1.7, ("red", "blue", "white", "yellow", "green")),
    "train": KindSpec((0.30, 0.38), 2.4, ("red", "blue", "yellow", "green", "white")),
    "boat": KindSpec((0.34, 0.50), 1.1, ("white", "red", "blue", "yellow", "black"), zone="water"),
    "airplane": KindSpec((0.24, 0.34), 2.4, ("white", "red", "blue", "grey")),
    "umbrella": KindSpec((0.40, 0.54), 0.95, ("red", "yellow", "blue", "green", "pink", "orange")),
    "kite": KindSpec((0.22, 0.30), 0.75, ("red", "yellow", "blue", "pink", "green"), zone="sky"),
    "ball": KindSpec((0.18, 0.26), 1.0, ("red", "yellow", "blue", "white", "orange")),
    "tent": KindSpec((0.30, 0.42), 1.5, ("orange", "blue", "red", "yellow", "green")),
    "house": KindSpec((0.36, 0.48), 1.2, ("red", "white", "yellow", "blue", "brown")),
    "tree": KindSpec((0.48, 0.66), 0.75, ("green", "orange", "yellow")),
    "bench": KindSpec((0.22, 0.28), 2.0, ("brown", "red", "green", "white")),
    "chair": KindSpec((0.36, 0.48), 0.65, ("red", "blue", "brown", "white", "yellow", "green")),
    "table": KindSpec((0.28, 0.34), 1.8, ("brown", "white", "black")),
    "sofa": KindSpec((0.36, 0.44), 1.7, ("red", "blue", "green", "grey", "brown", "yellow")),
    "bed": KindSpec((0.42, 0.50), 1.5, ("red", "blue", "white", "green", "purple", "pink")),
    "vase": KindSpec((0.34, 0.46), 0.6, ("red", "yellow", "pink", "white", "purple")),
}
OBJECT_KINDS = tuple(KIND_SPECS)


@dataclass(frozen=True)
class CategorySpec:
    """What is typical of one category of scenes.

    Attributes
    ----------
    objects : weight of each kind of object that suits the scene.
    horizon : range of the horizon (outdoors) or of the foot of the wall (indoors), y.
    ground : range of y on which the feet of objects stand.
    water : range of y on which boats float (None: no water).
    staple : kind that nearly always belongs to the scene (None: no such kind).
    indoor : whether the scene is inside a building.
    """

    objects: Mapping[str, float]
    horizon: tuple[float, float]
    ground: tuple[float, float] = (0.86, 0.97)
    water: tuple[float, float] | None = None
    staple: str | None = None
    indoor: bool = False


CATEGORY_SPECS: Mapping[str, CategorySpec] = {
    "beach": CategorySpec(
        {"person": 3, "umbrella": 4, "dog": 2, "ball": 2, "kite": 2, "bird": 1, "boat": 1},
        (0.34, 0.46),
        water=(0.56, 0.6),
    ),
    "forest": CategorySpec(
        {"person": 2, "dog": 2, "tent": 3, "horse": 1, "bird": 1, "elephant": 1}, (0.5, 0.6)
    ),
    "lake": CategorySpec(
        {"boat": 4, "bird": 2, "person": 2, "dog": 1, "tent": 2, "horse": 1},
        (0.48, 0.58),
        water=(0.74, 0.82),
    ),
    "street": CategorySpec({"car": 4, "bus": 3, "truck": 2, "person": 2, "dog": 1}, (0.52, 0.6)),
    "farm": CategorySpec(
        {"cow": 3, "sheep": 3, "horse": 3, "house": 2, "truck": 1, "tree": 1, "dog": 1},
        (0.38, 0.5),
    ),
    "desert": CategorySpec(
        {"elephant": 2, "truck": 2, "person": 2, "tent": 2, "horse": 1, "car": 1}, (0.46, 0.58)
    ),
    "snow": CategorySpec({"person": 4, "house": 2, "dog": 2, "tree": 2, "horse": 1}, (0.42, 0.54)),
    "harbour": CategorySpec(
        {"boat": 4, "bird": 2, "person": 1}, (0.36, 0.44), water=(0.72, 0.86), staple="boat"
    ),
    "park": CategorySpec(
        {"dog": 3, "person": 3, "bench": 3, "ball": 2, "kite": 2, "tree": 1, "bird": 1},
        (0.4, 0.5),
    ),
    "garden": CategorySpec(
        {"cat": 3, "chair": 2, "table": 2, "vase": 1, "umbrella": 2, "bird": 1, "person": 1},
        (0.34, 0.42),
    ),
    "river": CategorySpec(
        {"elephant": 2, "boat": 3, "bird": 2, "cow": 1, "house": 1, "horse": 1},
        (0.36, 0.46),
        water=(0.72, 0.84),
    ),
    "airport": CategorySpec(
        {"airplane": 5, "truck": 2, "person": 1, "bus": 1},
        (0.5, 0.58),
        ground=(0.76, 0.92),
        staple="airplane",
    ),
    "railway": CategorySpec(
        {"train": 5, "person": 2, "bench": 1}, (0.44, 0.52), ground=(0.8, 0.92), staple="train"
    ),
    "market": CategorySpec(
        {"person": 4, "umbrella": 2, "dog": 2, "table": 1, "vase": 1, "truck": 1}, (0.56, 0.64)
    ),
    "stadium": CategorySpec({"person": 4, "ball": 4, "dog": 1, "kite": 0.5}, (0.36, 0.46)),
    "kitchen": CategorySpec(
        {"table": 3, "chair": 3, "vase": 2, "cat": 2, "person": 2, "dog": 1},
        (0.74, 0.8),
        ground=(0.92, 0.98),
        indoor=True,
    ),
    "bedroom": CategorySpec(
        {"bed": 5, "cat": 2, "chair": 1, "vase": 1, "dog": 1},
        (0.62, 0.7),
        ground=(0.9, 0.97),
        staple="bed",
        indoor=True,
    ),
    "lounge": CategorySpec(
        {"sofa": 5, "cat": 2, "dog": 2, "person": 1, "vase": 2, "table": 1},
        (0.64, 0.72),
        ground=(0.9, 0.97),
        staple="sofa",
        indoor=True,
    ),
}
CATEGORIES = tuple(CATEGORY_SPECS)

_STAPLE_PROBABILITY = 0.9
_NUMBER_OF_OBJECTS = {0: 0.08, 1: 0.5, 2: 0.32, 3: 0.1}
_PLACE_X = {"left": 0.23, "middle": 0.5, "right": 0.77}
_N_LAYOUT = 8


@dataclass(frozen=True)
class SceneObject:
    """One object: what it is and where (x: centre, base: y of its foot, both relative)."""

    kind: str
    colour: str
    place: str
    x: float
    base: float
    height: float
    flipped: bool

    @property
    def width(self) -> float:
        """Width as a fraction of the picture."""
        return self.height * KIND_SPECS[self.kind].aspect

    @property
    def area(self) -> float:
        """Area of the object's box as a fraction of the picture's."""
        return self.height * self.width


@dataclass(frozen=True)
class Scene:
    """A scene, complete: the picture and the captions follow from it alone.

    Attributes
    ----------
    category, light : one of CATEGORIES and of LIGHTS.
    horizon : y of the horizon, or of the foot of the wall indoors.
    layout : numbers in [0, 1) that vary the background (positions, shades, shapes).
    objects : from the main object on, in falling order of importance.
    seed : seed of textures and small details.
    """

    category: str
    light: str
    horizon: float
    layout: tuple[float, ...]
    objects: tuple[SceneObject, ...]
    seed: int

    @property
    def indoor(self) -> bool:
        """Whether the scene is inside a building."""
        return CATEGORY_SPECS[self.category].indoor


def _choose(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """Draw one key; values are relative probabilities."""
    options = list(weights)
    probabilities = np.array([weights[option] for option in options], dtype=float)
    return options[rng.choice(len(options), p=probabilities / probabilities.sum())]


def _sample_object(
    rng: np.random.Generator, spec: CategorySpec, kind: str, place: str, main: bool
) -> SceneObject:
    kind_spec = KIND_SPECS[kind]
    height = rng.uniform(*kind_spec.height) * (1.0 if main else 0.78)
    half_width = height * kind_spec.aspect / 2
    # Nearly the whole of an object stays within the picture.
    margin = min(half_width * 0.85, 0.5)
    x = float(np.clip(_PLACE_X[place] + rng.uniform(-0.05, 0.05), margin, 1 - margin))
    if kind_spec.zone == "sky":
        base = rng.uniform(0.08, 0.16) + height
    elif kind_spec.zone == "water" and spec.water is not None:
        base = rng.uniform(*spec.water)
        if spec.water[1] < 0.65:  # far from the shore, hence small
            height *= 0.7
    else:
        base = rng.uniform(*spec.ground)
    return SceneObject(
        kind=kind,
        colour=str(rng.choice(kind_spec.colours)),
        place=place,
        x=round(x, 4),
        base=round(float(base), 4),
        height=round(float(height), 4),
        flipped=bool(rng.random() < 0.5),
    )


def _sample_objects(rng: np.random.Generator, spec: CategorySpec) -> tuple[SceneObject, ...]:
    count = max(_choose(rng, _NUMBER_OF_OBJECTS), int(spec.staple is not None))
    weights = dict(spec.objects)
    places = list(rng.permutation(PLACES))
    objects: list[SceneObject] = []
    for index in range(count):
        wants_staple = index == 0 and spec.staple and rng.random() < _STAPLE_PROBABILITY
        kind = spec.staple if wants_staple else _choose(rng, weights)
        del weights[kind]
        objects.append(_sample_object(rng, spec, kind, str(places[index]), main=index == 0))
    return tuple(objects)


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene at random: every category is equally likely.

    Parameters
    ----------
    rng : generator; it is advanced, so that repeated calls give different scenes.
    """
    category = CATEGORIES[rng.integers(len(CATEGORIES))]
    spec = CATEGORY_SPECS[category]
    return Scene(
        category=category,
        light=_choose(rng, _INDOOR_LIGHTS if spec.indoor else _OUTDOOR_LIGHTS),
        horizon=round(float(rng.uniform(*spec.horizon)), 4),
        # Rounding must not reach 1: numbers choose among options.
        layout=tuple(min(round(float(value), 4), 0.9999) for value in rng.random(_N_LAYOUT)),
        objects=_sample_objects(rng, spec),
        seed=int(rng.integers(2**31)),
    )


def scene_attributes(scene: Scene) -> dict[str, float]:
    """Semantic attributes of a scene, in a fixed order with fixed names.

    Returns
    -------
    dict of name -> value: ``category:<c>`` and ``light:<l>`` are 0 or 1; ``object:<k>`` is the
    square root of the area covered by objects of the kind; ``indoor`` is 0 or 1; ``animate`` and
    ``inanimate`` count objects.
    """
    attributes = {f"category:{name}": float(scene.category == name) for name in CATEGORIES}
    attributes |= {f"light:{name}": float(scene.light == name) for name in LIGHTS}
    for kind in OBJECT_KINDS:
        area = sum(item.area for item in scene.objects if item.kind == kind)
        attributes[f"object:{kind}"] = float(np.sqrt(area))
    n_animate = sum(KIND_SPECS[item.kind].animate for item in scene.objects)
    attributes["indoor"] = float(scene.indoor)
    attributes["animate"] = float(n_animate)
    attributes["inanimate"] = float(len(scene.objects) - n_animate)
    return attributes
