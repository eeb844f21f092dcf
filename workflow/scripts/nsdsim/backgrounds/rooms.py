"""Rooms of a house."""

from __future__ import annotations

from ..canvas import Colour, mix, shade
from .landscape import SKIES
from .setting import Setting


def _window(s: Setting, x0, y0, x1, y1) -> None:
    top, bottom = SKIES["night" if s.scene.light == "night" else "day"]
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


def kitchen(s: Setting) -> None:
    """Units, a stove and a window."""
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


def bedroom(s: Setting) -> None:
    """A window with curtains, a picture and a lamp."""
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


def lounge(s: Setting) -> None:
    """Shelves of books, a lamp and a rug."""
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
