"""Latents of the training images as products of images.

What the analyses need of the thousands of targets of a feature space is how alike its images are,
S = Y Y', which does not grow with the number of targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from nsdrecon.errors import InputError
from nsdrecon.ridge.linalg import product
from nsdrecon.ridge.targets import Targets


def target_products(
    latents: str | Path,
    nsd_id: np.ndarray,
    reference: str | Path,
    *,
    groups: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    block: int = 2048,
) -> Mapping[float, torch.Tensor]:
    """S = Y Y' / n_targets for standardised targets Y (n_train, n_targets), group by group.

    Every target has mean 0 and standard deviation 1 (ddof 0) over the images; constant ones take no
    part. The sum of all groups has a mean of 1 on its diagonal.

    Parameters
    ----------
    latents
        File of latents of the training images (`nsdrecon.data.latent_files`).
    nsd_id
        (n_train,) training images, the order of the products.
    reference
        The file these come from, for error messages.
    groups
        (n_targets,) a number for each target, for instance its penalty; by default all are 0.
    device
        Where to compute. Memory is about 8 n_train^2 bytes for each group.
    block
        Targets at a time.

    Returns
    -------
    Group to its products, (n_train, n_train) float64.

    Raises
    ------
    InputError
        If the latents are of other images, are not finite, or none of them varies.
    """
    targets = Targets.of(latents, nsd_id, reference)
    if groups is None:
        groups = np.zeros(len(targets))
    elif groups.shape != (len(targets),):
        raise InputError(
            latents, found=f"{len(targets)} targets", expected=f"{len(groups)}, as in the weights"
        )
    products: dict[float, torch.Tensor] = {}
    n_varying = 0
    for part in targets.blocks(block, device, targets.feature):
        varies = part.std > 0
        n_varying += int(varies.sum())
        for group in np.unique(groups[part.columns][varies]):
            chosen = torch.from_numpy(varies & (groups[part.columns] == group))
            scale = torch.from_numpy(part.std).to(part.centred)[chosen]
            standardised = part.centred[:, chosen] / scale
            squares = product(standardised, standardised.T).double()
            found = products.setdefault(float(group), torch.zeros_like(squares))
            found += squares
    if n_varying == 0:
        raise InputError(latents, found="no latent that varies", expected="at least one")
    for values in products.values():
        values /= n_varying
    return products
