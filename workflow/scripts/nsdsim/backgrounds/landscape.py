"""What several places are made of: sky, hills, trees, water, windows."""

from __future__ import annotations

import math

import numpy as np

from ..canvas import Colour, shade
from .setting import Setting

# Sky: colour at the top and at the horizon.
SKIES = {
    "day": ((70, 140, 225), (185, 220, 245)),
    "sunset": ((92, 70, 140), (255, 158, 70)),
    "night": ((8, 12, 38), (32, 42, 88)),
    "overcast": ((150, 157, 166), (205, 208, 210)),
}
_CLOUDS = {
    "day": (250, 251, 253),
    "sunset": (245, 130, 105),
    "night": (40, 48, 84),
    "overcast": (122, 130, 140),
}


def sky(s: Setting, horizon: float | None = None) -> None:
    """The sky of the scene's light down to the horizon: sun, moon or stars, and clouds."""
    horizon = s.horizon if horizon is None else horizon
    light = s.scene.light
    top, bottom = SKIES[light]
    s.canvas.gradient(0, horizon + 0.02, top, bottom, glow=1.0)
    height = min(horizon, 0.5)
    if light == "sunset":
        y = height * s.vary(1, 0.62, 0.86)
        s.canvas.ellipse(s.light_x, y, 0.15, 0.15, (255, 186, 92), glow=1.0)
        s.canvas.ellipse(s.light_x, y, 0.09, 0.09, (255, 236, 170), glow=1.0)
    elif light == "day":
        s.canvas.ellipse(s.light_x, height * 0.22, 0.065, 0.065, (255, 250, 205), glow=1.0)
    elif light == "night":
        for x, y, r in s.rng.random((16, 3)):
            radius = 0.004 + 0.006 * r
            s.canvas.ellipse(x, y * height, radius, radius, (235, 235, 215), glow=1.0)
        s.canvas.ellipse(s.light_x, height * 0.32, 0.075, 0.075, (244, 240, 214), glow=1.0)
        s.canvas.ellipse(s.light_x + 0.025, height * 0.3, 0.06, 0.06, (222, 219, 196), glow=1.0)
    n_clouds = {"day": int(s.vary(2, 0, 4)), "sunset": 3, "night": 1, "overcast": 8}[light]
    for x, y, width in s.rng.random((n_clouds, 3)):
        _cloud(s, x, height * (0.12 + 0.6 * y), 0.1 + 0.12 * width)


def _cloud(s: Setting, x: float, y: float, width: float) -> None:
    colour = _CLOUDS[s.scene.light]
    flat = 0.55 if s.scene.light == "day" else 0.3
    for dx, dy, r in ((-0.7, 0.1, 0.5), (0, -0.12, 0.7), (0.7, 0.08, 0.55), (0.2, 0.15, 0.8)):
        s.canvas.ellipse(
            x + dx * width, y + dy * width, r * width, r * width * flat, colour, streak=0.05, glow=1
        )


def ridge(
    s: Setting, base: float, height: float, colour: Colour, n_peaks: int, rough=0.4, **surface
):
    """A chain of hills or peaks; returns the summits' positions."""
    xs = np.linspace(-0.1, 1.1, 2 * n_peaks + 1) + s.rng.uniform(-0.03, 0.03, 2 * n_peaks + 1)
    tops = s.rng.uniform(1 - rough, 1.0, 2 * n_peaks + 1)
    tops[::2] *= 0.45
    ys = base - height * tops
    points = list(zip(xs, ys, strict=True))
    s.canvas.polygon([(-0.2, base), *points, (1.2, base)], colour, **surface)
    return [points[index - 1 : index + 2] for index in range(1, 2 * n_peaks, 2)]


def hills(s: Setting, base: float, height: float, colour: Colour, **surface) -> None:
    """Round hills: a sum of two waves."""
    xs = np.linspace(0, 1, 33)
    phase = s.rng.uniform(0, 2 * math.pi, 2)
    ys = base - height * (
        0.5 + 0.32 * np.sin(5 * xs + phase[0]) + 0.18 * np.sin(11 * xs + phase[1])
    )
    s.canvas.polygon([(0, base), *zip(xs, ys, strict=True), (1, base)], colour, **surface)


