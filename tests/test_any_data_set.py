"""The simulated experiment gives the same results in whichever form it is brought."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from brought_files import write_glmsingle, write_prepared
from laion_fmri_files import N_EDGE, ROOT, write_simulated
from nsdrecon.checked_files import OF_ITSELF, read_text
from nsdrecon.store import read_table
from one_process import run_jobs
from s3_server import BUCKET, shared_server
from workflow_runs import copy_project

SMALL = {
    "subjects": [1],
    "systems": ["vdvae", "sd-ddim"],
    "oracles": [],
    "nsd": {"format": "nii.gz", "keep_raw": True},
    "simulation": {
        "subjects": [{"shape": [14, 16, 12], "n_voxels": 300}],
        "n_sessions": 2,
        "trials_per_session": 60,
        "n_shared": 12,
        "n_unique": 36,
    },
    "latents": {"vdvae_layers": 4},
    "stage2": {"steps": 4},
    "evaluation": {"bootstrap": 100},
}
RESULTS = Path("results/demo")
SUBJECT = RESULTS / "subj01"
# The first files of the contract, and what is made of them up to the tables.
CONTRACT = [
    SUBJECT / "trials.tsv",
    SUBJECT / "betas/train.h5",
    SUBJECT / "betas/test.h5",
    SUBJECT / "stimuli/train.h5",
    RESULTS / "stimuli/test.h5",
]
RESULT = [
    SUBJECT / "latents/vdvae/train.h5",
    SUBJECT / "latents/sd-text/train.h5",
    SUBJECT / "predictions/sd-text.h5",
    SUBJECT / "reconstructions/sd-ddim.h5",
    RESULTS / "tables/metrics.tsv",
    RESULTS / "tables/contrasts.tsv",
]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A project in which the experiment was computed in NSD's layout."""
    project = copy_project(tmp_path_factory.mktemp("nsd") / "project")
    run_jobs(project, *map(str, CONTRACT + RESULT), overlays=("config/demo.yaml", SMALL))
    return project


def brought(simulated, folder, write, **options):
    """A project with the same experiment in another form, and its configuration."""
    project = copy_project(folder / "project")
    (project / "resources").symlink_to(simulated / "resources")
    return project, write(project, **options)


def assert_same(simulated, project, files):
    different = [path for path in files if contents(simulated / path) != contents(project / path)]
    assert different == []


def contents(path):
    """What is in a file, to the byte, without what it says of where it comes from."""
    if path.suffix == ".tsv":
        return read_text(path)[1]
    with h5py.File(path) as file:
        about = {name: file.attrs[name] for name in file.attrs if name not in OF_ITSELF}
        arrays = {name: (of.dtype, of.shape, of[()].tobytes()) for name, of in file.items()}
        return repr(about), arrays


def test_prepared_files_give_the_same_results_to_the_byte(simulated, tmp_path):
    project, section = brought(simulated, tmp_path, write_prepared)
    overlay = {**SMALL, "dataset": {"kind": "prepared"}, "prepared": section}
    del overlay["nsd"], overlay["simulation"]
    files = CONTRACT + RESULT
    run_jobs(project, *map(str, files), overlays=("config/demo.yaml", overlay))
    assert_same(simulated, project, files)
    # Published numbers are of NSD's images.
    table = (project / RESULTS / "tables/metrics.md").read_text()
    assert "The data set is not NSD" in table


@pytest.mark.parametrize("form", ["npy", "h5"])
def test_whatever_form_they_have(simulated, tmp_path, form):
    options = {"form": form, "as_files": form == "npy"}
    project, section = brought(simulated, tmp_path, write_prepared, **options)
    overlay = {**SMALL, "dataset": {"kind": "prepared"}, "prepared": section}
    run_jobs(project, *map(str, CONTRACT), overlays=("config/demo.yaml", overlay))
    assert_same(simulated, project, CONTRACT)


@pytest.mark.parametrize("form", ["hdf5", "npy"])
def test_glmsingles_files_give_the_same_responses(simulated, tmp_path, form):
    project, section = brought(simulated, tmp_path, write_glmsingle, form=form)
    overlay = {**SMALL, "dataset": {"kind": "glmsingle"}, "glmsingle": section}
    results = RESULT if form == "hdf5" else []
    run_jobs(project, *map(str, [*CONTRACT, *results]), overlays=("config/demo.yaml", overlay))
    trials, *betas, train, test = CONTRACT
    assert_same(simulated, project, [trials, train, test])
    if results:
        assert_same_results(project, simulated)
    for path in betas:
        assert_same_responses(project / path, simulated / path)


def assert_same_responses(found, expected):
    """But for rounding: percent in float32 instead of integers."""
    for name in ("nsd_id", "repeats", "voxel"):
        np.testing.assert_array_equal(stored(found, name), stored(expected, name))
    found, expected = stored(found, "betas"), stored(expected, "betas")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def assert_same_results(found, expected):
    """What comes of responses that differ by rounding: predictions, pictures and their scores."""
    latents, predicted, made, table = RESULT[:2], *RESULT[2:5]
    assert_same(expected, found, latents)
    values = stored(expected / predicted, "latents")
    np.testing.assert_allclose(
        stored(found / predicted, "latents"), values, rtol=0, atol=1e-3 * values.std()
    )
    pictures = (stored(folder / made, "images").astype(float) for folder in (found, expected))
    assert np.abs(np.subtract(*pictures)).mean() < 0.5  # grey levels
    rows = [read_table(folder / table) for folder in (found, expected)]
    keys = ["subject", "system", "metric"]
    assert rows[0][keys].equals(rows[1][keys])
    np.testing.assert_allclose(*(table["mean"] for table in rows), rtol=0, atol=0.01)


def test_laion_fmri_out_of_its_bucket_gives_the_same(simulated, tmp_path):
    """Pictures and splits are brought; voxels that are no numbers are left out."""
    project, section = brought(simulated, tmp_path, write_simulated)
    server = shared_server()
    public = [*(project / ROOT / "derivatives").rglob("*.*"), *(project / ROOT).rglob("*captions*")]
    for path in (path for path in public if path.is_file()):
        server.put(path.relative_to(project / ROOT).as_posix(), path.read_bytes())
        path.unlink()
    s3 = {"bucket": BUCKET, "endpoint": server.url}
    overlay = {**SMALL, "dataset": {"kind": "laion-fmri"}}
    overlay["laion-fmri"] = section | {"source": "s3", "s3": s3, "sessions": 2}
    overlay["brain"] = {"regions": [], "correlation": [], "pictures": []}
    run_jobs(project, *map(str, [*CONTRACT, *RESULT]), overlays=("config/demo.yaml", overlay))
    trials, *betas, train, test = CONTRACT
    assert_same(simulated, project, [trials, train, test])
    assert_same_results(project, simulated)
    for path in betas:
        assert_same_responses(project / path, simulated / path)
        with h5py.File(project / path) as file:
            assert file.attrs["excluded_not_finite"] == N_EDGE


def stored(path, name):
    with h5py.File(path) as file:
        return file[name][()]
