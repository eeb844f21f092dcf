"""A small data set of a person's own: made-up responses that follow made-up pictures."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd

SHAPE, AFFINE = (6, 5, 4), np.diag([2.0, 2, 2, 1])
N_TRAIN, N_TEST, REPEATS, SESSIONS = 30, 8, 2, 2


class OwnFiles:
    """What a person brings, to be changed before it is written."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        self.mask = np.zeros(SHAPE, dtype=np.int16)
        self.mask[1:5, 1:4, 1:3] = 1
        self.affine = AFFINE
        n_images = N_TRAIN + N_TEST
        self.pictures = rng.integers(0, 256, (n_images, 16, 16, 3), dtype=np.uint8)
        shown = np.concatenate([rng.permutation(n_images) for _ in range(REPEATS)])
        self.trials = pd.DataFrame(
            {
                "session": np.repeat(np.arange(1, SESSIONS + 1), len(shown) // SESSIONS),
                "image": shown,
                "split": np.where(shown < N_TRAIN, "train", "test"),
            }
        )
        signal = rng.normal(size=(n_images, int(self.mask.sum())))
        noise = rng.normal(size=(len(shown), signal.shape[1]))
        self.betas = (signal[shown] + noise).astype(np.float32)
        self.captions = pd.DataFrame(
            {"image": range(n_images), "caption": [f"picture {row}" for row in range(n_images)]}
        )

    def write(self) -> dict:
        """Write the files; returns section ``prepared`` of the configuration."""
        self.folder.mkdir(exist_ok=True)
        self.trials.to_csv(self.folder / "trials.tsv", sep="\t", index=False)
        np.save(self.folder / "betas.npy", self.betas)
        nib.save(nib.Nifti1Image(self.mask, AFFINE), self.folder / "mask.nii.gz")
        with h5py.File(self.folder / "pictures.h5", "w") as file:
            file["images"] = self.pictures
        self.captions.to_csv(self.folder / "captions.tsv", sep="\t", index=False)
        names = ("trials.tsv", "betas.npy", "mask.nii.gz", "pictures.h5", "captions.tsv")
        return {name.partition(".")[0]: str(self.folder / name) for name in names}

    def volumes(self) -> np.ndarray:
        """The betas as (x, y, z, trials)."""
        found = np.zeros((*SHAPE, len(self.betas)), dtype=np.float32)
        found[self.mask > 0] = self.betas.T
        return found
