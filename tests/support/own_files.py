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

    def with_further_test(self, name: str = "far") -> OwnFiles:
        """The same with a second test set: every other test image."""
        last = self.trials["image"] >= N_TRAIN + N_TEST // 2
        self.trials.loc[last, "split"] = name
        return self

    def with_other_test_data(self) -> OwnFiles:
        """The same with other responses to all test images, which are other pictures."""
        tested = self.trials["split"] != "train"
        self.betas[tested] = np.random.default_rng(1).normal(5, 9, self.betas[tested].shape)
        self.pictures[N_TRAIN:] = 255 - self.pictures[N_TRAIN:]
        self.captions.loc[N_TRAIN:, "caption"] = "something else"
        return self

    def write_glmsingle(self) -> dict:
        """Write them as GLMsingle's files with events; returns section ``glmsingle``."""
        section, place = self.write(), self.folder
        for session, shown in self.trials.groupby("session"):
            events = pd.DataFrame({"onset": range(len(shown)), "trial_type": shown["image"]})
            events.to_csv(place / f"events_{session}.tsv", sep="\t", index=False)
            outputs = {"betasmd": self.betas[shown.index].T[:, None, None]}
            np.save(place / f"TYPED_{session}.npy", outputs, allow_pickle=True)
        test = self.trials.loc[self.trials["split"] != "train", ["image", "split"]]
        test.drop_duplicates().to_csv(place / "test.tsv", sep="\t", index=False)
        return section | {
            "trials": str(place / "events_{session}.tsv"),
            "betas": str(place / "TYPED_{session}.npy"),
            "test": str(place / "test.tsv"),
        }

    def volumes(self) -> np.ndarray:
        """The betas as (x, y, z, trials)."""
        found = np.zeros((*SHAPE, len(self.betas)), dtype=np.float32)
        found[self.mask > 0] = self.betas.T
        return found
