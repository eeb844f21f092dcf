"""A canvas in relative coordinates: antialiased flat shapes, textured and lit at the end.

Three layers are painted together: the colour, and an RGB image that says how much of two textures
(grain: grass, sand, foliage; streaks: water, clouds, wood) each point has and whether it glows (is
lit from within, so that night leaves it bright). Both are painted enlarged and averaged down.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]

# Octaves of the textures: cells along the side of the picture, and the weight of each.
_OCTAVES = ((7, 0.4), (18, 0.45), (44, 0.5), (110, 0.55), (280, 0.55))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` is that of the second."""
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor < 1) or lighten (factor > 1) a colour."""
    return tuple(min(255.0, channel * factor) for channel in colour)


def _to_int(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour
    return min(255, int(red + 0.5)), min(255, int(green + 0.5)), min(255, int(blue + 0.5))


def _noise(seed: int, size: int, stretch: int) -> np.ndarray:
    """Smooth noise, (size, size), about unit variance; octaves finer than a pixel are left out.

    Each octave has its own generator, so that a coarse picture shows the same pattern as a fine
    one. `stretch` lengthens the pattern along x.
    """
    total = np.zeros((size, size), dtype=np.float32)
    for index, (cells, weight) in enumerate(_OCTAVES):
        if cells > size:
            break
        rng = np.random.default_rng((seed, stretch, index))
        columns = max(2, cells // stretch)
        grid = rng.standard_normal((cells, columns), dtype=np.float32)
        image = Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC)
        total += weight * np.asarray(image)
    return total


class Canvas:
    """See the module's docstring.

    Parameters
    ----------
    size : side of the finished picture in pixels.
    seed : seed of the textures.
    """

    def __init__(self, size: int, seed: int):
        self.size = size
        self.seed = seed
        self._factor = max(2, round(200 / size))
        self._side = size * self._factor
        self._colour = Image.new("RGB", (self._side, self._side))
        self._surface = Image.new("RGB", (self._side, self._side))
        self._pens = (ImageDraw.Draw(self._colour), ImageDraw.Draw(self._surface))
        self._blend = ImageDraw.Draw(self._colour, "RGBA")

    def _surface_value(self, grain: float, streak: float, glow: float) -> tuple[int, int, int]:
        return _to_int((255 * grain, 255 * streak, 255 * glow))

    def polygon(self, points, colour: Colour, grain=0.0, streak=0.0, glow=0.0) -> None:
        """Fill a polygon given by its corners (x, y)."""
        corners = [(x * self._side, y * self._side) for x, y in points]
        self._pens[0].polygon(corners, fill=_to_int(colour))
        self._pens[1].polygon(corners, fill=self._surface_value(grain, streak, glow))

    def box(self, x0, y0, x1, y1, colour: Colour, grain=0.0, streak=0.0, glow=0.0) -> None:
        """Fill an upright rectangle."""
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self.polygon(corners, colour, grain, streak, glow)

    def ellipse(self, x, y, rx, ry, colour: Colour, grain=0.0, streak=0.0, glow=0.0) -> None:
        """Fill an upright ellipse with centre (x, y) and half axes rx, ry."""
        side = self._side
        bounds = ((x - rx) * side, (y - ry) * side, (x + rx) * side, (y + ry) * side)
        self._pens[0].ellipse(bounds, fill=_to_int(colour))
        self._pens[1].ellipse(bounds, fill=self._surface_value(grain, streak, glow))

    def shadow(self, x, y, rx, ry, darkness: float) -> None:
        """Darken an ellipse of what has been painted; `darkness` in [0, 1]."""
        side = self._side
        bounds = ((x - rx) * side, (y - ry) * side, (x + rx) * side, (y + ry) * side)
        self._blend.ellipse(bounds, fill=(15, 18, 28, int(255 * darkness)))

    def gradient(
        self, y0, y1, top: Colour, bottom: Colour, grain=0.0, streak=0.0, glow=0.0
    ) -> None:
        """Fill the whole width between y0 and y1 with a vertical gradient."""
        first, last = round(y0 * self._side), round(y1 * self._side)
        if last <= first:
            return
        share = np.linspace(0, 1, last - first)[:, None]
        column = np.array(top) * (1 - share) + np.array(bottom) * share
        image = Image.fromarray(np.clip(column, 0, 255).astype(np.uint8)[:, None, :])
        self._colour.paste(image.resize((self._side, last - first)), (0, first))
        self._pens[1].rectangle(
            (0, first, self._side, last), fill=self._surface_value(grain, streak, glow)
        )

    def finish(self, exposure: Colour, lit_from: float) -> np.ndarray:
        """Average down, add textures and light.

        Parameters
        ----------
        exposure : factor of each colour channel, for what does not glow.
        lit_from : x of the light; that side is brighter.

        Returns
        -------
        uint8 array (size, size, 3).
        """
        colour = np.asarray(self._colour.reduce(self._factor), dtype=np.float32)
        surface = np.asarray(self._surface.reduce(self._factor), dtype=np.float32)
        grain, streak, glow = (surface[..., channel] / 255 for channel in range(3))
        texture = grain * _noise(self.seed, self.size, 1)
        if streak.any():
            texture += streak * _noise(self.seed, self.size, 5)
        texture = np.clip(1 + texture, 0.35, 1.8)
        position = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        side_light = 1.08 - 0.22 * np.abs(position[None, :] - lit_from)
        vignette = 1.04 - 0.12 * (position[:, None] - 0.45) ** 2 * 2
        light = side_light * vignette
        finished = np.empty((self.size, self.size, 3), dtype=np.uint8)
        for channel, level in enumerate(exposure):
            factor = light * np.float32(level) * (1 - glow) + glow
            lit = colour[..., channel] * texture * factor
            finished[..., channel] = np.clip(np.rint(lit), 0, 255)
        return finished
