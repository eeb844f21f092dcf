"""Pictures of the objects, each in its own frame.

x goes from -0.5 to 0.5 of the width, y from 0 (foot) to 1 (top).
"""

from __future__ import annotations

import math

from .canvas import Canvas, Colour, mix, shade
from .sampling import KIND_SPECS, SceneObject

COLOURS: dict[str, Colour] = {
    "red": (205, 40, 38),
    "blue": (38, 84, 190),
    "yellow": (244, 205, 45),
    "white": (242, 241, 236),
    "green": (52, 140, 62),
    "orange": (236, 126, 32),
    "black": (36, 35, 40),
    "brown": (132, 82, 44),
    "grey": (140, 141, 148),
    "pink": (240, 130, 172),
    "purple": (128, 66, 160),
}
_SKIN = (226, 176, 140)
_GLASS = (150, 190, 215)
_DARK = (30, 30, 34)


class Pen:
    """Draws in the frame of one object."""

    def __init__(self, canvas: Canvas, item: SceneObject):
        self.canvas = canvas
        self.width = item.width * (-1 if item.flipped else 1)
        self.height = item.height
        self.x = item.x
        self.base = item.base

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return self.x + x * self.width, self.base - y * self.height

    def polygon(self, points, colour: Colour, **surface) -> None:
        """Fill a polygon."""
        self.canvas.polygon([self._point(x, y) for x, y in points], colour, **surface)

    def box(self, x0, y0, x1, y1, colour: Colour, **surface) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, **surface)

    def ellipse(self, x, y, rx, ry, colour: Colour, **surface) -> None:
        """Fill an ellipse; rx in widths, ry in heights."""
        centre = self._point(x, y)
        self.canvas.ellipse(*centre, rx * abs(self.width), ry * self.height, colour, **surface)

    def disc(self, x, y, radius, colour: Colour, **surface) -> None:
        """Fill a circle; the radius in heights."""
        centre = self._point(x, y)
        self.canvas.ellipse(*centre, radius * self.height, radius * self.height, colour, **surface)


def _person(pen: Pen, colour: Colour) -> None:
    trousers = mix((45, 55, 90), colour, 0.12)
    pen.polygon([(-0.26, 0), (-0.02, 0), (0.02, 0.46), (-0.28, 0.46)], trousers)
    pen.polygon([(0.26, 0), (0.02, 0), (-0.02, 0.46), (0.28, 0.46)], shade(trousers, 0.8))
    pen.polygon([(-0.34, 0.78), (-0.5, 0.44), (-0.36, 0.42), (-0.2, 0.72)], _SKIN)
    pen.polygon([(0.34, 0.78), (0.5, 0.44), (0.36, 0.42), (0.2, 0.72)], _SKIN)
    pen.polygon([(-0.32, 0.42), (0.32, 0.42), (0.38, 0.8), (-0.38, 0.8)], colour)
    pen.polygon([(0.1, 0.42), (0.32, 0.42), (0.38, 0.8), (0.16, 0.8)], shade(colour, 0.8))
    pen.disc(0, 0.9, 0.115, (70, 45, 30))
    pen.ellipse(0, 0.875, 0.22, 0.09, _SKIN)
    for x in (-0.09, 0.09):
        pen.disc(x, 0.885, 0.016, _DARK)


def _legs(pen: Pen, colour: Colour, xs, top: float, thickness: float) -> None:
    for index, x in enumerate(xs):
        pen.box(x, 0, x + thickness, top, shade(colour, 0.72 if index % 2 else 1.0))


def _dog(pen: Pen, colour: Colour) -> None:
    _legs(pen, colour, (-0.32, -0.22, 0.12, 0.22), 0.45, 0.085)
    pen.polygon([(-0.32, 0.5), (-0.5, 0.82), (-0.45, 0.85), (-0.26, 0.62)], colour)
    pen.ellipse(-0.03, 0.48, 0.33, 0.19, colour)
    pen.ellipse(-0.02, 0.41, 0.28, 0.1, mix(colour, (255, 245, 230), 0.35))
    pen.polygon([(0.12, 0.5), (0.3, 0.45), (0.36, 0.85), (0.18, 0.85)], colour)
    pen.disc(0.29, 0.8, 0.17, colour)
    pen.ellipse(0.42, 0.74, 0.09, 0.08, mix(colour, (255, 245, 230), 0.3))
    pen.disc(0.49, 0.77, 0.035, _DARK)
    pen.polygon([(0.16, 0.95), (0.27, 0.93), (0.2, 0.66), (0.13, 0.7)], shade(colour, 0.6))
    pen.disc(0.34, 0.84, 0.03, _DARK)


