"""The simulated experiment of a project, written as the files that other data sets consist of."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd

from nsdrecon import layout
from nsdrecon.data.nsd import read_design, trial_table
from nsdrecon.regions import REGIONS, volumes

SUBJECT = "subj01"
SIMULATED = Path("resources/simulated/demo")
BROUGHT = Path("brought")


class Simulated:
    """What a project's simulation wrote in NSD's layout, for one subject."""

    def __init__(self, project: Path) -> None:
        self.root = project / SIMULATED
        design = read_design(self.root / layout.DESIGN)
        self.sessions = range(1, len(design.trials_per_session) + 1)
        self.trials = trial_table(design, SUBJECT, self.sessions)
        self.captions = np.load(self.root / "captions.npy")
        self.mask = nib.load(self.root / layout.roi_key(SUBJECT))
        self.ncsnr = self.root / layout.ncsnr_key(SUBJECT)
        self.stimuli = self.root / layout.STIMULI

    @property
    def inside(self) -> np.ndarray:
        """Voxels of the mask, bool."""
        return np.asarray(self.mask.dataobj) > 0

    def volumes(self, session: int) -> np.ndarray:
        """Betas of a session as stored, (x, y, z, trials) int16."""
        return np.asarray(nib.load(self.root / layout.betas_key(SUBJECT, session)).dataobj)


def write_prepared(project: Path, *, form: str = "nii.gz", as_files: bool = False) -> dict:
    """Write the simulated experiment as prepared files; returns section ``prepared``.

    ``form`` is that of the betas: ``nii.gz`` with a file a session, ``npy`` with one file of masked
    responses, ``h5`` with volumes of all sessions. With ``as_files`` pictures are files.
    """
    found, place = Simulated(project), project / BROUGHT
    place.mkdir()
    table = found.trials[["session", "split"]].assign(image=found.trials["nsd_id"])
    with h5py.File(found.stimuli) as file:
        images = file["imgBrick"][()]
    names = dict(enumerate(range(len(images))))
    if as_files:
        names = {row: f"picture{row:04d}.png" for row in names}
        table["image"] = table["image"].map(names)
        _write_pictures(place / "pictures", images, names)
    else:
        with h5py.File(place / "pictures.h5", "w") as file:
            file["images"] = images
    table.to_csv(place / "trials_1.tsv", sep="\t", index=False)
    texts = [(names[row], text) for row, of in enumerate(found.captions) for text in of if text]
    captions = pd.DataFrame(texts, columns=["image", "caption"])
    # In another order: rows are found by what they call the image.
    captions.sample(frac=1, random_state=0).sort_values("image").to_csv(
        place / "captions.tsv", sep="\t", index=False
    )
    nib.save(found.mask, place / "mask_1.nii.gz")
    return {
        "trials": f"{BROUGHT}/trials_{{subject}}.tsv",
        "betas": f"{BROUGHT}/{_write_betas(place, found, form)}",
        "scale": 300,
        "mask": f"{BROUGHT}/mask_{{subject}}.nii.gz",
        "pictures": f"{BROUGHT}/pictures{'' if as_files else '.h5'}",
        "captions": f"{BROUGHT}/captions.tsv",
        "noise_ceiling": str(found.ncsnr.relative_to(project)),
        "rois": {name: str(SIMULATED / layout.roi_key(SUBJECT, name)) for name in volumes(REGIONS)},
    }


def write_glmsingle(project: Path, *, form: str = "hdf5") -> dict:
    """Write the simulated experiment as events and GLMsingle's outputs; returns its section.

    ``form`` is ``hdf5``, with volumes, or ``npy``, with responses of the mask's voxels alone.
    """
    found = Simulated(project)
    section = write_prepared(project)
    for session in found.sessions:
        shown = found.trials.loc[found.trials["session"] == session, "nsd_id"].to_numpy()
        _write_events(project / BROUGHT, session, shown)
        betas = found.volumes(session) / np.float32(300)
        path = project / BROUGHT / f"TYPED_{session}.{form}"
        if form == "hdf5":
            with h5py.File(path, "w") as file:
                file["betasmd"] = betas
        else:
            outputs = {"betasmd": betas[found.inside][:, None, None], "pcnum": 3, "R2": None}
            np.save(path, outputs, allow_pickle=True)
    test = np.unique(found.trials.loc[found.trials["split"] == "test", "nsd_id"])
    pd.DataFrame({"image": test}).to_csv(project / BROUGHT / "test.tsv", sep="\t", index=False)
    del section["scale"]
    return section | {
        "trials": f"{BROUGHT}/sub-{{subject:02d}}_ses-{{session:02d}}_run-{{run:02d}}_events.tsv",
        "betas": f"{BROUGHT}/TYPED_{{session}}.{form}",
        "test": f"{BROUGHT}/test.tsv",
        "ignored": ["blank"],
    }


def _write_events(place: Path, session: int, shown: np.ndarray) -> None:
    """Two runs of a session, with a blank in each, and events that are not sorted."""
    for run, images in enumerate(np.array_split(shown, 2), start=1):
        events = pd.DataFrame({"onset": 4.0 * np.arange(len(images)), "duration": 3.0})
        events["trial_type"] = images.astype(str)
        events.loc[len(events)] = [2.0, 3.0, "blank"]
        path = place / f"sub-01_ses-{session:02d}_run-{run:02d}_events.tsv"
        events.sample(frac=1, random_state=run).to_csv(path, sep="\t", index=False)


def _write_betas(place: Path, found: Simulated, form: str) -> str:
    if form == "nii.gz":
        for session in found.sessions:
            image = nib.Nifti1Image(found.volumes(session), found.mask.affine)
            nib.save(image, place / f"betas_1_{session:02d}.nii.gz")
        return "betas_{subject}_{session:02d}.nii.gz"
    volumes = np.concatenate([found.volumes(session) for session in found.sessions], axis=3)
    if form == "npy":
        np.save(place / "betas_1.npy", volumes[found.inside].T)
    else:
        with h5py.File(place / "betas_1.h5", "w") as file:
            file["betas"] = volumes
    return f"betas_{{subject}}.{form}"


def _write_pictures(folder: Path, images: np.ndarray, names: dict[int, str]) -> None:
    from PIL import Image

    folder.mkdir()
    for row, name in names.items():
        Image.fromarray(images[row]).save(folder / name, compress_level=1)
