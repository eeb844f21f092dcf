"""Training latents as regression targets, block by block, and their leave-one-out scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from nsdrecon.ahead import ahead
from nsdrecon.errors import InputError
from nsdrecon.logs import progress
from nsdrecon.ridge.responses import check_finite, is_constant, same_ids
from nsdrecon.store import dataset, open_h5, read_ids, rows_of

_ROWS = 64  # summed at a time: the working copies stay in the processor's cache


@dataclass(frozen=True)
class TargetBlock:
    """Consecutive targets: ``centred`` (n_train, n_block) float32, 0 where a target is constant.

    ``mean`` and ``std`` (ddof 0; 0 if constant) are (n_block,) float64.
    """

    columns: slice
    centred: torch.Tensor
    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Targets:
    """Latents of a file (`nsdrecon.data.latent_files`), in the order of the training images.

    Attributes
    ----------
    path
        The file.
    feature, shape
        What a row is.
    nsd_id
        (n_train,) order of the rows.
    rows
        (n_train,) where they are in the file.
    """

    path: Path
    feature: str
    shape: tuple[int, ...]
    nsd_id: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, path: str | Path, nsd_id: np.ndarray, reference: str | Path) -> Targets:
        """The latents of a file, which stay there; ``nsd_id`` are the images of ``reference``.

        Raises
        ------
        InputError
            If the file is damaged, holds other images, or rows that are not of its shape.
        """
        available = read_ids(path)
        same_ids(available, nsd_id, path, reference)
        with open_h5(path) as file:
            found = dataset(file, "latents").shape
            feature = str(file.attrs.get("feature", ""))
            shape = tuple(int(size) for size in file.attrs.get("shape", ()))
        expected = (len(available), int(np.prod(shape)))
        if found != expected:
            raise InputError(
                path, found=f"latents of shape {found}", expected=f"{expected} for shape {shape}"
            )
        return cls(Path(path), feature, shape, nsd_id, rows_of(nsd_id, available, path))

    def __len__(self) -> int:
        return int(np.prod(self.shape))

    def blocks(
        self, size: int, device: str | torch.device, description: str
    ) -> Iterator[TargetBlock]:
        """Blocks of at most ``size`` targets.

        Raises
        ------
        InputError
            If a latent is not finite; the image is named.
        """
        parts = [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]
        with (
            open_h5(self.path) as file,
            # One block is worked on, one is in the making.
            closing(ahead(partial(self._read, file), parts, depth=2, workers=1)) as read,
        ):
            watched = progress(read, description=description, total=len(parts), unit="block")
            for columns, latents in zip(parts, watched, strict=True):
                yield _centre(columns, torch.from_numpy(latents).to(device))

    def _read(self, file: h5py.File, columns: slice) -> np.ndarray:
        latents = dataset(file, "latents")[:, columns]
        if not np.array_equal(self.rows, np.arange(len(latents))):
            latents = latents[self.rows]
        check_finite(latents, self.nsd_id, self.path, "latents")
        return latents


def _centre(columns: slice, latents: torch.Tensor) -> TargetBlock:
    n_images = len(latents)
    mean = sum(part.double().sum(dim=0) for part in latents.split(_ROWS)) / n_images
    centred = torch.empty_like(latents)
    squares = torch.zeros_like(mean)
    for part, target in zip(latents.split(_ROWS), centred.split(_ROWS), strict=True):
        values = part.double() - mean
        squares += (values**2).sum(dim=0)
        target.copy_(values)
    std = (squares / n_images).sqrt()
    constant = torch.from_numpy(is_constant(std.cpu().numpy(), mean.cpu().numpy())).to(std.device)
    centred[:, constant] = 0
    std[constant] = 0
    return TargetBlock(columns, centred, mean.cpu().numpy(), std.cpu().numpy())


@dataclass(frozen=True)
class TargetStatistics:
    """What a weights file says of each target, (n_targets,) float64 each; see `nsdrecon.ridge`."""

    alpha: np.ndarray
    intercept: np.ndarray
    target_std: np.ndarray
    loo_mean: np.ndarray
    loo_std: np.ndarray
    loo_r2: np.ndarray
    loo_correlation: np.ndarray

    @classmethod
    def empty(cls, n_targets: int) -> TargetStatistics:
        """Room for the statistics of all targets."""
        return cls(*(np.full(n_targets, np.nan) for _ in fields(cls)))

    @classmethod
    def of(
        cls, block: TargetBlock, alpha: torch.Tensor, loo_residuals: torch.Tensor
    ) -> TargetStatistics:
        """Statistics of a block of targets from its leave-one-out residuals (n_train, n_block).

        R2 is 1 - residual sum of squares / total sum of squares; the correlation is Pearson's,
        between targets and their leave-one-out predictions. Both are not numbers for constant
        targets.
        """
        sums = torch.zeros(4, len(alpha), dtype=torch.float64, device=loo_residuals.device)
        parts = zip(block.centred.split(_ROWS), loo_residuals.split(_ROWS), strict=True)
        for targets, residuals in parts:  # sums of so few rows lose nothing in float32
            predictions = targets - residuals
            products = (predictions, predictions**2, predictions * targets, residuals**2)
            sums += torch.stack([product.sum(dim=0) for product in products])
        mean, square, covariance, error = (sums / len(loo_residuals)).cpu().numpy()
        std = np.sqrt(np.maximum(square - mean**2, 0))  # the targets have mean 0
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - error / block.std**2
            correlation = covariance / (std * block.std)
        r2[block.std == 0] = np.nan
        return cls(alpha.numpy(), block.mean, block.std, mean + block.mean, std, r2, correlation)

    @classmethod
    def read(cls, file: h5py.File) -> TargetStatistics:
        """The statistics of an open weights file.

        Raises
        ------
        InputError
            If one is missing or they differ in length.
        """
        statistics = cls(*(dataset(file, field.name)[()] for field in fields(cls)))
        for field in fields(cls):
            shape = getattr(statistics, field.name).shape
            if shape != statistics.alpha.shape:
                raise InputError(
                    file.filename,
                    found=f"{field.name!r} of shape {shape}",
                    expected=statistics.alpha.shape,
                )
        return statistics

    def __len__(self) -> int:
        return len(self.alpha)

    def part(self, columns: slice) -> TargetStatistics:
        """The statistics of some of the targets; a view."""
        return TargetStatistics(*(getattr(self, field.name)[columns] for field in fields(self)))

    def put(self, columns: slice, block: TargetStatistics) -> None:
        """Fill in the statistics of a block of targets."""
        for field in fields(self):
            getattr(self, field.name)[columns] = getattr(block, field.name)

    def write(self, file: h5py.File) -> None:
        """Store in an open weights file."""
        for field in fields(self):
            file.create_dataset(field.name, data=getattr(self, field.name))
