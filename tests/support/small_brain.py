"""A brain of a few voxels, with responses, latents, weights and volumes in files, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.volumes import Voxels
from nsdrecon.ridge.fitting import fit_weights
from nsdrecon.ridge.responses import prepare_gram
from nsdrecon.store import create_h5
from small_nsd import AFFINE, write_volume

SHAPE = (4, 3, 5)
N_IMAGES, N_TARGETS = 30, 12
CONSTANT_VOXEL, CONSTANT_TARGET = 4, 2
ALPHA = 20.0
LEFT, RIGHT = slice(0, 30), slice(30, 60)  # voxels with a small and with a large x


class SmallBrain:
    """60 voxels: the left half knows of the first targets, the right half of nothing.

    Parameters
    ----------
    folder
        Where its files are written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        rng = np.random.default_rng(0)
        self.nsd_id = np.sort(rng.permutation(1000)[:N_IMAGES])
        self.latents = rng.normal(size=(N_IMAGES, N_TARGETS)).astype(np.float32) * 3 + 1
        self.latents[:, CONSTANT_TARGET] = 5
        self.index = np.argwhere(np.ones(SHAPE, dtype=bool)).astype(np.int32)
        self.betas = rng.normal(size=(N_IMAGES, 60)).astype(np.float32) * 2 + 1
        mixing = rng.normal(size=(6, 30))
        self.betas[:, LEFT] += (self.latents[:, 6:] @ mixing / 3).astype(np.float32)
        self.betas[:, CONSTANT_VOXEL] = 1.5
        names = ("train", "latents", "gram", "weights")
        self.path = {name: folder / f"{name}.h5" for name in names}
        voxels = Voxels(self.index, SHAPE, AFFINE, "betas")
        write_betas(self.path["train"], self.nsd_id, self.betas, voxels)
        shape = (N_IMAGES, 3, N_TARGETS // 3)
        write_latents(self.path["latents"], self.nsd_id, self.latents.reshape(shape), "vdvae")
        prepare_gram(self.path["train"], self.path["gram"])
        self.fit()

    def fit(self, alpha=ALPHA, **settings) -> None:
        """Weights of the decoder."""
        names = ("gram", "train", "latents", "weights")
        fit_weights(*(self.path[name] for name in names), alpha=alpha, **settings)

    def write_volume(self, name: str, values: np.ndarray) -> Path:
        """A volume of the brain's shape, as NSD has them."""
        return write_volume(self.folder / f"{name}.nii.gz", values.reshape(SHAPE))

    def standardised(self) -> np.ndarray:
        """Responses with mean 0 and standard deviation 1; the constant voxel is 0."""
        centred = self.betas.astype(float) - self.betas.mean(axis=0, dtype=float)
        std = centred.std(axis=0, ddof=1)
        return np.divide(centred, std, out=np.zeros_like(centred), where=std > 1e-5)

    def targets(self) -> np.ndarray:
        """The targets that vary, with mean 0 and standard deviation 1 (ddof 0)."""
        varying = np.delete(self.latents.astype(float), CONSTANT_TARGET, axis=1)
        return (varying - varying.mean(axis=0)) / varying.std(axis=0)


def write_betas(
    path: Path, nsd_id: np.ndarray, betas: np.ndarray, voxels: Voxels, subject: str = "subj01"
) -> None:
    """Mean responses of three repeats of each image."""
    with create_h5(path) as file:
        file.create_dataset("nsd_id", data=nsd_id)
        file.create_dataset("betas", data=betas.astype(np.float32))
        file.create_dataset("repeats", data=np.full(len(nsd_id), 3))
        voxels.write(file)
        file.attrs.update(subject=subject, units="percent signal change")
