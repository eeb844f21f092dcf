"""Latent image-to-image reconstruction: one loop for every backbone and sampler."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from nsdrecon.diffusion.backbone import (
    Backbone,
    BackboneSpec,
    Condition,
    all_finite,
    to_pixels,
    to_uint8,
)
from nsdrecon.diffusion.sampling import Sampling, add_noise, build_scheduler, plan, step
from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.randomness import integer_seed
from nsdrecon.store import unique_ids

logger = logging.getLogger(__name__)

# An image whose grey levels deviate by less than this from their mean shows nothing.
FLAT_DEVIATION = 1.0


class ReconstructionError(RuntimeError):
    """Images that are not finite or flat even in float32; the message names their ids."""


@dataclass(frozen=True)
class _Item:
    """One sample of one image: its row among the inputs, and what its noise is keyed by."""

    row: int
    nsd_id: int
    sample: int


def check_inputs(
    spec: BackboneSpec,
    nsd_id: np.ndarray,
    images: np.ndarray,
    conditioning: Mapping[str, np.ndarray],
    *,
    samples: int = 1,
    batch_size: int = 1,
) -> np.ndarray:
    """Check the inputs of :func:`reconstruct` against a model's specification, before it is loaded.

    Returns
    -------
    The ids, shape (n,), int64.

    Raises
    ------
    InputError
        If ids are not unique, images are not uint8 RGB, a feature is missing or has another number
        of rows, tokens or another width, or has values that are not finite (the ids are named).
    """
    ids = unique_ids(nsd_id, "reconstruction")
    for name, value in (("samples", samples), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(name, found=value, expected="at least 1")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise InputError(
            "stage-1 images",
            found=f"{images.dtype} of shape {images.shape}",
            expected="uint8 RGB (n, height, width, 3)",
        )
    if len(images) != len(ids):
        raise InputError("stage-1 images", found=len(images), expected=f"{len(ids)}, one an id")
    if sorted(conditioning) != sorted(spec.conditioning):
        raise InputError(
            "conditioning",
            found=listing(sorted(conditioning)) or "no feature",
            expected=listing(sorted(spec.conditioning)),
        )
    for name, (tokens, width) in spec.conditioning.items():
        values = conditioning[name]
        if values.shape != (len(ids), tokens, width):
            raise InputError(
                f"conditioning {name}",
                found=f"shape {values.shape}",
                expected=f"{(len(ids), tokens, width)} (images, tokens, width) for {spec.folder}",
            )
        bad = ~np.isfinite(values).reshape(len(ids), -1).all(axis=1)
        if bad.any():
            raise InputError(
                f"conditioning {name}",
                found=f"values that are not finite for nsd_id {listing(ids[bad])}",
                expected="finite values",
            )
    return ids


@torch.inference_mode()
def reconstruct(
    backbone: Backbone,
    nsd_id: np.ndarray,
    images: np.ndarray,
    conditioning: Mapping[str, np.ndarray],
    *,
    subject: str,
    seed: int,
    sampling: Sampling | None = None,
    samples: int = 1,
    batch_size: int = 8,
) -> np.ndarray:
    """Reconstruct images from stage-1 images and predicted features.

    A stage-1 image is encoded, noised to the start timestep, denoised with classifier-free guidance
    and decoded. All noise is keyed by (seed, subject, nsd_id, sample) and drawn on the CPU, so an
    image is the same whatever the batch, the order or the shard, apart from the rounding of the
    arithmetic; and backbones and samplers start from the same noise.

    Parameters
    ----------
    backbone
        A loaded model.
    nsd_id
        Shape (n,), unique.
    images
        Stage-1 images, shape (n, height, width, 3), uint8; resized to the backbone's size.
    conditioning
        Each kind of features that the backbone takes to predicted ones (n, tokens, width).
    subject, seed
        Parts of the key of the noise.
    sampling
        Sampler and its settings (default: ``Sampling()``).
    samples
        Samples of each image.
    batch_size
        Samples computed at once; halved whenever the device runs out of memory.

    Returns
    -------
    Shape (n, samples, size, size, 3), uint8, rows as in ``nsd_id``.

    Raises
    ------
    InputError
        As :func:`check_inputs`.
    ReconstructionError
        If an image is not finite or flat, and again so in float32.
    """
    ids = check_inputs(
        backbone.spec, nsd_id, images, conditioning, samples=samples, batch_size=batch_size
    )
    job = _Job(backbone, images, conditioning, sampling or Sampling(), subject, seed)
    items = [
        _Item(row, int(identity), sample)
        for row, identity in enumerate(ids)
        for sample in range(samples)
    ]
    size = backbone.spec.image_size
    result = np.empty((len(ids), samples, size, size, 3), dtype=np.uint8)
    if backbone.compiled is not None and items:
        _warm_up(backbone, min(batch_size, len(items)))
    with progress(total=len(items), description="reconstruction", unit="image") as bar:
        for batch, pictures in _batches(items, batch_size, job.run_checked):
            for item, picture in zip(batch, pictures, strict=True):
                result[item.row, item.sample] = picture
            bar.update(len(batch))
    return result


class _Job:
    """The inputs and settings that all batches share."""

    def __init__(
        self,
        backbone: Backbone,
        images: np.ndarray,
        conditioning: Mapping[str, np.ndarray],
        sampling: Sampling,
        subject: str,
        seed: int,
    ) -> None:
        self.backbone = backbone
        self.images = images
        self.conditioning = conditioning
        self.sampling = sampling
        self.subject = subject
        self.seed = seed
        self.scheduler = build_scheduler(
            backbone.spec.scheduler, sampling, backbone.spec.folder / "scheduler"
        )
        self.plan = plan(self.scheduler, sampling)
        logger.info(
            "%s: noise to timestep %d, %d steps from %d to %d, guidance %g",
            sampling.sampler,
            self.plan.start,
            len(self.plan.timesteps),
            self.plan.timesteps[0],
            self.plan.timesteps[-1],
            sampling.guidance,
        )

    def run_checked(self, items: Sequence[_Item], rows: int) -> np.ndarray:
        """Images of a batch of ``rows``; those that fail are tried once more in float32."""
        pictures, good = self.run(items, rows)
        if good.all():
            return pictures
        failed = np.flatnonzero(~good)
        again = [items[index] for index in failed]
        if self.backbone.dtype is not torch.float32:
            logger.warning("tried again in float32: %s", _names(again))
            with self.backbone.full_precision():
                for index in failed:
                    picture, fine = self.run([items[index]], 1)
                    pictures[index], good[index] = picture[0], fine[0]
        if not good.all():
            bad = [item for item, fine in zip(items, good, strict=True) if not fine]
            raise ReconstructionError(f"not finite or flat in float32: {_names(bad)}")
        return pictures

    def run(self, items: Sequence[_Item], rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (n, size, size, 3) of a batch, and whether each is finite and not flat.

        Fewer items than rows are filled up with the last of them, which is not returned again.
        """
        filled = [*items, *[items[-1]] * (rows - len(items))]
        decoded = self.backbone.decode(self.denoise(filled, self.encode(filled)))[: len(items)]
        finite = all_finite(decoded).cpu().numpy()
        pictures = to_uint8(decoded.nan_to_num(), self.sampling.rounding)
        deviation = pictures.reshape(len(items), -1).std(axis=1)
        return pictures, finite & (deviation >= FLAT_DEVIATION)

    def encode(self, items: Sequence[_Item]) -> torch.Tensor:
        """Latents of the items' stage-1 images, the same for all samples of an image."""
        noise = None
        if self.sampling.encoding == "sample":
            keys = [(item.nsd_id,) for item in items]
            noise = self.normal(self.generators(keys, "stage2-encoding"))
        pixels = to_pixels(self.images[[item.row for item in items]], self.backbone.spec.image_size)
        return self.backbone.encode(pixels, noise)

    def denoise(self, items: Sequence[_Item], latents: torch.Tensor) -> torch.Tensor:
        """Latents, noised to the start timestep and denoised with guidance."""
        keys = [(item.nsd_id, item.sample) for item in items]
        noise = self.normal(self.generators(keys, "stage2-start")).to(latents.device)
        latents = add_noise(self.scheduler, latents, noise, self.plan.start)
        step_noise = self.generators(keys, "stage2-steps")
        condition = self.guided_condition(items)
        for timestep in self.plan.timesteps:
            both = self.backbone.predict(torch.cat([latents, latents]), timestep, condition)
            unconditional, conditional = both.chunk(2)
            guided = unconditional + self.sampling.guidance * (conditional - unconditional)
            latents = step(self.scheduler, guided, timestep, latents, step_noise)
        return latents

    def guided_condition(self, items: Sequence[_Item]) -> Condition:
        """What the U-Net is told, 2 n rows: unconditional for all the items, then conditional."""
        rows = [item.row for item in items]
        features = {
            name: torch.from_numpy(np.asarray(values[rows], dtype=np.float32))
            for name, values in self.conditioning.items()
        }
        nothing = unconditional_rows(self.backbone, len(items))
        return _joined(nothing, self.backbone.condition(features))

    def generators(self, keys: Sequence[tuple[int, ...]], stage: str) -> list[torch.Generator]:
        """A generator on the CPU for each key, of this job's seed and subject."""
        return [
            torch.Generator().manual_seed(integer_seed(self.seed, self.subject, *key, stage))
            for key in keys
        ]

    def normal(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Standard normal latents (n, channels, height, width), a row a generator."""
        shape = self.backbone.spec.latent_shape
        return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def _batches(
    items: Sequence[_Item],
    batch_size: int,
    run: Callable[[Sequence[_Item], int], np.ndarray],
) -> Iterator[tuple[Sequence[_Item], np.ndarray]]:
    """Each batch of items with its images; batches are halved when memory runs out.

    All of them have the rows of the first: a GPU rounds in another way, and a compiled network is
    compiled anew, for each number of rows.
    """
    position = 0
    while position < len(items):
        batch = items[position : position + batch_size]
        rows = batch_size if position else len(batch)
        try:
            pictures = run(batch, rows)
        except torch.OutOfMemoryError:
            if rows == 1:
                raise
            pictures = None
        # Outside the except block: the exception would keep the tensors of the failed batch alive.
        if pictures is None:
            batch_size = (rows + 1) // 2
            logger.warning("out of memory with %d images, on with %d", rows, batch_size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield batch, pictures
        position += len(batch)


def unconditional_rows(backbone: Backbone, n: int) -> Condition:
    """The unconditional inputs of a U-Net, the same in each of n rows."""
    return _repeated(backbone.condition(backbone.unconditional), n)


def _repeated(condition: Condition, n: int) -> Condition:
    return {
        name: _repeated(value, n) if isinstance(value, dict) else value.expand(n, *value.shape[1:])
        for name, value in condition.items()
    }


def _joined(first: Condition, second: Condition) -> Condition:
    """The rows of the first condition, then those of the second."""
    return {
        name: _joined(value, second[name])
        if isinstance(value, dict)
        else torch.cat([value, second[name]])
        for name, value in first.items()
    }


def _warm_up(backbone: Backbone, batch_size: int) -> None:
    """Compile the U-Net for this batch size and log how long that took."""
    start = time.perf_counter()
    latents = torch.zeros((2 * batch_size, *backbone.spec.latent_shape), device=backbone.device)
    # If memory runs out here, the loop will find a size that fits.
    with suppress(torch.OutOfMemoryError):
        backbone.predict(latents, 0, unconditional_rows(backbone, 2 * batch_size))
    logger.info("torch.compile warm-up: %.1f s", time.perf_counter() - start)


def _names(items: Sequence[_Item]) -> str:
    return listing([f"nsd_id {item.nsd_id} sample {item.sample}" for item in items])
