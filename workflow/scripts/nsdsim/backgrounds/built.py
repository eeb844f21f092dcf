"""Places that people built: streets, fields, harbours, stations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..canvas import shade
from .landscape import hills, sky, water, windows
from .setting import Setting


def street(s: Setting) -> None:
    """House fronts, pavement and road."""
    sky(s)
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
        windows(
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


def farm(s: Setting) -> None:
    """Fields in rows, a barn and a fence."""
    sky(s)
    hills(s, s.horizon + 0.02, 0.12, (112, 142, 92), grain=0.08)
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


def harbour(s: Setting) -> None:
    """House fronts at the water, boats and sometimes a pier."""
    sky(s)
    walls = ((228, 206, 168), (206, 112, 84), (240, 232, 214), (128, 156, 178), (232, 186, 96))
    xs = np.linspace(-0.02, 1.02, 9)
    for left, right in pairwise(xs):
        top = s.horizon - s.rng.uniform(0.1, 0.2)
        wall = walls[s.rng.integers(len(walls))]
        s.canvas.box(left, top, right, s.horizon + 0.02, wall)
        s.canvas.polygon(
            [(left, top), ((left + right) / 2, top - 0.05), (right, top)], (176, 74, 54)
        )
        windows(s, left, top + 0.01, right, s.horizon, 2, 2)
    s.canvas.box(0, s.horizon - 0.01, 1, s.horizon + 0.03, (126, 118, 110))
    water(s, s.horizon + 0.03, 1)
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


def airport(s: Setting) -> None:
    """A terminal with its tower, and the runway."""
    sky(s)
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


def railway(s: Setting) -> None:
    """Tracks beside a station."""
    sky(s)
    hills(s, s.horizon + 0.02, 0.1, (96, 116, 88), grain=0.1)
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


def market(s: Setting) -> None:
    """Stalls with striped awnings."""
    sky(s)
    s.canvas.gradient(0.2, s.horizon + 0.04, (150, 128, 108), (120, 98, 84), grain=0.05)
    windows(s, 0, 0.04, 1, 0.2, 8, 1)
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


def stadium(s: Setting) -> None:
    """A pitch before the crowd."""
    sky(s, 0.14)
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
