"""Responses of images, standardised, and the file of their Gram matrix.

The Gram matrix belongs to a subject's training responses; all feature spaces and penalties share
it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError, listing
from nsdrecon.logs import progress
from nsdrecon.ridge.dual import Spectrum, gram_matrix
from nsdrecon.store import ID, create_h5, dataset, open_h5, read_ids, rows_of

logger = logging.getLogger(__name__)

_BLOCK_VOXELS = 1024  # 73 MB of float64 for 8,859 images
_ROUNDING = 1e-6  # of the mean: a smaller standard deviation is float32 rounding of a constant
_LABELS = ("subject", "units")


def is_constant(std: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Whether float32 values with these standard deviations and means do not vary."""
    return std <= _ROUNDING * np.abs(mean)


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each voxel, (n_voxels,); std 0: it takes no part."""

    mean: np.ndarray
    std: np.ndarray

    def __call__(self, betas: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Standardised betas (n, n_block) of the voxels in ``columns``, float64."""
        std = self.std[columns]
        scale = np.divide(1, std, out=np.zeros_like(std), where=std > 0)
        return (betas - self.mean[columns]) * scale


@dataclass(frozen=True)
class Responses:
    """Mean responses of a file of `nsdrecon.data.betas.average_repeats`, read by blocks of voxels.

    Attributes
    ----------
    path
        The file.
    nsd_id
        (n_images,) its images.
    voxels
        Its voxels.
    labels
        Its attributes ``subject`` and ``units``.
    """

    path: Path
    nsd_id: np.ndarray
    voxels: Voxels
    labels: dict[str, str]

    @classmethod
    def of(cls, path: str | Path) -> Responses:
        """The responses of a file, which stay there.

        Raises
        ------
        InputError
            If the file is damaged, or its ids, voxels and betas do not fit each other.
        """
        nsd_id = read_ids(path)
        with open_h5(path) as file:
            voxels = Voxels.of(file)
            shape = dataset(file, "betas").shape
            labels = {name: str(file.attrs.get(name, "")) for name in _LABELS}
        if shape != (len(nsd_id), len(voxels)):
            raise InputError(
                path, found=f"betas of shape {shape}", expected=(len(nsd_id), len(voxels))
            )
        return cls(Path(path), nsd_id, voxels, labels)

    def blocks(self, nsd_id: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of voxels with their betas, (n, n_block) float32, rows in the order of the ids.

        Raises
        ------
        InputError
            If an id is missing or a response is not finite; the image is named.
        """
        rows = rows_of(nsd_id, self.nsd_id, self.path)
        starts = range(0, len(self.voxels), _BLOCK_VOXELS)
        with open_h5(self.path) as file:
            for start in progress(starts, description=self.path.stem, unit="block"):
                columns = slice(start, min(start + _BLOCK_VOXELS, len(self.voxels)))
                betas = dataset(file, "betas")[:, columns].astype(np.float32)[rows]
                check_finite(betas, nsd_id, self.path, "responses")
                yield columns, betas

    def same_voxels(self, voxels: Voxels, labels: dict[str, str]) -> None:
        """Check that these are responses of the same voxels of the same subject, in the same units.

        Raises
        ------
        InputError
            If they are not.
        """
        check_voxels(self.voxels, voxels)
        for name, value in labels.items():
            if self.labels[name] != value:
                raise InputError(
                    self.path,
                    found=f"{name} {self.labels[name]!r}",
                    expected=f"{value!r} as in {voxels.source}",
                )


def check_voxels(found: Voxels, expected: Voxels) -> None:
    """Check that two files have the same voxels in the same order.

    Raises
    ------
    InputError
        If they do not.
    """
    if not found.same_as(expected):
        raise InputError(
            found.source,
            found=f"{len(found)} voxels that differ in number or place",
            expected=f"the {len(expected)} voxels of {expected.source}",
        )


def check_finite(
    values: np.ndarray,
    labels: np.ndarray,
    source: str | Path,
    what: str,
    rows: str = "images nsd_id",
) -> None:
    """Check rows (n, n_columns), named by labels (n,), for values that are not finite.

    Raises
    ------
    InputError
        If there are any; the rows are named.
    """
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise InputError(
            source,
            found=f"{what} that are not finite, of {rows} {listing(labels[~finite])}",
            expected="finite numbers",
        )


@dataclass(frozen=True)
class Gram:
    """The file of a Gram matrix: training images, voxels, their standardisation, the matrix.

    Attributes
    ----------
    path
        The file, in which the matrices stay until they are asked for.
    nsd_id
        (n_train,) training images, the order of the matrix.
    standardise
        Mean and standard deviation (ddof 1) of each voxel over the training images.
    voxels, labels
        As in the betas file.
    digest
        Of the betas that the matrix was made of.
    """

    path: Path
    nsd_id: np.ndarray
    standardise: Standardisation
    voxels: Voxels
    labels: dict[str, str]
    digest: str

    @classmethod
    def of(cls, path: str | Path) -> Gram:
        """Read what is small from a file of `prepare_gram`.

        Raises
        ------
        InputError
            If the file is damaged or another kind of file.
        """
        nsd_id = read_ids(path)
        with open_h5(path) as file:
            shape = dataset(file, "gram").shape
            if shape != (len(nsd_id), len(nsd_id)):
                raise InputError(path, found=f"gram of shape {shape}", expected=(len(nsd_id),) * 2)
            standardise = Standardisation(
                dataset(file, "voxel_mean")[()], dataset(file, "voxel_std")[()]
            )
            labels = {name: str(file.attrs[name]) for name in _LABELS}
            return cls(
                Path(path), nsd_id, standardise, Voxels.of(file), labels, file.attrs["digest"]
            )

    def matrix(self, device: str | torch.device) -> torch.Tensor:
        """K, (n_train, n_train) float64."""
        with open_h5(self.path) as file:
            return torch.from_numpy(file["gram"][()]).to(device)

    def spectrum(self, device: str | torch.device) -> Spectrum:
        """Eigenvalues and float32 eigenvectors of K.

        Raises
        ------
        InputError
            If the file was made without them.
        """
        with open_h5(self.path) as file:
            if "eigenvectors" not in file:
                raise InputError(
                    self.path,
                    found="a Gram matrix without eigenvectors",
                    expected="eigenvectors: alpha is to be chosen by leave-one-out",
                    remedy="Make it again with eigenvectors.",
                )
            return Spectrum(
                torch.from_numpy(file["eigenvalues"][()]).to(device),
                torch.from_numpy(file["eigenvectors"][()]).to(device),
            )

    def standardised(
        self, betas_path: str | Path, device: str | torch.device
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        """The training responses again: blocks of voxels, (n_train, n_block) float64.

        Raises
        ------
        InputError
            If they are not those that the matrix was made of; this is known after the last block.
        """
        responses = Responses.of(betas_path)
        responses.same_voxels(self.voxels, self.labels)
        same_ids(responses.nsd_id, self.nsd_id, betas_path, self.path)
        digest = hashlib.blake2b(digest_size=16)
        for columns, betas in responses.blocks(self.nsd_id):
            digest.update(betas)
            yield columns, torch.from_numpy(self.standardise(betas, columns)).to(device)
        if digest.hexdigest() != self.digest:
            raise InputError(
                betas_path,
                found="other responses than the Gram matrix was made of",
                expected=f"those of {self.path}",
                remedy="Make the Gram matrix again.",
            )


def same_ids(
    found: np.ndarray, expected: np.ndarray, source: str | Path, reference: str | Path
) -> None:
    """Check that two files hold the same images, in whatever order.

    Raises
    ------
    InputError
        If an image is in one file alone; it is named.
    """
    rows_of(expected, found, source)
    extra = np.setdiff1d(found, expected)
    if len(extra):
        raise InputError(
            source,
            found=f"nsd_id {listing(extra)}, without a counterpart",
            expected=f"the {len(expected)} images of {reference}",
        )


def prepare_gram(
    train_betas: str | Path,
    output: str | Path,
    *,
    device: str | torch.device = "cpu",
    eigenvectors: bool = True,
) -> None:
    """Gram matrix of the standardised training responses, with its eigendecomposition.

    Voxels get mean 0 and standard deviation 1 (ddof 1) over the training images. Those that do not
    vary take no part; they are counted.

    The output holds ``nsd_id`` (n_train,), ``gram`` (n_train, n_train) float64, ``eigenvalues``
    (n_train - 1,) float64 and ``eigenvectors`` (n_train, n_train - 1) float32 without the constant
    vector, ``voxel_mean`` and ``voxel_std`` (n_voxels,) float64, ``voxel`` and ``affine``.

    Parameters
    ----------
    train_betas
        Mean responses of the training images (`nsdrecon.data.betas.average_repeats`).
    output
        HDF5 file, written all or nothing.
    device
        Where the matrix is computed. Memory is about 24 n_train^2 bytes, 34 with eigenvectors.
    eigenvectors
        They are needed only to choose alpha by leave-one-out.

    Raises
    ------
    InputError
        If the file is damaged, has a response that is not finite, less than two images, or no voxel
        that varies.
    """
    responses = Responses.of(train_betas)
    n_images, n_voxels = len(responses.nsd_id), len(responses.voxels)
    if n_images < 2:
        raise InputError(
            train_betas,
            found=f"{n_images} training images",
            expected="at least two for a regression",
        )
    voxels = Standardisation(np.empty(n_voxels), np.empty(n_voxels))
    digest = hashlib.blake2b(digest_size=16)

    def standardised() -> Iterator[torch.Tensor]:
        for columns, betas in responses.blocks(responses.nsd_id):
            digest.update(betas)
            mean = betas.mean(axis=0, dtype=np.float64)
            std = betas.std(axis=0, ddof=1, dtype=np.float64)
            voxels.mean[columns] = mean
            voxels.std[columns] = np.where(is_constant(std, mean), 0, std)
            yield torch.from_numpy(voxels(betas, columns)).to(device)

    gram = gram_matrix(standardised())
    n_used = int((voxels.std > 0).sum())
    logger.info(
        "%d training images, %d voxels; %d left out that do not vary",
        n_images,
        n_voxels,
        n_voxels - n_used,
    )
    if n_used == 0:
        raise InputError(train_betas, found="no voxel that varies", expected="at least one")
    spectrum = Spectrum.of(gram) if eigenvectors else None
    with create_h5(output) as file:
        file.create_dataset(ID, data=responses.nsd_id)
        file.create_dataset("gram", data=gram.cpu().numpy())
        if spectrum is not None:
            file.create_dataset("eigenvalues", data=spectrum.values.cpu().numpy())
            file.create_dataset("eigenvectors", data=spectrum.vectors.float().cpu().numpy())
        file.create_dataset("voxel_mean", data=voxels.mean)
        file.create_dataset("voxel_std", data=voxels.std)
        responses.voxels.write(file)
        file.attrs.update(responses.labels, digest=digest.hexdigest(), voxels_used=n_used)
