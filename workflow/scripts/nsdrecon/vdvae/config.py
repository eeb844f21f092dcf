"""The configuration of a very deep VAE, and what follows from it without the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nsdrecon.errors import InputError

LatentShape = tuple[int, int, int]
"""Channels, height, width of one layer's latent."""


class Block(NamedTuple):
    """A residual block at a resolution, or a stochastic layer.

    The argument is, in the encoder, by how much average pooling follows; in the decoder, of which
    resolution features are added first.
    """

    resolution: int
    argument: int | None


@dataclass(frozen=True)
class VDVAEConfig:
    """Architecture of a very deep VAE, in the terms of the published code.

    The defaults are the ImageNet-64 model: 125,005,860 parameters, 75 stochastic layers.

    Parameters
    ----------
    image_size
        Height and width of the images, pixels.
    width
        Channels of the residual stream.
    bottleneck
        Channels inside a block as a share of ``width``.
    zdim
        Channels of each layer's latent.
    n_mixtures
        Logistic components of the output.
    encoder_blocks, decoder_blocks
        Comma-separated blocks: ``RxN`` is N blocks at resolution R, ``RdK`` a block followed by
        average pooling by K (encoder), ``RmM`` a block that adds the features of resolution M,
        upsampled (decoder).
    bias_max_resolution
        Resolutions up to this one start from a learned bias, larger ones from zeros.

    Raises
    ------
    InputError
        If a block string cannot be read or its resolutions do not fit together.
    """

    image_size: int = 64
    width: int = 512
    bottleneck: float = 0.25
    zdim: int = 16
    n_mixtures: int = 10
    encoder_blocks: str = "64x11,64d2,32x20,32d2,16x9,16d2,8x8,8d2,4x7,4d4,1x5"
    decoder_blocks: str = "1x2,4m1,4x3,8m4,8x7,16m8,16x15,32m16,32x31,64m32,64x12"
    bias_max_resolution: int = 64

    def __post_init__(self) -> None:
        for name in ("image_size", "width", "zdim", "n_mixtures"):
            if getattr(self, name) < 1:
                raise InputError(name, found=getattr(self, name), expected="1 or more")
        if self.middle_width < 1:
            raise InputError(
                "bottleneck", found=self.bottleneck, expected=f"at least 1/{self.width} (the width)"
            )
        resolutions = self._check_encoder()
        self._check_decoder(resolutions)

    @property
    def middle_width(self) -> int:
        """Channels inside a block."""
        return int(self.width * self.bottleneck)

    @cached_property
    def encoder(self) -> tuple[Block, ...]:
        """The encoder's blocks, first to last."""
        return tuple(_parse(self.encoder_blocks, "d", "encoder_blocks"))

    @cached_property
    def decoder(self) -> tuple[Block, ...]:
        """The decoder's blocks, first to last: one stochastic layer each."""
        return tuple(_parse(self.decoder_blocks, "m", "decoder_blocks"))

    @property
    def bias_resolutions(self) -> tuple[int, ...]:
        """Resolutions that start from a learned bias, ascending."""
        resolutions = {block.resolution for block in self.decoder}
        return tuple(sorted(r for r in resolutions if r <= self.bias_max_resolution))

    def latent_shapes(self, n_layers: int | None = None) -> tuple[LatentShape, ...]:
        """Shape (channels, height, width) of the latents of the first layers (default: all).

        Raises
        ------
        InputError
            If the decoder has fewer layers.
        """
        n_layers = self.n_latent_layers(n_layers)
        return tuple((self.zdim, b.resolution, b.resolution) for b in self.decoder[:n_layers])

    def n_latents(self, n_layers: int | None = None) -> int:
        """Numbers in the latents of the first layers (default: all); 91,168 in ImageNet-64's 31."""
        return sum(c * h * w for c, h, w in self.latent_shapes(n_layers))

    def n_latent_layers(self, n_layers: int | None) -> int:
        """``n_layers``, checked; all layers for None."""
        if n_layers is None:
            return len(self.decoder)
        if not 1 <= n_layers <= len(self.decoder):
            raise InputError(
                "number of latent layers",
                found=n_layers,
                expected=f"1 to {len(self.decoder)}, the layers of decoder_blocks",
            )
        return n_layers

    def _check_encoder(self) -> set[int]:
        """Check that each block starts where the last one ended; return the resolutions visited."""
        current = self.image_size
        visited = {current}
        for resolution, pooling in self.encoder:
            if resolution != current:
                raise InputError(
                    f"encoder_blocks {self.encoder_blocks!r}",
                    found=f"a block at resolution {resolution}",
                    expected=f"{current}, where the block before it ends",
                )
            if pooling:
                if resolution % pooling:
                    raise InputError(
                        f"encoder_blocks {self.encoder_blocks!r}",
                        found=f"resolution {resolution} pooled by {pooling}",
                        expected="a divisor of the resolution",
                    )
                current //= pooling
            visited.add(current)
        return visited

    def _check_decoder(self, available: set[int]) -> None:
        """Check that each block has encoder activations, and each mixin features, to work on."""
        setting = f"decoder_blocks {self.decoder_blocks!r}"
        done: set[int] = set()
        for resolution, mixin in self.decoder:
            if resolution not in available:
                raise InputError(
                    setting,
                    found=f"a block at resolution {resolution}",
                    expected=f"one of the encoder's resolutions {sorted(available)}",
                )
            if mixin is not None and (mixin not in done or resolution % mixin):
                raise InputError(
                    setting,
                    found=f"'{resolution}m{mixin}'",
                    expected=f"an earlier resolution that divides {resolution}: {sorted(done)}",
                )
            done.add(resolution)
        if self.image_size not in done:
            raise InputError(
                setting,
                found=f"resolutions {sorted(done)}",
                expected=f"blocks at the image size, {self.image_size}",
            )


def _parse(text: str, letter: str, setting: str) -> list[Block]:
    """Read a block string; ``letter`` is the operation that takes an argument (``d`` or ``m``)."""
    blocks = []
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(rf"([1-9]\d*)(?:([x{letter}])([1-9]\d*))?", part)
        if match is None:
            raise InputError(
                f"{setting} {text!r}",
                found=f"the part {part!r}",
                expected=f"'RxN' or 'R{letter}K' with positive integers",
            )
        resolution, operation, argument = match.groups()
        if operation == letter:
            blocks.append(Block(int(resolution), int(argument)))
        else:
            blocks.extend([Block(int(resolution), None)] * int(argument or 1))
    return blocks
