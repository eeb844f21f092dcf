"""What a painter of a background works with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..canvas import Canvas
from ..sampling import Scene


@dataclass
class Setting:
    """What a background painter needs: the canvas, the scene, its numbers and a generator."""

    canvas: Canvas
    scene: Scene
    rng: np.random.Generator

    @property
    def horizon(self) -> float:
        """y of the horizon or of the foot of the wall."""
        return self.scene.horizon

    @property
    def light_x(self) -> float:
        """x of the sun, moon, lamp or window."""
        return light_position(self.scene)

    def vary(self, index: int, low: float, high: float) -> float:
        """The scene's layout number `index`, stretched to [low, high)."""
        return low + (high - low) * self.scene.layout[index]

    def pick(self, index: int, options):
        """The option that the scene's layout number `index` chooses."""
        return options[int(self.scene.layout[index] * len(options))]


def light_position(scene: Scene) -> float:
    """x of the light."""
    return 0.15 + 0.7 * scene.layout[0]
