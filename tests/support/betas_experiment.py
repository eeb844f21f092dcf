"""One subject's raw files of a few voxels, and the numbers in them, for tests of responses."""

import h5py
import numpy as np
import scipy.stats

from nsdrecon.data.betas import average_repeats
from nsdrecon.data.nsd import trial_table
from nsdrecon.data.session_files import extract_session
from nsdrecon.data.volumes import Voxels
from small_nsd import small_design, write_betas_hdf5, write_betas_nifti, write_volume

SHAPE = (6, 5, 4)
N_TRIALS = 10
SESSIONS = [1, 2, 3]


class Experiment:
    """One subject's raw files in a folder, and the numbers in them."""

    def __init__(self, folder, sessions=SESSIONS, seed=0):
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.sessions = sessions
        self.trials = trial_table(small_design(max(sessions), N_TRIALS), "subj01", sessions)
        self.inside = rng.random(SHAPE) < 0.5
        self.volumes = {
            session: rng.integers(-3000, 3000, (*SHAPE, N_TRIALS)).astype(np.int16)
            for session in sessions
        }
        self.mask = write_volume(folder / "nsdgeneral.nii.gz", self.inside.astype(np.int16))

    def session_path(self, session):
        return self.folder / "sessions" / f"{session:02d}.h5"

    def extract(self, ending="nii.gz"):
        write = {"nii.gz": write_betas_nifti, "hdf5": write_betas_hdf5}[ending]
        for session in self.sessions:
            raw = write(self.folder / f"betas_session{session:02d}.{ending}", self.volumes[session])
            output = self.session_path(session)
            extract_session(raw, self.mask, self.trials, "subj01", session, output)
        return {session: self.session_path(session) for session in self.sessions}

    def average(self, **settings):
        outputs = {split: self.folder / f"{split}.h5" for split in ("train", "test")}
        paths = {session: self.session_path(session) for session in self.sessions}
        average_repeats(paths, self.trials, "subj01", outputs, **settings)
        return outputs

    def is_training(self):
        """Which trials show training images, bool (n_trials,)."""
        return (self.trials["split"] == "train").to_numpy()

    def zscores(self):
        """All trials' voxels standardised over each session's training trials, the plain way."""
        parts = []
        for session in self.sessions:
            betas = self.volumes[session][self.inside].T
            training = betas[self.is_training()[self.trials["session"] == session]]
            parts.append(scipy.stats.zmap(betas, training, axis=0))
        return np.concatenate(parts)

    def responses(self):
        """All trials' voxels in percent signal change, (n_trials, n_voxels), the plain way."""
        return np.concatenate([self.volumes[s][self.inside].T / 300 for s in self.sessions])


def attributes(path):
    with h5py.File(path) as file:
        return dict(file.attrs)


def voxels_of(path):
    with h5py.File(path) as file:
        return Voxels.of(file)


def set_values(experiment, values):
    """Write responses with a fraction into the session files: session, trial, voxel to value."""
    for session in experiment.sessions:
        with h5py.File(experiment.session_path(session), "r+") as file:
            betas = file["betas"][()].astype(np.float32)
            for (number, trial, voxel), value in values.items():
                if number == session:
                    betas[trial, voxel] = value
            del file["betas"]
            file["betas"] = betas


def first_trial(experiment, session, split):
    """Position of a session's first trial of a split."""
    rows = experiment.trials[experiment.trials["session"] == session]
    return int((rows["split"] == split).argmax())
