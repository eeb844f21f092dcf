"""Simulated responses and latents, in files and as arrays, for tests of the regression."""

import numpy as np

from nsdrecon.data.latent_files import write_latents
from nsdrecon.data.volumes import Voxels
from nsdrecon.ridge.decoding import predict
from nsdrecon.ridge.fitting import fit_weights
from nsdrecon.ridge.responses import prepare_gram
from nsdrecon.store import create_h5, read_array

N_TRAIN, N_TEST, N_VOXELS = 40, 12, 60
SHAPE = (3, 10)  # three tokens, the first of which is constant
CONSTANT_VOXELS = [4, 17]
GRID = (1.0, 10.0, 100.0, 1000.0, 10000.0)
ALPHA = 30.0


def write_betas(path, nsd_id, betas, subject="subj01", units="percent signal change", shift=0):
    index = np.argwhere(np.ones((4, 3, 5), dtype=bool)).astype(np.int32) + shift
    with create_h5(path) as file:
        file.create_dataset("nsd_id", data=nsd_id)
        file.create_dataset("betas", data=betas.astype(np.float32))
        Voxels(index[: betas.shape[1]], (9, 8, 10), np.eye(4), str(path)).write(file)
        file.attrs.update(subject=subject, units=units)


class Experiment:
    """Simulated responses and latents, in files and as arrays."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        n = N_TRAIN + N_TEST
        betas = rng.normal(size=(n, N_VOXELS)) * rng.uniform(0.5, 3, N_VOXELS) + 2
        betas[:, CONSTANT_VOXELS] = [0.0, 1.7]
        weights = rng.normal(size=(N_VOXELS, np.prod(SHAPE))) / 10
        noise = rng.normal(size=(n, np.prod(SHAPE))) * np.linspace(0.2, 3, np.prod(SHAPE))
        latents = betas @ weights + noise + 7
        latents[:, :10] = np.linspace(-1, 1, 10)
        self.nsd_id = rng.permutation(1000)[:n]
        self.betas = betas.astype(np.float32)
        self.latents = latents.astype(np.float32)
        train, test = np.s_[:N_TRAIN], np.s_[N_TRAIN:]
        self.train_id, self.test_id = self.nsd_id[train], self.nsd_id[test]
        self.train_betas, self.test_betas = self.betas[train], self.betas[test]
        self.train_latents = self.latents[train]
        self.path = {name: folder / f"{name}.h5" for name in ("train", "test", "latents", "gram")}
        write_betas(self.path["train"], self.train_id, self.train_betas)
        write_betas(self.path["test"], self.test_id, self.test_betas)
        self.write_latents(self.path["latents"], self.train_id, self.train_latents)
        prepare_gram(self.path["train"], self.path["gram"])

    def write_latents(self, path, nsd_id, latents):
        write_latents(path, nsd_id, latents.reshape(len(latents), *SHAPE), "sd-text")

    def standardised(self):
        """Train and test responses standardised as published, without constants."""
        varies = np.setdiff1d(np.arange(N_VOXELS), CONSTANT_VOXELS)
        train, test = (b[:, varies].astype(float) for b in (self.train_betas, self.test_betas))
        mean, std = train.mean(axis=0), train.std(axis=0, ddof=1)
        return (train - mean) / std, (test - mean) / std

    def fit(self, output="weights.h5", alpha=ALPHA, **settings):
        settings = {"gram": "gram", "train_betas": "train", "latents": "latents"} | settings
        for name in ("gram", "train_betas", "latents"):
            settings[name] = self.path.get(settings[name], settings[name])
        fit_weights(output=self.folder / output, alpha=alpha, **settings)
        return self.folder / output

    def predicted(self, weights, output="predictions.h5", **settings):
        predict(weights, self.path["test"], self.folder / output, **settings)
        return read_array(self.folder / output, "latents", self.test_id)
