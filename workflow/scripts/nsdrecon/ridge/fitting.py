"""From responses and latents of the training images to ridge weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from nsdrecon.errors import InputError
from nsdrecon.ridge.dual import (
    Alpha,
    AlphaPerTarget,
    OneAlpha,
    Solver,
    check_alphas,
    gram_matrix,
    loo_squared_errors,
)
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.responses import Gram
from nsdrecon.ridge.targets import Targets, TargetStatistics
from nsdrecon.store import ID, create_h5

logger = logging.getLogger(__name__)

_CHUNK = (4096, 64)  # voxels x targets: 1 MiB of float32


def fit_weights(
    gram: str | Path,
    train_betas: str | Path,
    latents: str | Path,
    output: str | Path,
    *,
    alpha: Alpha,
    alpha_grid: Sequence[float] = (),
    per_target: bool = False,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> None:
    """Ridge weights from standardised voxels to the latents of one feature space.

    Minimises ||Y - 1 b' - Z W||^2 + alpha ||W||^2 for the standardised responses Z (n_train,
    n_voxels) and the latents Y (n_train, n_targets). The result does not depend on the order of
    rows in the files, nor, but for rounding, on the block.

    Parameters
    ----------
    gram
        File of `nsdrecon.ridge.responses.prepare_gram`.
    train_betas
        Responses it was made of.
    latents
        Latents of the same images (`nsdrecon.data.latent_files`).
    output
        HDF5 file, written all or nothing; `nsdrecon.ridge` lists what it holds.
    alpha
        Ridge penalty, or ``loo``: that of ``alpha_grid`` with the least leave-one-out squared
        error, a mean over images and targets.
    alpha_grid
        Penalties above 0 to choose from.
    per_target
        With ``loo``: choose for each target, not for the feature space.
    device
        Where to compute.
    block
        Targets at a time. Memory is about 24 n_train^2 + 4 n_train n_voxels bytes, and for each
        target of a block 34 n_train + 8 n_voxels.

    Raises
    ------
    InputError
        If files are damaged, do not belong together or hold values that are not finite; if alpha is
        0 and the Gram matrix singular; if a setting is not one of those above.
    """
    fit = _Fit(gram, latents, alpha, alpha_grid, per_target, device, block)
    rows = torch.empty(len(fit.gram.voxels), fit.solver.n_coordinates, device=device)
    for columns, voxels in fit.gram.standardised(train_betas, device):
        rows[columns] = fit.solver.operator(voxels.T)
    with create_h5(output) as file:
        weights = _create_weights(file, len(rows), len(fit.targets))
        for columns, values in fit.blocks(rows):
            weights[:, columns] = values.cpu().numpy()
        fit.write(file)


class _Fit:
    """Ridge of one feature space: the solver for its alpha, and the pass over its targets."""

    def __init__(
        self,
        gram: str | Path,
        latents: str | Path,
        alpha: Alpha,
        alpha_grid: Sequence[float],
        per_target: bool,
        device: str | torch.device,
        block: int,
    ) -> None:
        grid = check_alphas(alpha, alpha_grid)
        if block < 1:
            raise InputError("block", found=block, expected="at least 1 target at a time")
        self.device = device
        self.block = block
        self.gram = Gram.of(gram)
        self.targets = Targets.of(latents, self.gram.nsd_id, gram)
        self.statistics = TargetStatistics.empty(len(self.targets))
        self.alpha_grid = grid
        self.alpha_loo_mse: np.ndarray | None = None
        self.choice = "fixed"
        self.solver: Solver
        if alpha != "loo":
            self.solver = OneAlpha(self.gram.matrix(device), alpha)
        elif per_target:
            self.choice = "loo per target"
            self.solver = AlphaPerTarget(self.gram.spectrum(device), grid)
        else:
            self.choice = "loo"
            best = self._best_alpha()
            self.solver = OneAlpha(self.gram.matrix(device), best)

    def _best_alpha(self) -> float:
        """The alpha of the grid with the least leave-one-out squared error over all targets."""
        n_images = len(self.gram.nsd_id)
        blocks = self.targets.blocks(self.block, self.device, "choice of alpha")
        target_gram = gram_matrix(part.centred for part in blocks)
        errors = loo_squared_errors(
            self.gram.spectrum(self.device), self.alpha_grid, target_gram
        ).cpu()
        self.alpha_loo_mse = errors.numpy() / (n_images * len(self.targets))
        return self.alpha_grid[int(errors.argmin())]

    def blocks(self, rows: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Solve all targets, block by block: ``rows`` (the solver's operator) times each block."""
        n_tried = len(self.alpha_grid) if self.choice == "loo per target" else 0
        squares = torch.zeros(n_tried, dtype=torch.float64, device=self.device)
        for part in self.targets.blocks(self.block, self.device, self.targets.feature):
            solution = self.solver.solve(part.centred)
            statistics = TargetStatistics.of(part, solution.alpha, solution.loo_residuals)
            squares += solution.loo_squared_errors.to(squares)
            self.statistics.put(part.columns, statistics)
            yield part.columns, product(rows, solution.coordinates)
        if n_tried:
            n_values = len(self.gram.nsd_id) * len(self.targets)
            self.alpha_loo_mse = squares.cpu().numpy() / n_values
        self._report()

    def _report(self) -> None:
        statistics = self.statistics
        varies = statistics.target_std > 0
        logger.info(
            "%s: %d images, %d targets, of which %d constant (they copy their mean)",
            self.targets.feature,
            len(self.gram.nsd_id),
            len(statistics),
            (~varies).sum(),
        )
        if not varies.any():
            return
        logger.info(
            "alpha (%s): median %g; leave-one-out: mean correlation %.4f, mean R2 %.4f",
            self.choice,
            np.median(statistics.alpha[varies]),
            statistics.loo_correlation[varies].mean(),
            statistics.loo_r2[varies].mean(),
        )
        if len(self.alpha_grid) > 1:
            ends = self.alpha_grid[0], self.alpha_grid[-1]
            at_an_end = np.isin(statistics.alpha[varies], ends).mean()
            level = logging.WARNING if at_an_end > 0.5 else logging.INFO
            text = "%.0f %% of the targets take the first or the last alpha of the grid (%g, %g)"
            logger.log(level, text, 100 * at_an_end, *ends)

    def write(self, file: h5py.File) -> None:
        """Store everything but the weights."""
        file.create_dataset(ID, data=self.gram.nsd_id)
        file.create_dataset("voxel_mean", data=self.gram.standardise.mean)
        file.create_dataset("voxel_std", data=self.gram.standardise.std)
        self.gram.voxels.write(file)
        self.statistics.write(file)
        if self.alpha_loo_mse is not None:
            file.create_dataset("alpha_grid", data=self.alpha_grid)
            file.create_dataset("alpha_loo_mse", data=self.alpha_loo_mse)
        file.attrs.update(
            self.gram.labels,
            feature=self.targets.feature,
            shape=self.targets.shape,
            alpha_choice=self.choice,
        )


def _create_weights(file: h5py.File, n_voxels: int, n_targets: int) -> h5py.Dataset:
    """A dataset to be written and read by blocks of targets."""
    chunks = (min(_CHUNK[0], n_voxels), min(_CHUNK[1], n_targets))
    return file.create_dataset("weights", (n_voxels, n_targets), dtype=np.float32, chunks=chunks)
