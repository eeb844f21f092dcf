"""Fewer sessions, another value of a setting, a surface: on a small experiment."""

import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from nsdrecon import layout
from nsdrecon.data.volumes import Voxels
from nsdrecon.evaluation.networks import FeatureExtractor
from nsdrecon.evaluation.protocols import protocol
from nsdrecon.metrics import CLIP_MEAN, CLIP_STD, NetworkMetric
from nsdrecon.store import read_array, read_ids, read_table
from one_process import run_jobs
from s3_server import BUCKET, shared_server
from small_nsd import write_betas_hdf5
from tiny_runs import OVERLAYS
from workflow_runs import copy_project

RESULTS = Path("results/demo")
TESTS = ("vision", "attention", "imagery", "synthetic")
SETTINGS = {
    "dataset": {"tests": list(TESTS)},
    "evaluation": {"learning": ["vdvae"], "learning_sessions": [1, 2]},
    "ablations": {"systems": ["vdvae"], "rescale": ["loo", "none"]},
    "brain": {
        "surfaces": {"lh": "lh_{subject:02d}.mgz"},
        "correlation": [1],
        "encoding": "CLIP (demo)",
    },
}
TARGETS = (
    RESULTS / "tables/learning.tsv",
    RESULTS / "tables/ablation_rescale.tsv",
    RESULTS / "subj01/maps/lh.noise-ceiling.func.gii",
    RESULTS / "subj01/correlation.tsv",
    *(RESULTS / f"tables/test-{name}/metrics.tsv" for name in TESTS),
)


def make(project):
    with h5py.File(project / RESULTS / "subj01/betas/train.h5") as file:
        places = Voxels.of(file).index + 1.0
    surface = nib.MGHImage(places.astype(np.float32).reshape(-1, 1, 1, 3), np.eye(4))
    nib.save(surface, project / "lh_01.mgz")
    run_jobs(project, *map(str, TARGETS), overlays=(*OVERLAYS, SETTINGS))
    return project


@pytest.fixture(scope="module")
def project(tiny, tmp_path_factory):
    return make(Path(shutil.copytree(tiny, tmp_path_factory.mktemp("curves") / "p", symlinks=True)))


def means(project, table, by):
    rows = read_table(project / RESULTS / "tables" / table)
    return rows.set_index(["system", "metric", by])["mean"].sort_index()


def test_fewer_sessions_train_and_the_same_responses_are_decoded(project):
    found = means(project, "learning.tsv", "n_sessions")
    main = read_table(project / RESULTS / "tables/metrics.tsv").set_index(["system", "metric"])
    for system in ("vdvae", "shuffled-vdvae"):
        assert found[system, "PixCorr"].index.tolist() == [1, 2]
        assert found[system, "PixCorr", 2] == pytest.approx(main.loc[(system, "PixCorr"), "mean"])
    assert found["vdvae", "PixCorr", 1] != found["vdvae", "PixCorr", 2]
    few, all_of_them = (project / RESULTS / f"subj01{v}" for v in ("-sessions1", ""))
    assert set(read_ids(few / "betas/train.h5")) < set(read_ids(all_of_them / "betas/train.h5"))
    assert not (few / "betas/test.h5").exists()
    decoded = read_ids(few / "predictions/vdvae.h5").tolist()
    assert decoded == read_ids(all_of_them / "betas/test.h5").tolist()


def test_responses_are_predicted_from_features_of_a_network_that_scores(project):
    latents = project / RESULTS / "subj01/latents/networks/train.h5"
    ids = read_ids(latents)
    images = read_array(project / RESULTS / "subj01/stimuli/train.h5", "images", ids[:2])
    clip = project / "workflow/demo_models/clip"
    place = "nsdrecon.evaluation.networks:clip"
    metric = NetworkMetric("CLIP (demo)", place, weights=str(clip), mean=CLIP_MEAN, std=CLIP_STD)
    found = FeatureExtractor([metric], protocol("brain-diffuser"))(images, 2)[metric.name]
    np.testing.assert_allclose(read_array(latents, "latents", ids[:2]), found, atol=1e-5)
    table = read_table(project / RESULTS / "subj01/correlation.tsv").set_index(["system", "region"])
    correlation = table["correlation"].xs("all", level="region")
    assert correlation["seen"] > correlation["mean-image"]


