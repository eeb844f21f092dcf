"""Pictures of the places: sky, ground, water, buildings and rooms behind the objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .canvas import Canvas, Colour, mix, shade
from .sampling import Scene

# Sky: colour at the top and at the horizon.
_SKIES = {
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
# Factor of each colour channel for everything that does not glow.
_EXPOSURES = {
    "day": (1.06, 1.04, 1.0),
    "sunset": (1.08, 0.8, 0.66),
    "night": (0.47, 0.53, 0.8),
    "overcast": (0.82, 0.85, 0.89),
}
_INDOOR_EXPOSURES = {"day": (1.05, 1.04, 1.02), "night": (0.86, 0.68, 0.48)}


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


def _sky(s: Setting, horizon: float | None = None) -> None:
    horizon = s.horizon if horizon is None else horizon
    light = s.scene.light
    top, bottom = _SKIES[light]
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


def _ridge(
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


def _hills(s: Setting, base: float, height: float, colour: Colour, **surface) -> None:
    """Round hills: a sum of two waves."""
    xs = np.linspace(0, 1, 33)
    phase = s.rng.uniform(0, 2 * math.pi, 2)
    ys = base - height * (
        0.5 + 0.32 * np.sin(5 * xs + phase[0]) + 0.18 * np.sin(11 * xs + phase[1])
    )
    s.canvas.polygon([(0, base), *zip(xs, ys, strict=True), (1, base)], colour, **surface)


def _conifer(s: Setting, x: float, base: float, height: float, colour: Colour) -> None:
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


def _bush(s: Setting, x: float, base: float, size: float, colour: Colour) -> None:
    for dx, dy, r in ((-0.6, 0.3, 0.5), (0.6, 0.3, 0.5), (0, 0.55, 0.62)):
        s.canvas.ellipse(
            x + dx * size,
            base - dy * size,
            r * size,
            r * size,
            shade(colour, 0.75 + 0.4 * dy),
            grain=0.16,
        )


def _leafy(s: Setting, x: float, base: float, height: float, colour: Colour) -> None:
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


def _water_colour(s: Setting) -> tuple[Colour, Colour]:
    return {
        "day": ((28, 118, 178), (62, 168, 200)),
        "sunset": ((150, 96, 122), (235, 140, 82)),
        "night": ((60, 82, 140), (46, 66, 120)),
        "overcast": ((96, 118, 130), (122, 142, 150)),
    }[s.scene.light]


def _water(s: Setting, y0: float, y1: float) -> None:
    far, near = _water_colour(s)
    s.canvas.gradient(y0, y1, far, near, streak=0.16, glow=0.25)
    glint = {"day": (225, 240, 250), "sunset": (255, 214, 140), "night": (210, 212, 225)}
    if s.scene.light in glint:
        for index in range(7):
            y = y0 + (y1 - y0) * (index + 0.5) / 7
            half = 0.035 + 0.06 * s.rng.random()
            s.canvas.ellipse(s.light_x, y, half, 0.007, glint[s.scene.light], glow=0.9)


def _leaf_colour(s: Setting, index: int) -> Colour:
    return s.pick(index, ((54, 124, 50), (84, 142, 48), (40, 104, 62), (196, 120, 36)))


def _beach(s: Setting) -> None:
    _sky(s)
    shore = s.horizon + s.vary(3, 0.16, 0.24)
    _water(s, s.horizon, shore + 0.06)
    sand = s.pick(4, ((238, 214, 160), (226, 196, 140), (244, 226, 186)))
    tilt = s.vary(5, -0.06, 0.06)
    edge = [
        (x, shore + tilt * (x - 0.5) + 0.012 * math.sin(14 * x + 6 * tilt))
        for x in np.linspace(0, 1, 25)
    ]
    s.canvas.polygon(
        [*[(x, y - 0.03) for x, y in edge], (1, 1), (0, 1)], (240, 246, 248), streak=0.05
    )
    s.canvas.polygon([*edge, (1, 1), (0, 1)], shade(sand, 0.86), grain=0.06)
    s.canvas.polygon([*[(x, y + 0.05) for x, y in edge], (1, 1), (0, 1)], sand, grain=0.09)
    if s.scene.layout[6] < 0.45:
        _palm(s, s.pick(7, (0.08, 0.92)))


def _palm(s: Setting, x: float) -> None:
    top = (x + (0.07 if x < 0.5 else -0.07), 0.22)
    s.canvas.polygon(
        [(x - 0.022, 0.86), (x + 0.022, 0.86), (top[0] + 0.012, 0.22), (top[0] - 0.012, 0.22)],
        (112, 82, 54),
    )
    for angle in np.linspace(-0.35, math.pi + 0.35, 7):
        tip = (top[0] + 0.2 * math.cos(angle), top[1] - 0.13 * math.sin(angle) + 0.05)
        s.canvas.polygon(
            [(top[0], top[1] - 0.02), tip, (top[0], top[1] + 0.03)], (44, 118, 52), grain=0.1
        )


def _forest(s: Setting) -> None:
    leaf = s.pick(3, ((36, 92, 44), (52, 108, 46), (30, 80, 56), (150, 96, 34)))
    glow = {
        "day": (196, 220, 150),
        "sunset": (250, 170, 90),
        "night": (24, 34, 62),
        "overcast": (158, 172, 168),
    }
    s.canvas.gradient(
        0,
        s.horizon + 0.02,
        mix(glow[s.scene.light], leaf, 0.35),
        glow[s.scene.light],
        grain=0.1,
        glow=0.8,
    )
    s.canvas.gradient(
        s.horizon, 1, shade(leaf, 0.9), shade(mix(leaf, (110, 76, 40), 0.5), 1.05), grain=0.2
    )
    path = s.vary(4, 0.3, 0.7)
    s.canvas.polygon(
        [(path - 0.02, s.horizon), (path + 0.02, s.horizon), (path + 0.26, 1), (path - 0.26, 1)],
        (158, 122, 78),
        grain=0.1,
    )
    for depth in range(3):
        n_trees = 9 - 2 * depth
        for index in range(n_trees):
            x = (index + s.rng.uniform(0.1, 0.9)) / n_trees
            if abs(x - path) < 0.07 + 0.05 * depth:
                continue
            width = 0.01 + 0.012 * depth
            foot = s.horizon + 0.015 + 0.05 * depth
            bark = mix((78, 56, 40), glow[s.scene.light], 0.32 - 0.16 * depth)
            s.canvas.polygon(
                [(x - width, 0), (x + width, 0), (x + width * 1.4, foot), (x - width * 1.4, foot)],
                bark,
                grain=0.12,
            )
        if depth == 1:
            for x, y, r in s.rng.random((14, 3)):
                s.canvas.ellipse(
                    x,
                    0.16 * y,
                    0.07 + 0.06 * r,
                    0.07 + 0.04 * r,
                    shade(leaf, 0.75 + 0.5 * y),
                    grain=0.2,
                )


def _lake(s: Setting) -> None:
    _sky(s)
    rock = s.pick(3, ((92, 104, 132), (112, 106, 112), (84, 98, 108)))
    for peak in _ridge(
        s, s.horizon, s.horizon * s.vary(4, 0.62, 0.85), rock, int(s.vary(5, 2, 4)), 0.3, grain=0.1
    ):
        (x0, y0), (x, y), (x1, y1) = peak
        share = 0.36
        left = (x + (x0 - x) * share, y + (y0 - y) * share)
        right = (x + (x1 - x) * share, y + (y1 - y) * share)
        s.canvas.polygon([(x, y), right, (x, y + abs(right[1] - y) * 0.6), left], (246, 248, 252))
        s.canvas.polygon(
            [(x, y), (x1, y1), (x1, s.horizon), (x + 0.05, s.horizon)], shade(rock, 0.74), grain=0.1
        )
        s.canvas.polygon([(x, y), right, (x, y + abs(right[1] - y) * 0.6)], (206, 214, 232))
    for x in np.linspace(0, 1, 18) + s.rng.uniform(-0.02, 0.02, 18):
        _conifer(s, x, s.horizon + 0.015, s.rng.uniform(0.08, 0.15), (38, 84, 56))
    _water(s, s.horizon, 0.9)
    bank = s.pick(6, ((96, 138, 62), (150, 146, 130), (120, 128, 66)))
    s.canvas.polygon(
        [(0, 0.87), (0.3, 0.9), (0.7, 0.88), (1, 0.91), (1, 1), (0, 1)], bank, grain=0.16
    )


def _windows(s: Setting, x0, y0, x1, y1, columns: int, rows: int) -> None:
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


def _street(s: Setting) -> None:
    _sky(s)
    walls = (
        (176, 96, 74),
        (198, 176, 140),
        (128, 134, 144),
        (150, 78, 66),
        (214, 200, 176),
        (96, 112, 132),
    )
    x = -0.05
    while x < 1.0:
        width = s.rng.uniform(0.17, 0.28)
        top = s.rng.uniform(0.02, 0.26) + 0.14 * s.scene.layout[3]
        wall = walls[s.rng.integers(len(walls))]
        s.canvas.box(x, top, x + width, s.horizon + 0.05, wall, grain=0.05)
        s.canvas.box(
            x + width * 0.86, top, x + width, s.horizon + 0.05, shade(wall, 0.7), grain=0.05
        )
        _windows(
            s,
            x,
            top + 0.03,
            x + width * 0.88,
            s.horizon - 0.06,
            3,
            max(2, int((s.horizon - top) / 0.1)),
        )
        awning = walls[s.rng.integers(len(walls))]
        s.canvas.box(
            x + 0.02,
            s.horizon - 0.04,
            x + width - 0.02,
            s.horizon + 0.05,
            shade(awning, 0.6),
            glow=0.2,
        )
        x += width
    s.canvas.gradient(
        s.horizon + 0.04, s.horizon + 0.14, (178, 174, 168), (164, 160, 154), grain=0.05
    )
    s.canvas.gradient(s.horizon + 0.14, 1, (84, 85, 90), (98, 99, 104), grain=0.06)
    s.canvas.box(0, s.horizon + 0.135, 1, s.horizon + 0.15, (205, 202, 196))
    y = s.vary(4, 0.8, 0.86)
    for index in range(4):
        left = -0.08 + 0.3 * index + 0.1 * s.scene.layout[5]
        s.canvas.polygon(
            [(left, y), (left + 0.17, y), (left + 0.16, y + 0.025), (left - 0.01, y + 0.025)],
            (240, 238, 226),
        )


def _farm(s: Setting) -> None:
    _sky(s)
    _hills(s, s.horizon + 0.02, 0.12, (112, 142, 92), grain=0.08)
    first, second = s.pick(
        3,
        (
            ((214, 182, 84), (186, 148, 58)),
            ((126, 164, 58), (92, 132, 46)),
            ((150, 112, 70), (112, 150, 56)),
        ),
    )
    s.canvas.gradient(s.horizon, 1, first, first, grain=0.12)
    centre = s.vary(4, 0.2, 0.8)
    for index in range(-9, 10):
        near, far = centre + index * 0.36, centre + index * 0.045
        s.canvas.polygon(
            [(far, s.horizon), (far + 0.02, s.horizon), (near + 0.17, 1), (near, 1)],
            second,
            grain=0.14,
        )
    s.canvas.polygon([(0, 0.84), (0.5, 0.82), (1, 0.85), (1, 1), (0, 1)], (98, 146, 52), grain=0.18)
    side = s.pick(5, (0.14, 0.86))
    red = s.pick(6, ((168, 44, 38), (150, 52, 40), (188, 178, 160)))
    foot, top = s.horizon + 0.03, s.horizon - 0.13
    s.canvas.box(side - 0.11, top, side + 0.11, foot, red)
    s.canvas.polygon(
        [
            (side - 0.13, top),
            (side - 0.07, top - 0.09),
            (side + 0.07, top - 0.09),
            (side + 0.13, top),
        ],
        (92, 84, 86),
    )
    s.canvas.box(side - 0.04, top + 0.06, side + 0.04, foot, (240, 236, 226))
    for x in np.linspace(0.02, 0.98, 9):
        s.canvas.box(x - 0.007, 0.775, x + 0.007, 0.86, (214, 206, 190))
    for y in (0.785, 0.82):
        s.canvas.box(0, y, 1, y + 0.011, (214, 206, 190))


def _desert(s: Setting) -> None:
    _sky(s)
    sand = s.pick(3, ((232, 178, 104), (222, 158, 92), (238, 196, 130), (206, 124, 76)))
    if s.scene.layout[4] < 0.5:
        for x in (s.vary(5, 0.05, 0.4), s.vary(6, 0.55, 0.85)):
            half = 0.1 + 0.1 * s.rng.random()
            top = s.horizon - s.rng.uniform(0.12, 0.24)
            s.canvas.polygon(
                [
                    (x - half, s.horizon),
                    (x - half * 0.7, top),
                    (x + half * 0.7, top),
                    (x + half, s.horizon),
                ],
                (178, 92, 62),
                streak=0.14,
            )
    s.canvas.gradient(s.horizon, s.horizon + 0.06, shade(sand, 0.8), shade(sand, 0.84))
    _hills(s, s.horizon + 0.06, 0.14, shade(sand, 0.92), streak=0.05)
    s.canvas.gradient(s.horizon + 0.05, 1, sand, shade(sand, 1.05), grain=0.05, streak=0.05)
    for index in range(3):
        y = s.horizon + 0.1 + 0.15 * index
        xs = np.linspace(0, 1, 21)
        phase = s.rng.uniform(0, 6)
        crest = y + 0.035 * np.sin(5 * xs + phase)
        band = [
            *zip(xs, crest, strict=True),
            *zip(xs[::-1], crest[::-1] + 0.05 + 0.03 * np.sin(4 * xs), strict=True),
        ]
        s.canvas.polygon(band, shade(sand, 0.8 + 0.04 * index), grain=0.05, streak=0.04)
    x = s.pick(7, (0.1, 0.9))
    green = (70, 128, 66)
    s.canvas.box(x - 0.025, s.horizon - 0.12, x + 0.025, s.horizon + 0.2, green, grain=0.1)
    s.canvas.ellipse(x, s.horizon - 0.12, 0.025, 0.025, green)
    s.canvas.box(x - 0.08, s.horizon, x + 0.07, s.horizon + 0.035, green, grain=0.1)
    s.canvas.box(x - 0.08, s.horizon - 0.07, x - 0.045, s.horizon + 0.035, green, grain=0.1)
    s.canvas.box(x + 0.04, s.horizon - 0.04, x + 0.075, s.horizon + 0.035, green, grain=0.1)


def _snow(s: Setting) -> None:
    _sky(s)
    _ridge(
        s,
        s.horizon + 0.06,
        s.horizon * 0.55,
        (196, 208, 230),
        int(s.vary(3, 2, 4)),
        0.35,
        grain=0.05,
    )
    s.canvas.gradient(s.horizon, 1, (236, 241, 250), (250, 251, 254), grain=0.025)
    slope = s.vary(4, -0.22, 0.22)
    s.canvas.polygon(
        [(0, s.horizon + 0.06 + slope / 2), (1, s.horizon + 0.06 - slope / 2), (1, 1), (0, 1)],
        (244, 248, 255),
        grain=0.025,
    )
    s.canvas.polygon(
        [(0.3, s.horizon + 0.2), (1, s.horizon + 0.12 - slope / 2), (1, s.horizon + 0.2)],
        (206, 218, 240),
    )
    side = s.pick(5, (0, 1))
    for index in range(6):
        offset = 0.02 + 0.055 * index
        x = offset if side == 0 else 1 - offset
        _conifer(s, x, s.horizon + 0.16 - 0.012 * index, 0.34 - 0.035 * index, (34, 78, 64))
    for index in range(3):
        x = 0.98 - 0.07 * index if side == 0 else 0.02 + 0.07 * index
        _conifer(s, x, s.horizon + 0.06, 0.14, (52, 94, 84))


def _harbour(s: Setting) -> None:
    _sky(s)
    walls = ((228, 206, 168), (206, 112, 84), (240, 232, 214), (128, 156, 178), (232, 186, 96))
    xs = np.linspace(-0.02, 1.02, 9)
    for left, right in pairwise(xs):
        top = s.horizon - s.rng.uniform(0.1, 0.2)
        wall = walls[s.rng.integers(len(walls))]
        s.canvas.box(left, top, right, s.horizon + 0.02, wall)
        s.canvas.polygon(
            [(left, top), ((left + right) / 2, top - 0.05), (right, top)], (176, 74, 54)
        )
        _windows(s, left, top + 0.01, right, s.horizon, 2, 2)
    s.canvas.box(0, s.horizon - 0.01, 1, s.horizon + 0.03, (126, 118, 110))
    _water(s, s.horizon + 0.03, 1)
    for x in s.rng.uniform(0.05, 0.95, 3):
        s.canvas.polygon(
            [
                (x - 0.05, s.horizon + 0.05),
                (x + 0.05, s.horizon + 0.05),
                (x + 0.035, s.horizon + 0.08),
                (x - 0.035, s.horizon + 0.08),
            ],
            (242, 240, 234),
        )
        s.canvas.box(x - 0.004, s.horizon - 0.14, x + 0.004, s.horizon + 0.05, (236, 230, 220))
    side = s.pick(3, (0, 1))
    if s.scene.layout[4] < 0.6:
        pier = [(0, 0.9), (0.5, 0.93), (0.55, 1), (0, 1)]
        s.canvas.polygon(
            [(x if side == 0 else 1 - x, y) for x, y in pier], (142, 104, 70), streak=0.16
        )


def _park(s: Setting) -> None:
    _sky(s)
    leaf = _leaf_colour(s, 3)
    for x in np.linspace(0.0, 1.0, 7) + s.rng.uniform(-0.05, 0.05, 7):
        _leafy(
            s,
            x,
            s.horizon + 0.03,
            s.rng.uniform(0.24, 0.38),
            shade(leaf, s.rng.uniform(0.85, 1.15)),
        )
    grass = (104, 168, 56)
    s.canvas.gradient(s.horizon, 1, shade(grass, 0.88), shade(grass, 1.06), grain=0.16)
    far, near = s.vary(4, 0.25, 0.75), s.vary(5, 0.2, 0.8)
    s.canvas.polygon(
        [(far - 0.02, s.horizon), (far + 0.02, s.horizon), (near + 0.2, 1), (near - 0.2, 1)],
        (208, 188, 150),
        grain=0.06,
    )
    _leafy(s, s.pick(6, (0.08, 0.92)), s.horizon + 0.2, s.horizon + 0.16, leaf)


def _garden(s: Setting) -> None:
    _sky(s, 0.34)
    hedge = (44, 104, 48)
    if s.scene.layout[3] < 0.5:
        for index in range(12):
            x = index / 12
            s.canvas.box(x, 0.14, x + 0.074, s.horizon + 0.14, (238, 234, 224), streak=0.04)
            s.canvas.polygon([(x, 0.14), (x + 0.037, 0.09), (x + 0.074, 0.14)], (238, 234, 224))
        s.canvas.box(0, 0.2, 1, 0.225, (214, 208, 196))
    else:
        s.canvas.box(0, 0.12, 1, s.horizon + 0.14, hedge, grain=0.2)
    s.canvas.gradient(s.horizon + 0.1, 1, (88, 150, 52), (112, 176, 62), grain=0.17)
    flowers = ((226, 52, 76), (250, 196, 44), (236, 120, 180), (248, 244, 240), (150, 80, 190))
    first = int(s.vary(4, 0, 5))
    for x in np.linspace(0.02, 0.98, 9):
        _bush(s, x, s.horizon + 0.18, 0.075, (52, 118, 52))
    for index, (x, y) in enumerate(s.rng.random((46, 2))):
        colour = flowers[(first + index % 3) % 5]
        s.canvas.ellipse(x, s.horizon + 0.06 + 0.13 * y, 0.021, 0.021, colour)
    for index in range(4):
        x = s.vary(5, 0.3, 0.6) + 0.05 * math.sin(2.0 * index)
        y = s.horizon + 0.24 + 0.11 * index
        s.canvas.ellipse(
            x, y, 0.06 + 0.022 * index, 0.022 + 0.008 * index, (176, 172, 164), grain=0.06
        )


def _river(s: Setting) -> None:
    _sky(s)
    leaf = _leaf_colour(s, 3)
    _hills(s, s.horizon + 0.03, 0.2, mix(leaf, (120, 150, 170), 0.45), grain=0.12)
    s.canvas.gradient(s.horizon, 1, shade(leaf, 1.15), shade(leaf, 1.3), grain=0.18)
    far, swing = s.vary(4, 0.3, 0.7), s.vary(5, -0.16, 0.16)
    ys = np.linspace(0, 1, 21)
    centre = far + (0.5 - far) * ys + swing * np.sin(2.6 * math.pi * ys) * ys
    half = 0.025 + 0.44 * ys**1.15
    rows = s.horizon + (1 - s.horizon) * ys
    upper, near = _water_colour(s)
    left = list(zip(centre - half, rows, strict=True))
    right = list(zip(centre + half, rows, strict=True))
    bank = [(x - 0.02, y) for x, y in left] + [(x + 0.02, y) for x, y in right[::-1]]
    s.canvas.polygon(bank, (176, 148, 104), grain=0.1)
    s.canvas.polygon(left + right[::-1], mix(upper, near, 0.5), streak=0.18, glow=0.25)
    for x in (*np.linspace(0, 0.3, 4), *np.linspace(0.7, 1, 4)):
        _leafy(s, x, s.horizon + 0.05, s.rng.uniform(0.14, 0.26), leaf)


def _airport(s: Setting) -> None:
    _sky(s)
    s.canvas.gradient(s.horizon - 0.01, s.horizon + 0.1, (112, 140, 70), (124, 150, 78), grain=0.12)
    side = s.pick(3, (0.18, 0.82))
    s.canvas.box(side - 0.17, s.horizon - 0.09, side + 0.17, s.horizon + 0.03, (206, 208, 212))
    s.canvas.box(
        side - 0.15, s.horizon - 0.06, side + 0.15, s.horizon - 0.02, (84, 128, 160), glow=0.3
    )
    tower = side + (0.24 if side < 0.5 else -0.24)
    s.canvas.box(tower - 0.018, s.horizon - 0.22, tower + 0.018, s.horizon + 0.03, (196, 194, 190))
    s.canvas.polygon(
        [
            (tower - 0.05, s.horizon - 0.29),
            (tower + 0.05, s.horizon - 0.29),
            (tower + 0.035, s.horizon - 0.21),
            (tower - 0.035, s.horizon - 0.21),
        ],
        (70, 110, 140),
        glow=0.3,
    )
    s.canvas.gradient(s.horizon + 0.09, 1, (132, 134, 138), (150, 152, 156), grain=0.04)
    centre = s.vary(4, 0.35, 0.65)
    for index in range(5):
        y0, y1 = s.horizon + 0.12 + 0.075 * index, s.horizon + 0.16 + 0.08 * index
        w0, w1 = 0.008 + 0.006 * index, 0.012 + 0.007 * index
        s.canvas.polygon(
            [(centre - w0, y0), (centre + w0, y0), (centre + w1, y1), (centre - w1, y1)],
            (246, 246, 240),
        )
    for end in (centre - 0.62, centre + 0.62):
        inner = centre + 0.12 * (1 if end > centre else -1)
        s.canvas.polygon(
            [
                (inner, s.horizon + 0.09),
                (inner + 0.006, s.horizon + 0.09),
                (end + 0.03, 1),
                (end, 1),
            ],
            (240, 208, 60),
        )


def _railway(s: Setting) -> None:
    _sky(s)
    _hills(s, s.horizon + 0.02, 0.1, (96, 116, 88), grain=0.1)
    s.canvas.gradient(s.horizon, 1, (138, 124, 112), (124, 110, 100), grain=0.2)
    brick = s.pick(3, ((168, 84, 62), (196, 164, 120), (124, 96, 88)))
    left_side = s.scene.layout[4] < 0.5

    def across(points):
        return [(x if left_side else 1 - x, y) for x, y in points]

    s.canvas.polygon(
        across([(-0.01, 0.1), (0.3, 0.24), (0.3, s.horizon + 0.06), (-0.01, s.horizon + 0.2)]),
        brick,
        grain=0.06,
    )
    for index in range(3):
        x = 0.03 + 0.09 * index
        s.canvas.polygon(
            across(
                [
                    (x, 0.27 + 0.02 * index),
                    (x + 0.05, 0.28 + 0.02 * index),
                    (x + 0.05, 0.42),
                    (x, 0.43),
                ]
            ),
            (250, 220, 140),
            glow=0.7,
        )
    s.canvas.polygon(across([(-0.01, 0.08), (0.4, 0.22), (0.4, 0.27), (-0.01, 0.16)]), (70, 74, 82))
    s.canvas.polygon(
        across(
            [
                (-0.01, s.horizon + 0.2),
                (0.34, s.horizon + 0.04),
                (0.4, s.horizon + 0.04),
                (0.2, 1),
                (-0.01, 1),
            ]
        ),
        (190, 184, 174),
        grain=0.06,
    )
    s.canvas.polygon(
        across([(0.37, s.horizon + 0.04), (0.4, s.horizon + 0.04), (0.2, 1), (0.14, 1)]),
        (240, 206, 60),
    )
    for centre in (0.56, 0.86):
        near = 0.5 + (centre - 0.5) * 1.9
        for index in range(8):
            share = ((index + 0.5) / 8) ** 1.6
            x, y = centre + (near - centre) * share, s.horizon + 0.02 + (0.98 - s.horizon) * share
            s.canvas.polygon(
                across(
                    [
                        (x - 0.04 - 0.17 * share, y),
                        (x + 0.04 + 0.17 * share, y),
                        (x + 0.045 + 0.18 * share, y + 0.01 + 0.026 * share),
                        (x - 0.045 - 0.18 * share, y + 0.01 + 0.026 * share),
                    ]
                ),
                (84, 62, 48),
            )
        for sign in (-1, 1):
            far_x, near_x = centre + 0.02 * sign, near + 0.13 * sign
            s.canvas.polygon(
                across(
                    [
                        (far_x - 0.004, s.horizon + 0.02),
                        (far_x + 0.004, s.horizon + 0.02),
                        (near_x + 0.016, 1),
                        (near_x - 0.016, 1),
                    ]
                ),
                (206, 210, 218),
            )


def _market(s: Setting) -> None:
    _sky(s)
    s.canvas.gradient(0.2, s.horizon + 0.04, (150, 128, 108), (120, 98, 84), grain=0.05)
    _windows(s, 0, 0.04, 1, 0.2, 8, 1)
    s.canvas.gradient(s.horizon + 0.03, 1, (186, 164, 138), (200, 180, 152), grain=0.12)
    paints = ((214, 48, 44), (40, 120, 70), (240, 184, 40), (44, 96, 180), (226, 110, 40))
    goods = (
        (226, 60, 40),
        (248, 176, 36),
        (112, 168, 52),
        (240, 220, 90),
        (150, 60, 120),
        (236, 132, 40),
    )
    n_stalls = int(s.vary(3, 2, 4))
    first = int(s.vary(4, 0, 5))
    for stall in range(n_stalls):
        left, right = stall / n_stalls + 0.015, (stall + 1) / n_stalls - 0.015
        paint = paints[(first + stall) % 5]
        s.canvas.box(left + 0.01, 0.3, right - 0.01, s.horizon, (64, 48, 44), glow=0.15)
        s.canvas.box(left, s.horizon - 0.08, right, s.horizon + 0.12, (140, 100, 62), streak=0.1)
        for row in range(2):
            for x in np.arange(left + 0.025, right - 0.01, 0.05):
                colour = goods[(int(x * 9) + first + row) % 6]
                s.canvas.ellipse(x, s.horizon - 0.095 + 0.05 * row, 0.028, 0.028, colour, glow=0.2)
        for stripe in range(6):
            x0 = left + (right - left) * stripe / 6
            x1 = left + (right - left) * (stripe + 1) / 6
            colour = paint if stripe % 2 == 0 else (246, 242, 232)
            inner0, inner1 = (
                x0 * 0.85 + 0.15 * (left + right) / 2,
                x1 * 0.85 + 0.15 * (left + right) / 2,
            )
            s.canvas.polygon(
                [(inner0, 0.18), (inner1, 0.18), (x1, 0.34), (x0, 0.34)], colour, glow=0.2
            )
            s.canvas.ellipse((x0 + x1) / 2, 0.34, (x1 - x0) / 2, 0.022, colour, glow=0.2)


def _stadium(s: Setting) -> None:
    _sky(s, 0.14)
    s.canvas.gradient(0.1, s.horizon, (92, 96, 112), (66, 70, 86))
    crowd = (
        (214, 60, 56),
        (240, 236, 228),
        (60, 100, 190),
        (244, 204, 70),
        (52, 56, 66),
        (226, 180, 150),
    )
    rows, columns = 6, 26
    kinds = s.rng.integers(0, len(crowd), (rows, columns))
    for row in range(rows):
        y = 0.13 + (s.horizon - 0.17) * row / (rows - 1)
        for column in range(columns):
            x = (column + 0.5 * (row % 2)) / columns
            s.canvas.ellipse(x, y, 0.016, 0.02, crowd[kinds[row, column]], glow=0.3)
    board = s.pick(3, ((38, 78, 168), (196, 40, 44), (240, 236, 226)))
    s.canvas.box(0, s.horizon - 0.02, 1, s.horizon + 0.04, board, glow=0.3)
    for x in (0.1, 0.9):
        s.canvas.box(x - 0.008, 0.02, x + 0.008, 0.16, (150, 152, 158))
        s.canvas.box(x - 0.06, 0.0, x + 0.06, 0.05, (255, 252, 230), glow=1.0)
    for index in range(7):
        share0, share1 = (index / 7) ** 1.4, ((index + 1) / 7) ** 1.4
        y0, y1 = (s.horizon + 0.04 + (0.96 - s.horizon) * share for share in (share0, share1))
        grass = (62, 152, 58) if index % 2 else (86, 178, 70)
        s.canvas.gradient(y0, y1 + 0.005, grass, grass, grain=0.07, glow=0.3)
    white = (246, 248, 244)
    s.canvas.box(0, s.horizon + 0.1, 1, s.horizon + 0.113, white, glow=0.3)
    if s.scene.layout[4] < 0.5:
        x = s.vary(5, 0.3, 0.7)
        s.canvas.ellipse(x, 0.8, 0.3, 0.12, white, glow=0.3)
        s.canvas.ellipse(x, 0.8, 0.285, 0.107, (76, 166, 64), grain=0.07, glow=0.3)
    else:
        x = s.vary(5, 0.3, 0.7)
        for x0, x1 in ((x - 0.2, x - 0.185), (x + 0.185, x + 0.2)):
            s.canvas.box(x0, s.horizon - 0.16, x1, s.horizon + 0.1, white, glow=0.3)
        s.canvas.box(x - 0.2, s.horizon - 0.16, x + 0.2, s.horizon - 0.145, white, glow=0.3)
        s.canvas.polygon(
            [
                (x - 0.38, s.horizon + 0.1),
                (x + 0.38, s.horizon + 0.1),
                (x + 0.5, 0.74),
                (x - 0.5, 0.74),
            ],
            white,
            glow=0.3,
        )
        s.canvas.polygon(
            [
                (x - 0.36, s.horizon + 0.113),
                (x + 0.36, s.horizon + 0.113),
                (x + 0.475, 0.727),
                (x - 0.475, 0.727),
            ],
            (76, 166, 64),
            grain=0.07,
            glow=0.3,
        )


def _window(s: Setting, x0, y0, x1, y1) -> None:
    top, bottom = _SKIES["night" if s.scene.light == "night" else "day"]
    s.canvas.box(x0 - 0.02, y0 - 0.02, x1 + 0.02, y1 + 0.02, (246, 244, 238))
    middle = (y0 + y1) / 2
    s.canvas.box(x0, y0, x1, middle, mix(top, bottom, 0.35), glow=1.0)
    s.canvas.box(x0, middle, x1, y1, mix(top, bottom, 0.8), glow=1.0)
    s.canvas.box((x0 + x1) / 2 - 0.006, y0, (x0 + x1) / 2 + 0.006, y1, (246, 244, 238))
    s.canvas.box(x0, middle - 0.006, x1, middle + 0.006, (246, 244, 238))


def _floorboards(s: Setting, y: float, colour: Colour) -> None:
    s.canvas.gradient(y, 1, shade(colour, 0.82), shade(colour, 1.08), streak=0.1)
    for index in range(-6, 7):
        far, near = 0.5 + 0.12 * index, 0.5 + 0.22 * index
        s.canvas.polygon(
            [(far, y), (far + 0.005, y), (near + 0.01, 1), (near, 1)], shade(colour, 0.66)
        )


def _lamp(s: Setting, x: float, base: float, height: float) -> None:
    night = s.scene.light == "night"
    top = base - height
    s.canvas.box(x - 0.006, top, x + 0.006, base, (80, 70, 62))
    shade_colour = (255, 232, 160) if night else (238, 226, 200)
    if night:
        s.canvas.ellipse(x, top + 0.05, 0.17, 0.15, (236, 190, 116), glow=0.8)
    s.canvas.polygon(
        [(x - 0.05, top), (x + 0.05, top), (x + 0.085, top + 0.12), (x - 0.085, top + 0.12)],
        shade_colour,
        glow=1.0 if night else 0.0,
    )


def _kitchen(s: Setting) -> None:
    wall = s.pick(1, ((240, 236, 220), (206, 226, 214), (246, 226, 176)))
    units = s.pick(2, ((236, 234, 228), (70, 110, 150), (156, 104, 62), (96, 140, 108)))
    s.canvas.gradient(0, s.horizon, wall, shade(wall, 0.9))
    top, step = 0.34, 0.055
    for row in range(4):
        for column in range(20):
            x = column * step - (step / 2 if row % 2 else 0)
            s.canvas.box(
                x + 0.004,
                top + row * 0.05,
                x + step - 0.004,
                top + row * 0.05 + 0.043,
                (226, 232, 234),
            )
    left = s.vary(3, 0.06, 0.4)
    s.canvas.box(0, 0, 1, 0.02, shade(units, 0.6))
    for index in range(5):
        x = index * 0.2
        if not left - 0.16 < x < left + 0.26:
            s.canvas.box(x + 0.006, 0.02, x + 0.194, 0.28, units, streak=0.03)
            s.canvas.box(x + 0.16, 0.2, x + 0.175, 0.26, (60, 60, 64))
    _window(s, left, 0.06, left + 0.28, 0.32)
    counter = s.pick(4, ((66, 64, 68), (176, 140, 100), (196, 196, 200)))
    s.canvas.box(0, 0.54, 1, 0.58, counter, grain=0.04)
    for index in range(5):
        x = index * 0.2
        s.canvas.box(x + 0.006, 0.58, x + 0.194, s.horizon, shade(units, 0.9), streak=0.03)
        s.canvas.box(x + 0.06, 0.61, x + 0.14, 0.622, (60, 60, 64))
    stove = s.pick(5, (0.2, 0.6, 0.8))
    s.canvas.box(stove, 0.58, stove + 0.2, s.horizon, (52, 54, 58))
    s.canvas.box(stove + 0.03, 0.64, stove + 0.17, s.horizon - 0.02, (226, 130, 60), glow=0.5)
    s.canvas.polygon(
        [(stove + 0.05, 0.54), (stove + 0.15, 0.54), (stove + 0.16, 0.46), (stove + 0.04, 0.46)],
        (190, 60, 52),
    )
    s.canvas.gradient(s.horizon, 1, (196, 190, 180), (222, 216, 206))
    for index in range(-7, 8):
        far, near = 0.5 + 0.11 * index, 0.5 + 0.17 * index
        s.canvas.polygon(
            [(far, s.horizon), (far + 0.06, s.horizon), (near + 0.09, 1), (near, 1)],
            (150, 140, 132) if index % 2 else (214, 208, 198),
        )


def _bedroom(s: Setting) -> None:
    wall = s.pick(1, ((176, 196, 222), (226, 200, 206), (214, 206, 230), (196, 216, 196)))
    s.canvas.gradient(0, s.horizon, wall, shade(wall, 0.9))
    side = s.pick(2, (0.22, 0.72))
    _window(s, side - 0.13, 0.1, side + 0.13, 0.42)
    curtain = s.pick(3, ((206, 84, 84), (244, 236, 216), (84, 104, 168), (226, 176, 80)))
    for x in (side - 0.23, side + 0.13):
        s.canvas.box(x, 0.06, x + 0.1, 0.5, curtain)
        for fold in (0.02, 0.06):
            s.canvas.box(x + fold, 0.06, x + fold + 0.015, 0.5, shade(curtain, 0.8))
    _lamp(s, 0.94 if side < 0.5 else 0.06, s.horizon + 0.04, 0.3)
    picture = 0.62 if side < 0.5 else 0.34
    s.canvas.box(picture - 0.1, 0.14, picture + 0.1, 0.3, (110, 76, 48))
    s.canvas.box(
        picture - 0.085,
        0.155,
        picture + 0.085,
        0.285,
        s.pick(4, ((120, 170, 200), (210, 160, 90), (140, 180, 120))),
    )
    carpet = s.pick(5, ((112, 130, 160), (178, 120, 120), (196, 164, 124), (104, 132, 116)))
    s.canvas.gradient(s.horizon, 1, shade(carpet, 0.9), shade(carpet, 1.1), grain=0.08)
    s.canvas.box(0, s.horizon - 0.02, 1, s.horizon, (246, 244, 238))


def _lounge(s: Setting) -> None:
    wall = s.pick(1, ((222, 190, 132), (178, 150, 120), (150, 170, 140), (196, 120, 96)))
    s.canvas.gradient(0, s.horizon, wall, shade(wall, 0.88))
    shelf = s.pick(2, (0.03, 0.67))
    s.canvas.box(shelf, 0.08, shelf + 0.3, s.horizon - 0.04, (98, 64, 40))
    books = (
        (190, 50, 46),
        (50, 90, 150),
        (226, 190, 90),
        (70, 130, 90),
        (230, 226, 214),
        (120, 70, 130),
    )
    for row in range(3):
        y = 0.1 + row * 0.155
        s.canvas.box(shelf + 0.015, y, shelf + 0.285, y + 0.135, (58, 40, 30))
        for index in range(7):
            height = s.rng.uniform(0.09, 0.125)
            x = shelf + 0.02 + index * 0.037
            s.canvas.box(x, y + 0.135 - height, x + 0.033, y + 0.135, books[s.rng.integers(6)])
    other = 0.68 if shelf < 0.5 else 0.32
    if s.scene.layout[3] < 0.5:
        _window(s, other - 0.16, 0.1, other + 0.16, 0.4)
    else:
        s.canvas.box(other - 0.19, 0.12, other + 0.19, 0.38, (48, 40, 38))
        s.canvas.box(
            other - 0.17,
            0.14,
            other + 0.17,
            0.36,
            s.pick(4, ((214, 130, 70), (90, 140, 170), (230, 214, 180))),
        )
        s.canvas.polygon(
            [(other - 0.17, 0.36), (other - 0.04, 0.22), (other + 0.17, 0.36)], (80, 96, 90)
        )
    _lamp(s, 0.95 if shelf < 0.5 else 0.05, s.horizon + 0.06, 0.4)
    _floorboards(s, s.horizon, s.pick(5, ((160, 106, 62), (126, 80, 50), (190, 140, 90))))
    rug = s.pick(6, ((176, 60, 56), (64, 96, 130), (222, 206, 170)))
    s.canvas.ellipse(0.5, 0.92, 0.46, 0.085, rug, grain=0.05)
    s.canvas.ellipse(0.5, 0.92, 0.38, 0.066, mix(rug, (250, 240, 220), 0.35), grain=0.05)


_PAINTERS = {
    "beach": _beach,
    "forest": _forest,
    "lake": _lake,
    "street": _street,
    "farm": _farm,
    "desert": _desert,
    "snow": _snow,
    "harbour": _harbour,
    "park": _park,
    "garden": _garden,
    "river": _river,
    "airport": _airport,
    "railway": _railway,
    "market": _market,
    "stadium": _stadium,
    "kitchen": _kitchen,
    "bedroom": _bedroom,
    "lounge": _lounge,
}


def paint_background(canvas: Canvas, scene: Scene) -> None:
    """Paint the place of a scene over the whole canvas."""
    _PAINTERS[scene.category](Setting(canvas, scene, np.random.default_rng(scene.seed)))


def exposure(scene: Scene) -> Colour:
    """Factor of each colour channel under the scene's light."""
    return (_INDOOR_EXPOSURES if scene.indoor else _EXPOSURES)[scene.light]


def light_position(scene: Scene) -> float:
    """x of the light."""
    return 0.15 + 0.7 * scene.layout[0]
