"""Procedurally drawn scenes: the simulated stimuli, their captions and what they mean."""

from __future__ import annotations

import numpy as np

from .backgrounds import exposure, paint_background
from .backgrounds.setting import light_position
from .canvas import Canvas
from .objects import paint_object
from .sampling import (
    CATEGORIES,
    LIGHTS,
    OBJECT_KINDS,
    Scene,
    sample_scene,
    scene_attributes,
)
from .wording import caption_scene

__all__ = [
    "CATEGORIES",
    "LIGHTS",
    "OBJECT_KINDS",
    "Scene",
    "caption_scene",
    "draw_scene",
    "sample_scene",
    "scene_attributes",
]


def draw_scene(scene: Scene, size: int) -> np.ndarray:
    """Draw a scene; a small drawing looks like a large one averaged down.

    Parameters
    ----------
    scene : from `sample_scene`.
    size : side of the picture in pixels.

    Returns
    -------
    uint8 array (size, size, 3), RGB.
    """
    canvas = Canvas(size, scene.seed)
    paint_background(canvas, scene)
    # From far to near; the main object comes last among equals, so that it is never hidden.
    ranked = sorted(enumerate(scene.objects), key=lambda pair: (pair[1].base, -pair[0]))
    for _, item in ranked:
        paint_object(canvas, item)
    return canvas.finish(exposure(scene), light_position(scene))