def _cat(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.2, 0.05), (-0.5, 0.2), (-0.46, 0.62), (-0.36, 0.6), (-0.36, 0.26)], colour)
    pen.ellipse(-0.02, 0.28, 0.33, 0.28, colour)
    pen.ellipse(0.05, 0.26, 0.16, 0.2, mix(colour, (255, 250, 240), 0.45))
    pen.box(-0.1, 0, 0.04, 0.12, shade(colour, 0.85))
    pen.box(0.1, 0, 0.24, 0.12, shade(colour, 0.85))
    pen.polygon([(-0.24, 0.72), (-0.2, 1.0), (0.02, 0.85)], colour)
    pen.polygon([(0.38, 0.72), (0.34, 1.0), (0.12, 0.85)], colour)
    pen.ellipse(0.07, 0.7, 0.33, 0.21, colour)
    for x in (-0.06, 0.2):
        pen.ellipse(x, 0.73, 0.055, 0.045, (170, 210, 80))
        pen.ellipse(x, 0.73, 0.02, 0.045, _DARK)
    pen.ellipse(0.07, 0.63, 0.1, 0.06, mix(colour, (255, 250, 240), 0.6))
    pen.ellipse(0.07, 0.65, 0.04, 0.025, (220, 110, 110))


def _horse(pen: Pen, colour: Colour) -> None:
    mane = shade(colour, 0.5) if sum(colour) > 200 else (90, 80, 75)
    _legs(pen, colour, (-0.33, -0.24, 0.1, 0.19), 0.42, 0.07)
    pen.polygon([(-0.34, 0.62), (-0.5, 0.5), (-0.47, 0.2), (-0.36, 0.45)], mane)
    pen.ellipse(-0.06, 0.52, 0.33, 0.16, colour)
    pen.polygon([(0.08, 0.6), (0.24, 0.45), (0.42, 0.88), (0.24, 0.96)], colour)
    pen.polygon([(0.26, 0.98), (0.36, 0.96), (0.52, 0.74), (0.44, 0.68), (0.3, 0.8)], colour)
    pen.polygon([(0.06, 0.64), (0.22, 0.99), (0.29, 0.96), (0.16, 0.62)], mane)
    pen.polygon([(0.25, 0.94), (0.28, 1.04), (0.33, 0.95)], colour)
    pen.disc(0.37, 0.88, 0.018, _DARK)


def _cow(pen: Pen, colour: Colour) -> None:
    patch = (36, 35, 40) if sum(colour) > 600 else (235, 230, 220)
    _legs(pen, colour, (-0.36, -0.27, 0.12, 0.21), 0.4, 0.08)
    pen.polygon([(-0.4, 0.74), (-0.47, 0.7), (-0.47, 0.3), (-0.43, 0.3)], shade(colour, 0.7))
    pen.polygon(
        [(-0.42, 0.4), (-0.42, 0.76), (-0.3, 0.82), (0.2, 0.82), (0.32, 0.7), (0.28, 0.34)], colour
    )
    pen.ellipse(-0.22, 0.62, 0.12, 0.15, patch)
    pen.ellipse(0.1, 0.66, 0.1, 0.13, patch)
    pen.ellipse(-0.1, 0.35, 0.06, 0.06, (240, 170, 170))
    pen.polygon([(0.2, 0.92), (0.4, 0.92), (0.46, 0.6), (0.3, 0.52)], colour)
    pen.polygon([(0.2, 0.96), (0.24, 1.06), (0.28, 0.92)], (225, 215, 190))
    pen.polygon([(0.36, 0.92), (0.42, 1.05), (0.42, 0.9)], (225, 215, 190))
    pen.ellipse(0.41, 0.6, 0.075, 0.09, (240, 180, 175))
    pen.disc(0.34, 0.8, 0.03, _DARK)