def test_a_value_that_is_the_runs_own_changes_nothing_and_another_does(project):
    found = [
        read_array(project / RESULTS / f"subj01{variant}/reconstructions/vdvae.h5", "images")
        for variant in ("", "-rescale~loo", "-rescale~none")
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    table = means(project, "ablation_rescale.tsv", "value")
    assert table["vdvae", "PixCorr"].index.tolist() == ["loo", "none"]
    assert not (project / RESULTS / "subj01-rescale~none/weights").exists()


def test_maps_are_on_the_surface(project):
    folder = project / RESULTS / "subj01/maps"
    values = np.asarray(nib.load(folder / "noise-ceiling.nii.gz").dataobj)
    places = np.asarray(nib.load(project / "lh_01.mgz").dataobj).reshape(-1, 3).astype(int) - 1
    found = nib.load(folder / "lh.noise-ceiling.func.gii").agg_data()
    np.testing.assert_array_equal(found, values[tuple(places.T)])
    assert (folder / "lh.encoding-sd-text.func.gii").is_file()


def test_every_further_test_set_has_a_table_of_its_own(project):
    """The same decoder; pictures of NSD-Imagery once for each of its tasks."""
    found = {}
    for name in TESTS:
        table = read_table(project / RESULTS / f"tables/test-{name}/metrics.tsv")
        assert set(table["n_images"]) == {8 if name == "synthetic" else 12}
        assert set(table["system"]) == {
            *("vdvae", "sd-ddim"),
            *("shuffled-vdvae", "shuffled-sd-ddim"),
        }
        stimuli = read_ids(project / RESULTS / f"stimuli/test-{name}.h5")
        assert (
            stimuli.tolist()
            == read_ids(project / RESULTS / f"subj01-test-{name}/betas/test.h5").tolist()
        )
        repeats = read_array(project / RESULTS / f"subj01-test-{name}/betas/test.h5", "repeats")
        found[name] = set(repeats)
    assert found == {"vision": {8}, "attention": {8}, "imagery": {16}, "synthetic": {2}}
    # Nothing is pooled: the first test set has its own images alone.
    main = read_table(project / RESULTS / "subj01/evaluation/vdvae.tsv")
    assert set(main["nsd_id"]) == set(read_ids(project / RESULTS / "subj01/betas/test.h5"))
    assert main["nsd_id"].max() < min(layout.FIRST_ID.values())


def test_more_of_a_seen_picture_is_decoded_than_of_an_imagined_one(project):
    """The simulated responses hold less of what is imagined, in the same pattern."""
    signal = {}
    for name in ("vision", "imagery"):
        folder = project / RESULTS / f"subj01-test-{name}"
        means = read_array(folder / "betas/test.h5", "betas")
        signal[name] = means - means.mean(axis=0)
    seen, imagined = signal["vision"].ravel(), signal["imagery"].ravel()
    assert np.corrcoef(seen, imagined)[0, 1] > 0.3
    assert imagined.std() < seen.std()


def test_out_of_a_bucket_they_are_the_same(project, tmp_path):
    """Tables, pictures, and by ranges the voxels that are used."""
    server, simulated = shared_server(), project / "resources/simulated/demo"
    keys = [layout.roi_key("subj01")]
    for name in ("imagery", "synthetic"):
        keys += [*layout.further_tables("subj01", name), *layout.further_pictures(name)]
        betas = nib.load(simulated / layout.further_betas_key("subj01", name)).dataobj
        stored = write_betas_hdf5(tmp_path / f"{name}.hdf5", np.asarray(betas))
        key = layout.further_betas_key("subj01", name, extension="hdf5")
        server.put(key, stored.read_bytes())
    for key in keys:
        server.put(key, (simulated / key).read_bytes())
    copy = copy_project(tmp_path / "copy")
    s3 = {"bucket": BUCKET, "endpoint": server.url}
    section = {"source": "s3", "terms_accepted": True, "s3": s3, "format": "hdf5"}
    made = [f"subj01/betas/sessions/{name}.h5" for name in ("imagery", "synthetic")]
    made += [f"stimuli/test-{name}.h5" for name in ("attention", "synthetic")]
    bucket = {"nsd": section | {"volumes": "ranges"}}
    run_jobs(copy, *(str(RESULTS / name) for name in made), overlays=(*OVERLAYS, SETTINGS, bucket))
    assert "whole volume" not in (copy / "jobs.log").read_text()
    for name in made:
        with h5py.File(copy / RESULTS / name) as one, h5py.File(project / RESULTS / name) as other:
            for array in ("nsd_id", "betas" if "sessions" in name else "images"):
                np.testing.assert_array_equal(one[array][()], other[array][()])
