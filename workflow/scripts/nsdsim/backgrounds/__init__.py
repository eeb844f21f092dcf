"""Pictures of the places: sky, ground, water, buildings and rooms behind the objects."""

from __future__ import annotations

import numpy as np

from ..canvas import Canvas, Colour
from ..sampling import Scene
from . import built, nature, rooms
from .setting import Setting

# Factor of each colour channel for everything that does not glow.
_EXPOSURES = {
    "day": (1.06, 1.04, 1.0),
    "sunset": (1.08, 0.8, 0.66),
    "night": (0.47, 0.53, 0.8),
    "overcast": (0.82, 0.85, 0.89),
}
_INDOOR_EXPOSURES = {"day": (1.05, 1.04, 1.02), "night": (0.86, 0.68, 0.48)}

_PAINTERS = {
    "beach": nature.beach,
    "forest": nature.forest,
    "lake": nature.lake,
    "street": built.street,
    "farm": built.farm,
    "desert": nature.desert,
    "snow": nature.snow,
    "harbour": built.harbour,
    "park": nature.park,
    "garden": nature.garden,
    "river": nature.river,
    "airport": built.airport,
    "railway": built.railway,
    "market": built.market,
    "stadium": built.stadium,
    "kitchen": rooms.kitchen,
    "bedroom": rooms.bedroom,
    "lounge": rooms.lounge,
}


def paint_background(canvas: Canvas, scene: Scene) -> None:
    """Paint the place of a scene over the whole canvas."""
    _PAINTERS[scene.category](Setting(canvas, scene, np.random.default_rng(scene.seed)))


def exposure(scene: Scene) -> Colour:
    """Factor of each colour channel under the scene's light."""
    return (_INDOOR_EXPOSURES if scene.indoor else _EXPOSURES)[scene.light]