def _sheep(pen: Pen, colour: Colour) -> None:
    _legs(pen, (50, 45, 45), (-0.26, -0.16, 0.1, 0.2), 0.4, 0.07)
    for x, y in ((-0.3, 0.5), (-0.2, 0.66), (0, 0.7), (0.18, 0.64), (0.22, 0.48), (0, 0.42)):
        pen.ellipse(x, y, 0.17, 0.2, shade(colour, 0.86 + 0.2 * (y - 0.3)), grain=0.12)
    pen.ellipse(-0.04, 0.55, 0.3, 0.22, colour, grain=0.12)
    pen.ellipse(0.36, 0.7, 0.11, 0.17, (55, 48, 46))
    pen.ellipse(0.24, 0.78, 0.07, 0.05, (55, 48, 46))
    pen.ellipse(0.33, 0.86, 0.1, 0.08, colour, grain=0.12)
    pen.disc(0.4, 0.74, 0.03, (235, 230, 220))


def _elephant(pen: Pen, colour: Colour) -> None:
    _legs(pen, colour, (-0.4, -0.26, 0.0, 0.12), 0.45, 0.13)
    pen.ellipse(-0.12, 0.6, 0.34, 0.3, colour)
    pen.polygon([(0.34, 0.78), (0.48, 0.6), (0.47, 0.12), (0.4, 0.12), (0.39, 0.5)], colour)
    pen.disc(0.26, 0.72, 0.23, colour)
    pen.polygon([(0.34, 0.55), (0.54, 0.42), (0.52, 0.38), (0.32, 0.47)], (245, 240, 225))
    pen.ellipse(0.12, 0.72, 0.13, 0.23, shade(colour, 0.78))
    pen.disc(0.34, 0.77, 0.022, _DARK)
    pen.polygon([(-0.45, 0.65), (-0.5, 0.35), (-0.47, 0.35), (-0.42, 0.6)], shade(colour, 0.7))


def _bird(pen: Pen, colour: Colour) -> None:
    wing = shade(colour, 0.75)
    pen.polygon([(-0.06, 0.4), (-0.3, 1.0), (-0.44, 0.94), (-0.24, 0.4)], wing)
    pen.polygon([(0.1, 0.42), (0.06, 1.02), (-0.12, 0.98), (-0.12, 0.4)], colour)
    pen.ellipse(0.02, 0.34, 0.26, 0.17, colour)
    pen.polygon([(-0.2, 0.38), (-0.5, 0.42), (-0.46, 0.2)], wing)
    pen.disc(0.28, 0.42, 0.14, colour)
    pen.polygon([(0.35, 0.47), (0.35, 0.34), (0.5, 0.38)], (240, 160, 40))
    pen.disc(0.3, 0.46, 0.035, _DARK)


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.disc(x, radius, radius, (25, 25, 28))
    pen.disc(x, radius, radius * 0.5, (170, 170, 175))


def _car(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.3, 0.5), (-0.2, 0.95), (0.14, 0.95), (0.28, 0.5)], shade(colour, 0.85))
    pen.polygon([(-0.25, 0.54), (-0.17, 0.88), (-0.04, 0.88), (-0.04, 0.54)], _GLASS, glow=0.3)
    pen.polygon([(0.0, 0.54), (0.0, 0.88), (0.12, 0.88), (0.23, 0.54)], _GLASS, glow=0.3)
    pen.polygon(
        [(-0.5, 0.16), (-0.5, 0.5), (-0.44, 0.57), (0.3, 0.57), (0.48, 0.46), (0.5, 0.16)], colour
    )
    pen.box(-0.5, 0.16, 0.5, 0.26, shade(colour, 0.65))
    pen.disc(0.46, 0.4, 0.06, (255, 245, 190), glow=1.0)
    _wheel(pen, -0.28, 0.2)
    _wheel(pen, 0.28, 0.2)


def _bus(pen: Pen, colour: Colour) -> None:
    pen.box(-0.5, 0.14, 0.5, 1.0, colour)
    pen.box(-0.5, 0.14, 0.5, 0.26, shade(colour, 0.6))
    pen.box(-0.46, 0.92, 0.46, 1.0, mix(colour, (255, 255, 255), 0.5))
    for index in range(5):
        x = -0.45 + index * 0.165
        pen.box(x, 0.5, x + 0.135, 0.84, _GLASS, glow=0.5)
    pen.box(0.38, 0.3, 0.47, 0.84, _GLASS, glow=0.5)
    pen.box(-0.5, 0.36, 0.36, 0.42, (245, 240, 225))
    _wheel(pen, -0.28, 0.14)
    _wheel(pen, 0.26, 0.14)


