"""The very deep VAE of Child (2021, arXiv:2011.10650), with the parameter names of its checkpoints.

A bottom-up encoder leaves one set of activations per resolution. The top-down decoder is a chain
of stochastic layers: each predicts a prior for its latent from the features so far and, where the
image is known, a posterior from those features and the encoder's activations. Training, latents of
images and images from latents are the same walk through the decoder: they differ in how a layer's
latent is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nsdrecon.vdvae.config import VDVAEConfig


class Gaussian(NamedTuple):
    """A diagonal normal distribution over a layer's latent; tensors (n, zdim, height, width)."""

    mean: Tensor
    log_std: Tensor

    def at(self, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """The sample that standard normal ``noise`` stands for; zero temperature gives the mean."""
        return self.mean + temperature * torch.exp(self.log_std) * noise

    def float(self) -> Gaussian:
        """The same distribution in float32."""
        return Gaussian(self.mean.float(), self.log_std.float())

    def divergence_from(self, other: Gaussian) -> Tensor:
        """Kullback-Leibler divergence KL(self || other) of every latent, nats."""
        log_ratio = other.log_std - self.log_std
        distance = (self.mean - other.mean) * torch.exp(-other.log_std)
        return log_ratio + 0.5 * (torch.exp(-2 * log_ratio) + distance**2 - 1)


LatentRule = Callable[[int, Gaussian, Gaussian | None], Tensor]
"""How a layer's latent is chosen: (layer, prior, posterior or None) -> latent (n, zdim, h, w)."""


class Block(nn.Module):
    """Pre-activation bottleneck of 1x1, 3x3, 3x3 and 1x1 convolutions.

    At resolutions 1 and 2 all of them are 1x1.
    """

    def __init__(
        self, in_width: int, middle_width: int, out_width: int, resolution: int, residual: bool
    ) -> None:
        super().__init__()
        size = 3 if resolution > 2 else 1
        self.residual = residual
        self.c1 = nn.Conv2d(in_width, middle_width, 1)
        self.c2 = nn.Conv2d(middle_width, middle_width, size, padding=size // 2)
        self.c3 = nn.Conv2d(middle_width, middle_width, size, padding=size // 2)
        self.c4 = nn.Conv2d(middle_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same resolution."""
        y = x
        for convolution in (self.c1, self.c2, self.c3, self.c4):
            y = convolution(F.gelu(y))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """Bottom-up path: the activations that the posteriors of each resolution look at."""

    def __init__(self, config: VDVAEConfig) -> None:
        super().__init__()
        self.poolings = [block.argument for block in config.encoder]
        self.in_conv = nn.Conv2d(3, config.width, 3, padding=1)
        self.enc_blocks = nn.ModuleList(
            Block(config.width, config.middle_width, config.width, block.resolution, residual=True)
            for block in config.encoder
        )

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Activations by resolution, each (n, width, R, R), of images (n, H, W, 3)."""
        x = self.in_conv(images.permute(0, 3, 1, 2))
        activations = {x.shape[2]: x}
        for block, pooling in zip(self.enc_blocks, self.poolings, strict=True):
            x = block(x)
            if pooling:
                x = F.avg_pool2d(x, pooling)
            activations[x.shape[2]] = x
        return activations


class StochasticLayer(nn.Module):
    """One block of the decoder: a prior, a posterior, and what its latent does to the features."""

    def __init__(self, config: VDVAEConfig, resolution: int) -> None:
        super().__init__()
        width, middle, zdim = config.width, config.middle_width, config.zdim
        self.zdim = zdim
        self.enc = Block(2 * width, middle, 2 * zdim, resolution, residual=False)
        self.prior = Block(width, middle, 2 * zdim + width, resolution, residual=False)
        self.z_proj = nn.Conv2d(zdim, width, 1)
        self.resnet = Block(width, middle, width, resolution, residual=True)

    def predict(self, x: Tensor) -> tuple[Gaussian, Tensor]:
        """The prior of the latent, and the features that go with it (n, width, R, R)."""
        mean, log_std, features = self.prior(x).tensor_split([self.zdim, 2 * self.zdim], dim=1)
        return Gaussian(mean, log_std), features

    def infer(self, x: Tensor, activations: Tensor) -> Gaussian:
        """The posterior of the latent given the encoder's activations."""
        return Gaussian(*self.enc(torch.cat([x, activations], dim=1)).chunk(2, dim=1))

    def update(self, x: Tensor, latent: Tensor) -> Tensor:
        """The features after the layer, given its latent."""
        return self.resnet(x + self.z_proj(latent))


class OutputNet(nn.Module):
    """From features to the parameters of the mixture of logistics."""

    def __init__(self, config: VDVAEConfig) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(config.width, 10 * config.n_mixtures, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Parameters (n, height, width, 10 times the number of components)."""
        return self.out_conv(x).permute(0, 2, 3, 1)


class Decoder(nn.Module):
    """Top-down path: stochastic layers from the smallest resolution to the image's."""

    def __init__(self, config: VDVAEConfig) -> None:
        super().__init__()
        self.image_size = config.image_size
        self.layers = config.decoder
        self.bias_resolutions = config.bias_resolutions
        self.width = config.width
        self.dec_blocks = nn.ModuleList(
            StochasticLayer(config, block.resolution) for block in config.decoder
        )
        self.bias_xs = nn.ParameterList(
            nn.Parameter(torch.zeros(1, config.width, r, r)) for r in config.bias_resolutions
        )
        self.out_net = OutputNet(config)
        self.gain = nn.Parameter(torch.ones(1, config.width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, config.width, 1, 1))

    def forward(
        self,
        n_images: int,
        choose_latent: LatentRule,
        *,
        activations: Mapping[int, Tensor] | None = None,
        n_layers: int | None = None,
    ) -> Tensor | None:
        """Walk down the layers and return the mixture's parameters, (n, H, W, 10 * n_mixtures).

        With ``n_layers`` the walk ends once that many latents are chosen and returns None: the
        layers after them, by far the most expensive, are never run.
        """
        features: dict[int, Tensor] = {}
        for index, (layer, (resolution, mixin)) in enumerate(
            zip(self.dec_blocks, self.layers, strict=True)
        ):
            x = features.get(resolution)
            if x is None:
                x = self._start(resolution, n_images)
            if mixin is not None:
                x = x + F.interpolate(features[mixin], scale_factor=resolution // mixin)
            posterior = None if activations is None else layer.infer(x, activations[resolution])
            prior, prior_features = layer.predict(x)
            latent = choose_latent(index, prior, posterior)
            if index + 1 == n_layers:
                return None
            features[resolution] = layer.update(x + prior_features, latent)
        return self.out_net(features[self.image_size] * self.gain + self.bias)

    def _start(self, resolution: int, n_images: int) -> Tensor:
        """Features of a resolution before its first layer: its bias, or zeros where it has none."""
        if resolution in self.bias_resolutions:
            bias = self.bias_xs[self.bias_resolutions.index(resolution)]
            return bias.expand(n_images, -1, -1, -1)
        return self.gain.new_zeros(n_images, self.width, resolution, resolution)


class VDVAE(nn.Module):
    """Encoder and decoder of one configuration, randomly initialised as for training."""

    def __init__(self, config: VDVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Start as the published training does, so that a deep stack does not explode.

        Biases are zero; what each block adds to the residual stream shrinks with the square root of
        the number of blocks; every prior begins as a standard normal.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)
        for block in self.encoder.enc_blocks:
            block.c4.weight /= math.sqrt(len(self.encoder.enc_blocks))
        for layer in self.decoder.dec_blocks:
            nn.init.zeros_(layer.prior.c4.weight)
            layer.resnet.c4.weight /= math.sqrt(len(self.decoder.dec_blocks))
            layer.z_proj.weight /= math.sqrt(len(self.decoder.dec_blocks))
