"""Damaged or wrong files stop the workflow at the job that reads them, with one clear error."""

import gzip
import re
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch

from workflow_runs import copy_project, snakemake

TINY = {
    "subjects": [1],
    "simulation": {
        "subjects": [{"shape": [20, 24, 18], "n_voxels": 300}],
        "n_sessions": 1,
        "trials_per_session": 60,
        "n_shared": 6,
        "n_unique": 20,
    },
}
NSD = Path("resources/simulated/demo")
FUNCTIONAL = "subj01/func1pt8mm"
MASK = NSD / "nsddata/ppdata" / FUNCTIONAL / "roi/nsdgeneral.nii.gz"
BETAS = NSD / "nsddata_betas/ppdata" / FUNCTIONAL / "betas_fithrf_GLMdenoise_RR/betas_session01"
STIMULI = NSD / "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
CAPTIONS = NSD / "captions.npy"
MODELS = Path("workflow/demo_models")
CHECKPOINT = MODELS / "vdvae/vdvae.th"
UNET = MODELS / "stable-diffusion/unet/diffusion_pytorch_model.safetensors"
CLIP = MODELS / "clip/model.safetensors"
SESSION = "results/demo/subj01/betas/sessions/01.h5"
TRAIN_STIMULI = "results/demo/subj01/stimuli/train.h5"


def run(project, *arguments, **settings):
    overlays = ("config/demo.yaml", TINY | settings)
    return snakemake(project, "--profile", "profiles/demo", *arguments, overlays=overlays)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the raw files of a tiny simulation, in both formats of the betas."""
    project = copy_project(tmp_path_factory.mktemp("bad-input") / "project")
    for ending in ("nii.gz", "hdf5"):
        nsd = {"format": ending}
        done = run(
            project, f"{BETAS}.{ending}", str(MASK), "results/demo/subj01/trials.tsv", nsd=nsd
        )
        assert done.returncode == 0, done.stderr[-4000:]
    return project


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def put_pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def widen_mask(path):
    image = nib.load(path)
    values = np.pad(np.asarray(image.dataobj), ((0, 1), (0, 0), (0, 0)))
    nib.save(nib.Nifti1Image(values, image.affine), path)


def drop_last_volume(path):
    image = nib.load(f"{path}")
    values = np.asarray(image.dataobj)[..., :-1]
    with gzip.open(path, "wb") as stream:
        stream.write(nib.Nifti1Image(values, image.affine, image.header).to_bytes())


def halve_stimuli(path):
    with h5py.File(path) as file:
        images = file["imgBrick"][: len(file["imgBrick"]) // 2]
    with h5py.File(path, "w") as file:
        file["imgBrick"] = images


def drop_captions(path):
    np.save(path, np.load(path)[:-3])


def widen_vdvae(path):
    state = torch.load(path, weights_only=True)
    name = "decoder.out_net.out_conv.weight"
    torch.save({**state, name: torch.cat([state[name]] * 2)}, path)


@pytest.mark.parametrize(
    ("path", "damage", "ending", "target", "message"),
    [
        (f"{BETAS}.nii.gz", truncate, "nii.gz", SESSION, "expected a complete NIfTI file"),
        (f"{BETAS}.hdf5", truncate, "hdf5", SESSION, "HDF5"),
        (f"{BETAS}.nii.gz", drop_last_volume, "nii.gz", SESSION, "expected 60 trials"),
        (MASK, widen_mask, "nii.gz", SESSION, r"expected \(21, 24, 18\)"),
        (STIMULI, halve_stimuli, "nii.gz", TRAIN_STIMULI, "nsd_id"),
        (
            CAPTIONS,
            drop_captions,
            "nii.gz",
            "results/demo/subj01/latents/sd-text/shards/1-of-1.h5",
            "captions",
        ),
        (
            CHECKPOINT,
            widen_vdvae,
            "nii.gz",
            "results/demo/subj01/latents/vdvae/shards/1-of-1.h5",
            "decoder.out_net.out_conv.weight",
        ),
        # Stage 2 comes hours later at full size; its model is looked at before all else.
        (
            UNET,
            truncate,
            "nii.gz",
            "results/demo/data/models/stable_diffusion.tsv",
            "expected a UNet2DConditionModel",
        ),
        (
            UNET,
            put_pointer,
            "nii.gz",
            "results/demo/data/models/stable_diffusion.tsv",
            "found a pointer of git-lfs",
        ),
        # So does the scoring.
        (
            CLIP,
            truncate,
            "nii.gz",
            "results/demo/data/models/networks.tsv",
            "expected a CLIPModel",
        ),
    ],
    ids=[
        "truncated NIfTI",
        "truncated HDF5",
        "a volume short",
        "mask of another shape",
        "image outside the stimuli",
        "captions of another length",
        "checkpoint of another configuration",
        "truncated U-Net",
        "U-Net not fetched from git-lfs",
        "truncated network of a metric",
    ],
)
def test_one_clear_error_and_nothing_half_written(project, path, damage, ending, target, message):
    path = project / path
    whole = path.read_bytes()
    try:
        damage(path)
        done = run(project, target, nsd={"format": ending})
    finally:
        path.write_bytes(whole)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if "found " in line and "expected " in line]
    assert errors, done.stderr[-4000:]
    assert path.name in errors[0] or str(path.parent.relative_to(project)) in errors[0]
    assert re.search(message, errors[0]), errors[0]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert "Run the same command again" in done.stderr
    assert not (project / target).exists()
    assert not list((project / "results").rglob(".partial-*"))