def _truck(pen: Pen, colour: Colour) -> None:
    pen.box(-0.5, 0.22, 0.16, 1.0, (232, 228, 218))
    pen.box(-0.5, 0.22, 0.16, 0.34, (150, 148, 145))
    pen.box(-0.44, 0.55, 0.1, 0.72, colour)
    pen.polygon([(0.19, 0.16), (0.19, 0.82), (0.36, 0.82), (0.5, 0.5), (0.5, 0.16)], colour)
    pen.polygon([(0.27, 0.5), (0.27, 0.76), (0.35, 0.76), (0.45, 0.5)], _GLASS, glow=0.3)
    for x in (-0.36, -0.16, 0.34):
        _wheel(pen, x, 0.16)


def _train(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.5, 0.12), (-0.5, 0.95), (0.3, 0.95), (0.44, 0.75), (0.5, 0.12)], colour)
    pen.polygon([(-0.5, 0.9), (-0.5, 1.0), (0.28, 1.0), (0.34, 0.9)], (95, 98, 105))
    pen.polygon([(-0.5, 0.3), (-0.5, 0.42), (0.47, 0.42), (0.48, 0.3)], (245, 240, 225))
    for index in range(6):
        x = -0.48 + index * 0.125
        pen.box(x, 0.52, x + 0.095, 0.82, _GLASS, glow=0.5)
    pen.polygon([(0.31, 0.52), (0.31, 0.85), (0.38, 0.82), (0.44, 0.52)], _GLASS, glow=0.5)
    pen.disc(0.45, 0.24, 0.06, (255, 245, 190), glow=1.0)
    for index in range(6):
        pen.disc(-0.42 + index * 0.165, 0.08, 0.08, (28, 28, 32))


def _boat(pen: Pen, colour: Colour) -> None:
    pen.box(-0.02, 0.2, 0.02, 1.0, (92, 64, 42))
    pen.polygon([(0.05, 0.27), (0.05, 0.98), (0.45, 0.27)], (248, 246, 238))
    pen.polygon([(-0.05, 0.27), (-0.05, 0.85), (-0.34, 0.27)], mix(colour, (248, 246, 238), 0.25))
    pen.polygon([(-0.5, 0.22), (0.5, 0.22), (0.36, 0.0), (-0.36, 0.0)], colour)
    pen.polygon([(-0.5, 0.22), (0.5, 0.22), (0.46, 0.16), (-0.46, 0.16)], (240, 235, 220))


def _airplane(pen: Pen, colour: Colour) -> None:
    body = (240, 241, 244) if sum(colour) > 600 else mix(colour, (240, 241, 244), 0.25)
    tail = (60, 90, 170) if sum(colour) > 600 else colour
    pen.polygon([(-0.5, 1.0), (-0.42, 1.0), (-0.26, 0.55), (-0.46, 0.5)], tail)
    pen.polygon(
        [(-0.5, 0.48), (-0.42, 0.6), (0.36, 0.6), (0.5, 0.42), (0.4, 0.28), (-0.34, 0.28)], body
    )
    pen.polygon([(-0.42, 0.34), (0.46, 0.34), (0.4, 0.28), (-0.34, 0.28)], shade(body, 0.72))
    pen.polygon([(0.4, 0.54), (0.46, 0.47), (0.4, 0.46), (0.36, 0.54)], _DARK)
    for index in range(8):
        pen.ellipse(-0.3 + index * 0.08, 0.49, 0.018, 0.04, (60, 80, 110))
    pen.polygon([(-0.06, 0.42), (0.14, 0.42), (-0.14, 0.06), (-0.24, 0.06)], shade(body, 0.66))
    pen.ellipse(0.04, 0.2, 0.07, 0.07, shade(tail, 0.8))
    for x in (-0.1, 0.32):
        pen.box(x - 0.008, 0.06, x + 0.008, 0.3, (90, 90, 95))
        pen.disc(x, 0.06, 0.06, (25, 25, 28))


def _umbrella(pen: Pen, colour: Colour) -> None:
    pen.box(-0.02, 0, 0.02, 0.75, (110, 80, 55))
    segments = 6
    for index in range(segments):
        angles = [math.pi * (1 - (index + step / 4) / segments) for step in range(5)]
        rim = [(0.5 * math.cos(angle), 0.62 + 0.36 * math.sin(angle)) for angle in angles]
        fill = colour if index % 2 == 0 else mix(colour, (250, 246, 236), 0.75)
        foot = [(0.5 * math.cos(angle) * 0.96, 0.6) for angle in (angles[-1], angles[0])]
        pen.polygon([(0, 1.0), *rim, *foot], fill)