def conifer(s: Setting, x: float, base: float, height: float, colour: Colour) -> None:
    """A conifer that stands on `base`."""
    s.canvas.box(x - 0.012, base - 0.12 * height, x + 0.012, base, (84, 58, 40))
    for level in range(3):
        bottom = base - height * (0.1 + 0.25 * level)
        half = height * (0.23 - 0.055 * level)
        top = bottom - height * 0.42
        s.canvas.polygon(
            [(x - half, bottom), (x + half, bottom), (x, top)],
            shade(colour, 0.82 + 0.15 * level),
            grain=0.12,
        )


def bush(s: Setting, x: float, base: float, size: float, colour: Colour) -> None:
    """A round bush that stands on `base`."""
    for dx, dy, r in ((-0.6, 0.3, 0.5), (0.6, 0.3, 0.5), (0, 0.55, 0.62)):
        s.canvas.ellipse(
            x + dx * size,
            base - dy * size,
            r * size,
            r * size,
            shade(colour, 0.75 + 0.4 * dy),
            grain=0.16,
        )


def leafy(s: Setting, x: float, base: float, height: float, colour: Colour) -> None:
    """A leafy tree that stands on `base`."""
    s.canvas.box(x - 0.05 * height, base - 0.5 * height, x + 0.05 * height, base, (88, 62, 42))
    for dx, dy, r in ((-0.2, 0.55, 0.2), (0.2, 0.55, 0.2), (0, 0.62, 0.25), (0, 0.8, 0.2)):
        s.canvas.ellipse(
            x + dx * height,
            base - dy * height,
            r * height,
            r * height,
            shade(colour, 0.5 + 0.6 * dy),
            grain=0.18,
        )


def water_colour(s: Setting) -> tuple[Colour, Colour]:
    """Colours of water far off and near."""
    return {
        "day": ((28, 118, 178), (62, 168, 200)),
        "sunset": ((150, 96, 122), (235, 140, 82)),
        "night": ((60, 82, 140), (46, 66, 120)),
        "overcast": ((96, 118, 130), (122, 142, 150)),
    }[s.scene.light]


def water(s: Setting, y0: float, y1: float) -> None:
    """Water between two heights, with the glint of the light."""
    far, near = water_colour(s)
    s.canvas.gradient(y0, y1, far, near, streak=0.16, glow=0.25)
    glint = {"day": (225, 240, 250), "sunset": (255, 214, 140), "night": (210, 212, 225)}
    if s.scene.light in glint:
        for index in range(7):
            y = y0 + (y1 - y0) * (index + 0.5) / 7
            half = 0.035 + 0.06 * s.rng.random()
            s.canvas.ellipse(s.light_x, y, half, 0.007, glint[s.scene.light], glow=0.9)


def leaf_colour(s: Setting, index: int) -> Colour:
    """The colour of leaves that one of the scene's numbers chooses."""
    return s.pick(index, ((54, 124, 50), (84, 142, 48), (40, 104, 62), (196, 120, 36)))


def windows(s: Setting, x0, y0, x1, y1, columns: int, rows: int) -> None:
    """Rows of windows on a wall, some of them lit in the evening."""
    night = s.scene.light in ("night", "sunset")
    lit = s.rng.random((rows, columns)) < (0.6 if night else 0.0)
    for row in range(rows):
        for column in range(columns):
            left = x0 + (x1 - x0) * (column + 0.22) / columns
            top = y0 + (y1 - y0) * (row + 0.2) / rows
            right = left + (x1 - x0) * 0.56 / columns
            bottom = top + (y1 - y0) * 0.56 / rows
            if lit[row, column]:
                s.canvas.box(left, top, right, bottom, (255, 214, 120), glow=1.0)
            else:
                s.canvas.box(left, top, right, bottom, (74, 96, 120), glow=0.1)
