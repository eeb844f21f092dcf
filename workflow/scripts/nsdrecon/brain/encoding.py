"""Encoding: the response of every voxel to an image, predicted from features of the image.

Ridge regression in the dual (`nsdrecon.ridge.dual`), with features in the place of responses: for
standardised features F (n_train, n_features) of the training images and standardised responses Z
(n_train, n_voxels), the response to an image with features f is

    f F' C / n_features,   C = G Z,

in standard deviations of the training responses. Each voxel has the penalty of its least
leave-one-out error. C has a row a training image, so that a model is no larger than the responses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nsdrecon.brain.features import target_products
from nsdrecon.data.volumes import Voxels
from nsdrecon.errors import InputError
from nsdrecon.ridge.dual import AlphaPerTarget, Spectrum
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.responses import Gram, Standardisation
from nsdrecon.ridge.targets import Targets
from nsdrecon.store import ID, create_h5, dataset, open_h5, read_ids

logger = logging.getLogger(__name__)

# Penalties to choose from, in units of the mean eigenvalue of the features' products.
_PENALTIES = 10.0 ** np.arange(-2, 4)


def encoder(products: torch.Tensor) -> AlphaPerTarget:
    """Ridge from features to voxels, of the products of the features of the training images.

    They are those of `nsdrecon.brain.features.target_products`, (n_train, n_train) float64, and are
    lost.
    """
    eigenvalue = float(products.trace()) / len(products)
    return AlphaPerTarget(Spectrum.of(products), list(_PENALTIES * eigenvalue))


def left_out_correlation(responses: torch.Tensor, loo_residuals: torch.Tensor) -> np.ndarray:
    """Correlation of responses with those predicted while an image was left out.

    Both (n_train, n_voxels), responses of mean 0; the predictions are taken without the intercept.
    (n_voxels,), not a number for a voxel that does not vary.
    """
    # For features x_i of mean 0 the prediction is (1 + 1 / (n - 1)) x_i w - y_i / (n - 1): the
    # factor and the last term come from the intercept.
    predicted = (responses - loo_residuals + responses / (len(responses) - 1)).double()
    predicted -= predicted.mean(dim=0)
    covariance = (predicted * responses).sum(dim=0)
    scale = predicted.norm(dim=0) * responses.double().norm(dim=0)
    return (covariance / scale).cpu().numpy()


def fit_encoding(
    gram: str | Path,
    train_betas: str | Path,
    latents: str | Path,
    output: str | Path,
    *,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> None:
    """An encoding model from one feature space to all voxels.

    The output holds ``nsd_id`` (n_train,), ``coefficients`` (n_train, n_voxels) float32,
    ``accuracy`` and ``alpha`` (n_voxels,), the voxels' standardisation as a weights file, ``voxel``
    and ``affine``.

    Parameters
    ----------
    gram, train_betas
        File of `nsdrecon.ridge.responses`, for the standardisation of voxels, and the responses it
        was made of.
    latents
        Features of the same images (`nsdrecon.data.latent_files`).
    output
        HDF5 file, written all or nothing.
    device
        Where to compute. Memory is about 40 n_train^2 + 4 n_train n_voxels bytes.
    block
        Features at a time.

    Raises
    ------
    InputError
        If files are damaged or do not belong together, or no feature varies.
    """
    training = Gram.of(gram)
    products = target_products(latents, training.nsd_id, training.path, device=device, block=block)
    solver = encoder(sum(products.values()))
    vectors = solver.vectors.float()
    n_voxels = len(training.voxels)
    coefficients = np.empty((len(training.nsd_id), n_voxels), dtype=np.float32)
    accuracy, alpha = np.empty(n_voxels), np.empty(n_voxels)
    for columns, responses in training.standardised(train_betas, device):
        values = responses.float()
        solution = solver.solve(values)
        coefficients[:, columns] = product(vectors, solution.coordinates).cpu().numpy()
        accuracy[columns] = left_out_correlation(values, solution.loo_residuals)
        alpha[columns] = solution.alpha.numpy()
    with create_h5(output) as file:
        file.create_dataset(ID, data=training.nsd_id)
        file.create_dataset("coefficients", data=coefficients)
        file.create_dataset("accuracy", data=accuracy)
        file.create_dataset("alpha", data=alpha)
        file.create_dataset("voxel_mean", data=training.standardise.mean)
        file.create_dataset("voxel_std", data=training.standardise.std)
        training.voxels.write(file)
        feature = Targets.of(latents, training.nsd_id, training.path).feature
        file.attrs.update(training.labels, feature=feature)
    logger.info(
        "%s: leave-one-out correlation of %d voxels: median %.3f, best %.3f",
        *(feature, n_voxels, np.nanmedian(accuracy), np.nanmax(accuracy)),
    )


def accuracy_table(
    accuracy: np.ndarray, ceiling: np.ndarray, members: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Accuracy of an encoding model beside the noise ceiling, region by region.

    Parameters
    ----------
    accuracy, ceiling
        (n_voxels,) leave-one-out correlation, and the largest one possible; not a number where it
        is not known, and such a voxel does not count.
    members
        Region to the voxels that belong to it, (n_voxels,).

    Returns
    -------
    Columns ``region``, ``n_voxels`` (that count), ``accuracy`` and ``ceiling`` (means over voxels),
    and ``share``, the one of the other.
    """
    known = np.isfinite(accuracy) & np.isfinite(ceiling)
    rows = []
    for region, voxels in members.items():
        both = [values[voxels & known] for values in (accuracy, ceiling)]
        means = [float(values.mean()) if len(values) else np.nan for values in both]
        rows.append((region, len(both[0]), *means))
    table = pd.DataFrame(rows, columns=["region", "n_voxels", "accuracy", "ceiling"])
    return table.assign(share=table["accuracy"] / table["ceiling"])