def _kite(pen: Pen, colour: Colour) -> None:
    pen.polygon([(0, 0.3), (-0.02, 0.15), (0.08, 0.0), (0.12, 0.02), (0.03, 0.16)], (250, 246, 236))
    pen.polygon([(0, 1.0), (0.5, 0.7), (0, 0.25), (-0.5, 0.7)], colour)
    pen.polygon([(0, 1.0), (0.5, 0.7), (0, 0.7)], mix(colour, (255, 255, 255), 0.55))
    pen.polygon([(-0.5, 0.7), (0, 0.25), (0, 0.7)], shade(colour, 0.7))


def _ball(pen: Pen, colour: Colour) -> None:
    pen.disc(0, 0.5, 0.5, shade(colour, 0.75))
    pen.disc(-0.04, 0.55, 0.44, colour)
    stripe = (60, 60, 70) if sum(colour) > 600 else (248, 246, 238)
    pen.ellipse(0.02, 0.5, 0.16, 0.47, stripe)
    pen.ellipse(0.02, 0.5, 0.07, 0.47, colour)
    pen.disc(-0.18, 0.72, 0.09, mix(colour, (255, 255, 255), 0.75))


def _tent(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.5, 0), (-0.1, 1.0), (0.14, 1.0), (0.5, 0)], shade(colour, 0.75))
    pen.polygon([(-0.5, 0), (-0.1, 1.0), (0.26, 0)], colour)
    pen.polygon([(-0.3, 0), (-0.1, 0.66), (0.06, 0)], (52, 42, 40))


def _house(pen: Pen, colour: Colour) -> None:
    roof = (110, 58, 46) if colour != COLOURS["red"] else (72, 66, 70)
    pen.box(-0.42, 0, 0.42, 0.58, mix(colour, (235, 225, 205), 0.15))
    pen.box(0.1, 0, 0.42, 0.58, shade(colour, 0.85))
    pen.polygon([(-0.5, 0.56), (-0.3, 1.0), (0.3, 1.0), (0.5, 0.56)], roof)
    pen.box(0.2, 0.85, 0.3, 1.08, (120, 110, 105))
    pen.box(-0.09, 0, 0.09, 0.36, (84, 54, 36))
    for x in (-0.33, 0.17):
        pen.box(x - 0.015, 0.2, x + 0.175, 0.47, (245, 242, 232))
        pen.box(x, 0.22, x + 0.16, 0.45, (250, 225, 140), glow=0.75)


def _tree(pen: Pen, colour: Colour) -> None:
    pen.polygon([(-0.1, 0), (0.1, 0), (0.05, 0.5), (-0.05, 0.5)], (96, 66, 42), grain=0.1)
    crown = ((-0.26, 0.55), (0.26, 0.56), (-0.16, 0.76), (0.18, 0.76), (0, 0.62), (0, 0.84))
    for x, y in crown:
        pen.ellipse(x, y, 0.25, 0.17, shade(colour, 0.55 + 0.55 * y), grain=0.2)


def _bench(pen: Pen, colour: Colour) -> None:
    for x in (-0.42, 0.36):
        pen.box(x, 0, x + 0.06, 0.9, (55, 55, 60))
    for y in (0.62, 0.82):
        pen.box(-0.5, y, 0.5, y + 0.15, colour)
    pen.box(-0.5, 0.38, 0.5, 0.52, shade(colour, 0.8))


def _chair(pen: Pen, colour: Colour) -> None:
    for x in (-0.42, 0.32):
        pen.box(x, 0, x + 0.11, 0.45, shade(colour, 0.6))
    pen.box(-0.42, 0.45, -0.3, 1.0, shade(colour, 0.75))
    pen.box(0.3, 0.45, 0.42, 1.0, shade(colour, 0.75))
    pen.box(-0.42, 0.62, 0.42, 1.0, colour)
    pen.polygon([(-0.5, 0.38), (0.5, 0.38), (0.42, 0.52), (-0.42, 0.52)], shade(colour, 0.9))


