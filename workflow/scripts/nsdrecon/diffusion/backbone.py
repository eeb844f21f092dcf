"""What the reconstruction loop needs of a latent diffusion model."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional as F

from nsdrecon.errors import InputError
from nsdrecon.pretrained import config_value, read_config

logger = logging.getLogger(__name__)

# Arguments of a U-Net by name, each with a row for every image; some are groups of such arguments.
Condition = dict[str, "torch.Tensor | Condition"]

# The scale of the latents of Stable Diffusion 1.x, for VAE configurations too old to name it.
SD_LATENT_SCALE = 0.18215


@dataclass(frozen=True)
class BackboneSpec:
    """What a model folder holds, known from its configuration files before any weight is read.

    Parameters
    ----------
    folder
        The diffusers folder.
    image_size
        Side of the images in pixels.
    latent_shape
        (channels, height, width) of the latents.
    latent_scale
        Factor between the autoencoder's latents and the model's.
    conditioning
        Each kind of features that the model takes, such as ``text``, to (tokens, width), in the
        order in which it takes them.
    scheduler
        The model's scheduler configuration.
    """

    folder: Path
    image_size: int
    latent_shape: tuple[int, int, int]
    latent_scale: float
    conditioning: Mapping[str, tuple[int, int]]
    scheduler: Mapping[str, Any]


def describe_folder(
    folder: str | Path,
    unet: str,
    conditioning: Mapping[str, tuple[int, int]],
) -> BackboneSpec:
    """Read and check the configuration of a diffusers folder.

    Parameters
    ----------
    folder
        Folder with the subfolders ``unet``, ``vae`` and ``scheduler``.
    unet
        Name of the U-Net's subfolder.
    conditioning
        Kind of features to (tokens, width).

    Raises
    ------
    InputError
        If a file is missing, or the parts do not fit each other.
    """
    folder = Path(folder)
    unet_config, unet_path = read_config(folder / unet), folder / unet / "config.json"
    vae_config, vae_path = read_config(folder / "vae"), folder / "vae" / "config.json"
    channels = config_value(unet_config, "in_channels", unet_path)
    side = config_value(unet_config, "sample_size", unet_path)
    width = config_value(unet_config, "cross_attention_dim", unet_path)
    for name, (_, found) in conditioning.items():
        if found != width:
            raise InputError(
                unet_path, found=f"cross_attention_dim {width}", expected=f"{found}, that of {name}"
            )
    latent_channels = config_value(vae_config, "latent_channels", vae_path)
    if latent_channels != channels:
        raise InputError(
            vae_path,
            found=f"latent_channels {latent_channels}",
            expected=f"{channels}, the channels of the U-Net",
        )
    reduction = 2 ** (len(config_value(vae_config, "block_out_channels", vae_path)) - 1)
    return BackboneSpec(
        folder=folder,
        image_size=side * reduction,
        latent_shape=(channels, side, side),
        latent_scale=vae_config.get("scaling_factor") or SD_LATENT_SCALE,
        conditioning=dict(conditioning),
        scheduler=read_config(folder / "scheduler", "scheduler_config.json"),
    )


class Backbone(ABC):
    """A latent diffusion model: autoencoder, noise prediction and unconditional conditioning.

    Latents and images enter and leave in float32, whatever the precision inside.

    Attributes
    ----------
    spec
        Shapes and configuration.
    device, dtype
        Where and in which precision the networks run.
    unconditional
        Kind of features to (1, tokens, width), float32: those of "nothing", for guidance.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        unet: torch.nn.Module,
        vae: AutoencoderKL,
        unconditional: Mapping[str, torch.Tensor],
        *,
        compile_unet: bool = False,
    ) -> None:
        self.spec = spec
        self.unet = unet
        self.vae = vae
        self.unconditional = unconditional
        self.device = unet.device
        self.dtype = unet.dtype
        # Convolutions on GPUs, and in bfloat16 on CPUs, measured faster in this layout.
        on_cpu = self.device.type == "cpu"
        if not on_cpu or self.dtype is torch.bfloat16:
            for network in (self.unet, self.vae):
                network.to(memory_format=torch.channels_last)
                if on_cpu:
                    _norm_in_float32(network)
        self.compiled = torch.compile(unet) if compile_unet else None

    @classmethod
    @abstractmethod
    def describe(cls, folder: str | Path) -> BackboneSpec:
        """Shapes and configuration of a folder, without loading a weight."""

    @classmethod
    @abstractmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        compile_unet: bool = False,
    ) -> Backbone:
        """The model with its weights; may take further settings of stage 2 by name."""

    def condition(self, features: Mapping[str, torch.Tensor]) -> Condition:
        """What the U-Net is told of n images, by the names of its arguments.

        Here the features lie side by side in the order of the spec. A model that takes more, such
        as ``added_cond_kwargs``, adds it.

        Parameters
        ----------
        features
            Each kind to (n, tokens, width), float32: predicted ones, or those of "nothing".

        Returns
        -------
        Keyword arguments: tensors of n rows, or dictionaries of such.
        """
        parts = [features[name] for name in self.spec.conditioning]
        context = torch.cat(parts, dim=1).to(self.device, self.dtype)
        return {"encoder_hidden_states": context}

    def predict(self, latents: torch.Tensor, timestep: int, condition: Condition) -> torch.Tensor:
        """Prediction of the U-Net (the noise, as a rule), shape as ``latents``, float32."""
        # Keys and values of the context are the same in every step, but keeping them measured no
        # faster: they are 0.4 % (Stable Diffusion) and 1 % (Versatile Diffusion) of the arithmetic.
        unet = self.unet if self.compiled is None else self.compiled
        # As a number it would be copied to the GPU, for which the loop would wait in every step,
        # and a compiled network would be compiled again.
        when = torch.full((), timestep, device=latents.device)
        output = unet(latents.to(self.dtype), when, **condition, return_dict=False)
        return output[0].float()

    def encode(self, images: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Latents of images (n, 3, size, size) in -1..1: posterior mean, or sample by ``noise``."""
        posterior = self.vae.encode(images.to(self.device, self.vae.dtype)).latent_dist
        latents = posterior.mean.float()
        if noise is not None:
            latents = latents + posterior.std.float() * noise.to(self.device)
        return latents * self.spec.latent_scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, size, size), about -1..1, of latents.

        An image that is not finite in half precision is decoded again in float32.
        """
        scaled = latents / self.spec.latent_scale
        images = self.vae.decode(scaled.to(self.vae.dtype)).sample.float()
        bad = all_finite(latents) & ~all_finite(images)
        if bad.any() and self.vae.dtype is not torch.float32:
            logger.warning("%d images decoded again in float32", int(bad.sum()))
            with _precision(self.vae, torch.float32):
                images[bad] = self.vae.decode(scaled[bad]).sample
        return images

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Run the networks in float32, and not compiled, for a while."""
        dtype, compiled = self.dtype, self.compiled
        self.dtype, self.compiled = torch.float32, None
        try:
            with _precision(self.unet, torch.float32), _precision(self.vae, torch.float32):
                yield
        finally:
            self.dtype, self.compiled = dtype, compiled


class _Float32GroupNorm(torch.nn.GroupNorm):
    """Group norm computed in float32, whatever the type of its input.

    PyTorch's own takes ten times as long on a CPU in bfloat16 and channels-last layout.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)


def _norm_in_float32(network: torch.nn.Module) -> None:
    """Replace every group norm of a network; the parameters stay the same."""
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, torch.nn.GroupNorm):
                own = _Float32GroupNorm(norm.num_groups, norm.num_channels, norm.eps, device="meta")
                own.weight, own.bias = norm.weight, norm.bias
                setattr(parent, name, own.train(norm.training))


@contextmanager
def _precision(model: torch.nn.Module, dtype: torch.dtype) -> Iterator[None]:
    before = model.dtype
    model.to(dtype)
    try:
        yield
    finally:
        model.to(before)


def all_finite(images: torch.Tensor) -> torch.Tensor:
    """Whether each row of (n, ...) has finite values only, shape (n,), bool."""
    return torch.isfinite(images).flatten(1).all(dim=1)


def to_pixels(images: np.ndarray, size: int) -> torch.Tensor:
    """Float32 images (n, 3, size, size) in -1..1 of uint8 images (n, height, width, 3).

    Images of another size are resized (bicubic, antialiased).
    """
    if images.shape[1:3] != (size, size):
        images = np.stack(
            [
                np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
                for image in images
            ]
        )
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1


def to_uint8(images: torch.Tensor, rounding: str = "round") -> np.ndarray:
    """Grey levels (n, size, size, 3), uint8, of float images (n, 3, size, size) in -1..1.

    ``rounding`` is ``round``, or ``truncate`` to the level below.
    """
    levels = (images / 2 + 0.5).clamp(0, 1) * 255
    if rounding == "round":
        levels = levels.round()
    return levels.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()