@dataclass(frozen=True)
class EncodingModel:
    """A file of `fit_encoding`.

    Attributes
    ----------
    coefficients
        (n_train, n_voxels) float32.
    accuracy
        (n_voxels,) leave-one-out correlation.
    voxels, standardise, labels
        As in `nsdrecon.ridge.responses.Gram`.
    features
        The training images' features, in the order of the coefficients.
    """

    coefficients: np.ndarray
    accuracy: np.ndarray
    voxels: Voxels
    standardise: Standardisation
    labels: dict[str, str]
    features: Targets

    @classmethod
    def of(cls, path: str | Path, latents: str | Path) -> EncodingModel:
        """The model of a file, with the features it was fitted to.

        Raises
        ------
        InputError
            If a file is damaged, or the features are of other images or of another space.
        """
        features = Targets.of(latents, read_ids(path), path)
        with open_h5(path) as file:
            if file.attrs["feature"] != features.feature:
                raise InputError(
                    latents, found=f"features {features.feature!r}", expected=file.attrs["feature"]
                )
            means, deviations = (dataset(file, f"voxel_{name}")[()] for name in ("mean", "std"))
            return cls(
                dataset(file, "coefficients")[()],
                dataset(file, "accuracy")[()],
                Voxels.of(file),
                Standardisation(means, deviations),
                {name: str(file.attrs[name]) for name in ("subject", "units")},
                features,
            )

    def responses(
        self, features: np.ndarray, *, device: str | torch.device = "cpu", block: int = 2048
    ) -> np.ndarray:
        """Standardised responses predicted from features.

        Parameters
        ----------
        features
            (n, n_features) float32, rows flattened as those of the training images.
        device
            Where to compute.
        block
            Features at a time.

        Returns
        -------
        (n, n_voxels) float32.

        Raises
        ------
        InputError
            If there are more or fewer features in a row.
        """
        if features.shape[1:] != (len(self.features),):
            raise InputError(
                "features",
                found=f"shape {features.shape}",
                expected=f"rows of {len(self.features)}, as in {self.features.path}",
            )
        n_train = len(self.coefficients)
        alike = torch.zeros(len(features), n_train, dtype=torch.float64, device=device)
        n_varying = 0
        for part in self.features.blocks(block, device, self.features.feature):
            varies = torch.from_numpy(part.std > 0)
            n_varying += int(varies.sum())
            mean, std = (torch.from_numpy(values)[varies] for values in (part.mean, part.std))
            new = torch.from_numpy(features[:, part.columns])[:, varies].double()
            new = ((new - mean) / std).float().to(device)
            alike += product(new, (part.centred[:, varies] / std.to(part.centred)).T)
        weights = torch.from_numpy(self.coefficients).to(device)
        return product((alike / n_varying).float(), weights).cpu().numpy()