def _table(pen: Pen, colour: Colour) -> None:
    for x in (-0.44, 0.37):
        pen.box(x, 0, x + 0.07, 0.8, shade(colour, 0.65))
    pen.polygon(
        [(-0.5, 0.74), (0.5, 0.74), (0.42, 0.9), (-0.42, 0.9)], mix(colour, (255,) * 3, 0.2)
    )
    pen.box(-0.5, 0.66, 0.5, 0.76, colour)
    for x, fruit in ((-0.16, (205, 40, 38)), (-0.06, (240, 190, 40)), (0.04, (110, 160, 50))):
        pen.disc(x, 0.94, 0.11, fruit)
    pen.polygon([(-0.26, 0.94), (0.14, 0.94), (0.08, 0.8), (-0.2, 0.8)], (240, 240, 245))


def _sofa(pen: Pen, colour: Colour) -> None:
    for x in (-0.42, 0.36):
        pen.box(x, 0, x + 0.06, 0.15, (70, 48, 32))
    pen.box(-0.44, 0.3, 0.44, 1.0, shade(colour, 0.85))
    pen.box(-0.4, 0.1, 0.4, 0.36, shade(colour, 0.72))
    pen.box(-0.38, 0.34, -0.01, 0.52, mix(colour, (255,) * 3, 0.15))
    pen.box(0.01, 0.34, 0.38, 0.52, mix(colour, (255,) * 3, 0.15))
    pen.box(-0.5, 0.1, -0.36, 0.68, colour)
    pen.box(0.36, 0.1, 0.5, 0.68, colour)
    pen.box(0.18, 0.48, 0.34, 0.82, (246, 240, 225))


def _bed(pen: Pen, colour: Colour) -> None:
    wood = (120, 78, 48)
    pen.box(-0.5, 0, -0.44, 1.0, wood)
    pen.box(0.45, 0, 0.5, 0.55, wood)
    pen.box(-0.46, 0.12, 0.48, 0.3, shade(wood, 0.8))
    pen.box(-0.44, 0.28, 0.46, 0.5, (240, 238, 232))
    pen.polygon([(-0.2, 0.2), (-0.2, 0.58), (0.4, 0.58), (0.47, 0.5), (0.47, 0.2)], colour)
    pen.polygon(
        [(-0.2, 0.5), (-0.2, 0.6), (-0.08, 0.6), (-0.08, 0.2)], mix(colour, (255,) * 3, 0.45)
    )
    pen.ellipse(-0.32, 0.6, 0.12, 0.14, (252, 250, 246))


def _vase(pen: Pen, colour: Colour) -> None:
    for x in (-0.3, -0.1, 0.12, 0.32):
        pen.polygon([(-0.02, 0.4), (0.04, 0.4), (x + 0.04, 0.8), (x - 0.02, 0.8)], (52, 120, 56))
    for x, y in ((-0.32, 0.76), (0.32, 0.78), (-0.12, 0.9), (0.14, 0.88), (0, 0.72)):
        pen.disc(x, y, 0.11, colour)
        pen.disc(x, y, 0.045, (250, 215, 90))
    pen.polygon(
        [(-0.16, 0), (0.16, 0), (0.28, 0.22), (0.14, 0.46), (-0.14, 0.46), (-0.28, 0.22)],
        (70, 120, 170),
    )
    pen.polygon([(-0.1, 0.05), (-0.02, 0.05), (-0.08, 0.4), (-0.2, 0.22)], (150, 190, 220))


_PAINTERS = {
    "person": _person,
    "dog": _dog,
    "cat": _cat,
    "horse": _horse,
    "cow": _cow,
    "sheep": _sheep,
    "elephant": _elephant,
    "bird": _bird,
    "car": _car,
    "bus": _bus,
    "truck": _truck,
    "train": _train,
    "boat": _boat,
    "airplane": _airplane,
    "umbrella": _umbrella,
    "kite": _kite,
    "ball": _ball,
    "tent": _tent,
    "house": _house,
    "tree": _tree,
    "bench": _bench,
    "chair": _chair,
    "table": _table,
    "sofa": _sofa,
    "bed": _bed,
    "vase": _vase,
}


def paint_object(canvas: Canvas, item: SceneObject) -> None:
    """Paint one object, with its shadow if it stands on the ground."""
    zone = KIND_SPECS[item.kind].zone
    if zone == "ground":
        canvas.shadow(item.x, item.base, item.width * 0.54, 0.014 + 0.02 * item.width, 0.42)
    elif zone == "water":
        half = item.width * 0.5
        canvas.ellipse(item.x, item.base, half, 0.02, (225, 235, 240), streak=0.15)
    _PAINTERS[item.kind](Pen(canvas, item), COLOURS[item.colour])
