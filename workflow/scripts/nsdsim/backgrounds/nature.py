"""Places with few buildings: coast, woods, mountains, gardens."""

from __future__ import annotations

import math

import numpy as np

from ..canvas import mix, shade
from .landscape import bush, conifer, hills, leaf_colour, leafy, ridge, sky, water, water_colour
from .setting import Setting


def beach(s: Setting) -> None:
    """Sand, surf and sea, sometimes with a palm."""
    sky(s)
    shore = s.horizon + s.vary(3, 0.16, 0.24)
    water(s, s.horizon, shore + 0.06)
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


def forest(s: Setting) -> None:
    """A path between tree trunks."""
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


def lake(s: Setting) -> None:
    """A lake before mountains."""
    sky(s)
    rock = s.pick(3, ((92, 104, 132), (112, 106, 112), (84, 98, 108)))
    for peak in ridge(
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
        conifer(s, x, s.horizon + 0.015, s.rng.uniform(0.08, 0.15), (38, 84, 56))
    water(s, s.horizon, 0.9)
    bank = s.pick(6, ((96, 138, 62), (150, 146, 130), (120, 128, 66)))
    s.canvas.polygon(
        [(0, 0.87), (0.3, 0.9), (0.7, 0.88), (1, 0.91), (1, 1), (0, 1)], bank, grain=0.16
    )


def desert(s: Setting) -> None:
    """Dunes with a cactus, sometimes before table mountains."""
    sky(s)
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
    hills(s, s.horizon + 0.06, 0.14, shade(sand, 0.92), streak=0.05)
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


def snow(s: Setting) -> None:
    """Snow before mountains and conifers."""
    sky(s)
    ridge(
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
        conifer(s, x, s.horizon + 0.16 - 0.012 * index, 0.34 - 0.035 * index, (34, 78, 64))
    for index in range(3):
        x = 0.98 - 0.07 * index if side == 0 else 0.02 + 0.07 * index
        conifer(s, x, s.horizon + 0.06, 0.14, (52, 94, 84))


def park(s: Setting) -> None:
    """A lawn with a path before trees."""
    sky(s)
    leaf = leaf_colour(s, 3)
    for x in np.linspace(0.0, 1.0, 7) + s.rng.uniform(-0.05, 0.05, 7):
        leafy(
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
    leafy(s, s.pick(6, (0.08, 0.92)), s.horizon + 0.2, s.horizon + 0.16, leaf)


def garden(s: Setting) -> None:
    """A fence or a hedge, with bushes and flowers before it."""
    sky(s, 0.34)
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
        bush(s, x, s.horizon + 0.18, 0.075, (52, 118, 52))
    for index, (x, y) in enumerate(s.rng.random((46, 2))):
        colour = flowers[(first + index % 3) % 5]
        s.canvas.ellipse(x, s.horizon + 0.06 + 0.13 * y, 0.021, 0.021, colour)
    for index in range(4):
        x = s.vary(5, 0.3, 0.6) + 0.05 * math.sin(2.0 * index)
        y = s.horizon + 0.24 + 0.11 * index
        s.canvas.ellipse(
            x, y, 0.06 + 0.022 * index, 0.022 + 0.008 * index, (176, 172, 164), grain=0.06
        )


def river(s: Setting) -> None:
    """A river between wooded banks."""
    sky(s)
    leaf = leaf_colour(s, 3)
    hills(s, s.horizon + 0.03, 0.2, mix(leaf, (120, 150, 170), 0.45), grain=0.12)
    s.canvas.gradient(s.horizon, 1, shade(leaf, 1.15), shade(leaf, 1.3), grain=0.18)
    far, swing = s.vary(4, 0.3, 0.7), s.vary(5, -0.16, 0.16)
    ys = np.linspace(0, 1, 21)
    centre = far + (0.5 - far) * ys + swing * np.sin(2.6 * math.pi * ys) * ys
    half = 0.025 + 0.44 * ys**1.15
    rows = s.horizon + (1 - s.horizon) * ys
    upper, near = water_colour(s)
    left = list(zip(centre - half, rows, strict=True))
    right = list(zip(centre + half, rows, strict=True))
    bank = [(x - 0.02, y) for x, y in left] + [(x + 0.02, y) for x, y in right[::-1]]
    s.canvas.polygon(bank, (176, 148, 104), grain=0.1)
    s.canvas.polygon(left + right[::-1], mix(upper, near, 0.5), streak=0.18, glow=0.25)
    for x in (*np.linspace(0, 0.3, 4), *np.linspace(0.7, 1, 4)):
        leafy(s, x, s.horizon + 0.05, s.rng.uniform(0.14, 0.26), leaf)
