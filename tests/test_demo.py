"""The embedded demo, run as a user runs it: every stage, from raw files to the report."""

import re
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from nsdrecon.store import read_ids, read_table
from one_process import run_jobs
from workflow_runs import copy_project, snakemake

SUBJECTS = ("subj01", "subj02")
PROFILE = ("--profile", "profiles/demo")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A finished demo in a folder of its own."""
    project = copy_project(tmp_path_factory.mktemp("demo") / "project")
    done = snakemake(project, *PROFILE, overlays=())
    assert done.returncode == 0, done.stderr[-6000:]
    return project


@pytest.fixture(scope="module")
def metrics(demo):
    return read_table(demo / "results/demo/tables/metrics.tsv")


def row(metrics, subject, system, metric):
    found = metrics.query("subject == @subject and system == @system and metric == @metric")
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize("subject", [*SUBJECTS, "pooled"])
@pytest.mark.parametrize("metric", ["PixCorr", "CLIP (demo)"])
@pytest.mark.parametrize("system", ["vdvae", "sd-ddpm"])
def test_both_stages_beat_the_floor_with_intervals_apart(metrics, subject, system, metric):
    own = row(metrics, subject, system, metric)
    floor = row(metrics, subject, f"shuffled-{system}", metric)
    assert own["ci_low"] > floor["ci_high"]


def test_stage_2_beats_stage_1_in_identification(metrics):
    stage1 = row(metrics, "pooled", "vdvae", "CLIP (demo)")
    stage2 = row(metrics, "pooled", "sd-ddpm", "CLIP (demo)")
    assert stage2["mean"] > stage1["mean"]


def test_regions_tell_layout_from_meaning(demo):
    table = read_table(demo / "results/demo/subj01/regions.tsv")
    alone = table.query("voxels == 'alone'").set_index(["feature", "region"])
    for early, higher in (("V1", "ventral"), ("V2", "ventral")):
        layout = alone.loc[("vdvae", early)], alone.loc[("vdvae", higher)]
        meaning = alone.loc[("sd-text", early)], alone.loc[("sd-text", higher)]
        assert layout[0]["correlation"] > layout[1]["correlation"]
        assert meaning[0]["ci_high"] < meaning[1]["ci_low"]


def test_a_few_dimensions_of_every_feature_space_beat_their_floor(demo):
    table = read_table(demo / "results/demo/subj01/dimensions.tsv").set_index("feature")
    assert set(table.index) == {"vdvae", "sd-text", "vd-text", "vd-vision"}
    for feature, own in table.groupby("feature"):
        assert own["ci_low"].iloc[-1] > own["floor"].iloc[-1], feature


def test_every_region_has_a_picture_of_its_own(demo):
    folder = demo / "results/demo/subj01-regions"
    with h5py.File(folder / "betas/test.h5") as file:
        names = list(file.attrs["regions"])
    with h5py.File(folder / "reconstructions/vdvae.h5") as file:
        pictures = file["images"][()]
    assert len(pictures) == len(names) > 10
    assert len(np.unique(pictures.reshape(len(names), -1), axis=0)) == len(names)


@pytest.mark.parametrize("system", ["vdvae", "sd-ddpm", "vd-ddim"])
def test_reconstructions_keep_what_drove_the_brain(demo, system):
    table = read_table(demo / "results/demo/subj01/correlation.tsv")
    rows = table.set_index(["system", "region"])
    for region in ("all", "V1", "ventral"):
        own, floor = rows.loc[(system, region)], rows.loc[(f"shuffled-{system}", region)]
        assert own["ci_low"] > floor["ci_high"] + 0.1
        assert own["ci_low"] > rows.loc[("mean-image", region), "ci_high"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_test_image_is_reconstructed_once_with_its_id(demo, subject):
    trials = read_table(demo / f"results/demo/{subject}/trials.tsv")
    test = np.unique(trials.loc[trials["split"] == "test", "nsd_id"])
    for path in (demo / f"results/demo/{subject}/reconstructions").glob("*.h5"):
        np.testing.assert_array_equal(read_ids(path), test)
        with h5py.File(path) as file:
            assert file["images"].dtype == np.uint8
            assert file["images"].shape[0] == len(test)


def test_what_a_person_opens_is_there(demo):
    for subject in SUBJECTS:
        with Image.open(demo / f"results/demo/figures/reconstructions_{subject}.png") as image:
            assert image.width > 300
            assert len(np.unique(np.asarray(image))) > 100
    report = (demo / "results/demo/report.html").read_text()
    assert "simulated" in report
    # Nothing is fetched when the page is opened.
    assert not re.findall(r'src="(?!data:)', report)
    graph = (demo / "results/demo/dag/rulegraph.svg").read_text()
    assert all(rule in graph for rule in ("session_betas", "weights", "diffusion_images"))


def test_pictures_are_exported_by_image(demo):
    done = snakemake(demo, *PROFILE, "export", overlays=())
    assert done.returncode == 0, done.stderr[-6000:]
    seen = {path.name for path in (demo / "results/demo/export/seen").iterdir()}
    assert len(seen) == 40
    for system in ("vdvae", "vd-ddim", "flat-grey", "oracle-sd-ddpm"):
        folder = demo / "results/demo/export/subj02" / system
        assert {path.name for path in folder.iterdir()} == seen


def test_nothing_temporary_is_left(demo):
    assert not list((demo / "results").rglob(".partial-*"))
    assert not list((demo / "results").rglob("shards/*.h5"))


def test_every_rule_says_what_it_did_in_numbers(demo):
    logs = list((demo / "logs/demo").rglob("*.log"))
    assert len(logs) > 40
    for path in logs:
        text = path.read_text()
        assert re.search(r"done in [\d.]+ s, peak memory \d+ MB", text), path


def test_a_second_run_does_nothing(demo):
    done = snakemake(demo, *PROFILE, overlays=())
    assert "Nothing to be done" in done.stderr


def test_fewer_repeats_and_clusters_left_out(demo, metrics):
    settings = {"subjects": [1], "evaluation": {"repeats": ["vdvae"], "holdout": ["vdvae"]}}
    targets = ["results/demo/tables/repeats.tsv", "results/demo/tables/holdout.tsv"]
    run_jobs(demo, *targets, overlays=("config/demo.yaml", settings))
    repeats, holdout = (read_table(demo / target) for target in targets)
    main = row(metrics, "subj01", "vdvae", "PixCorr")["mean"]

    # All numbers of repeats speak of the same images, and all three of them are the main table's.
    repeats = repeats[repeats["metric"] == "PixCorr"].set_index("n_repeats")
    floors, repeats = (repeats[repeats["system"] == name] for name in ("shuffled-vdvae", "vdvae"))
    assert floors["mean"].max() < repeats["mean"].min()
    assert repeats.index.tolist() == [1, 2, 3]
    assert repeats["n_images"].nunique() == 1
    assert repeats["mean"].is_monotonic_increasing
    assert repeats["mean"][3] == pytest.approx(main, abs=1e-6)

    # Trained on all, both parts of the test images make up the main table; without the clusters,
    # their images suffer more than the others.
    keys = ["training", "images"]
    holdout = holdout[holdout["metric"] == "PixCorr"].set_index(keys)[["mean", "n_images"]]
    whole, without = holdout.loc["all clusters"], holdout.loc["clusters left out"]
    assert np.average(whole["mean"], weights=whole["n_images"]) == pytest.approx(main, abs=1e-6)
    loss = whole["mean"] - without["mean"]
    assert loss["left-out clusters"] > 2 * abs(loss["other clusters"])


def test_results_do_not_depend_on_shards_or_batches(demo):
    """Subject 1 again, in three shards and other batches: the same pictures."""
    target = "results/demo/subj01/reconstructions/sd-ddpm.h5"
    with h5py.File(demo / target) as file:
        before = file["images"][()].astype(int)
    for name in ("latents", "predictions", "reconstructions"):
        shutil.rmtree(demo / "results/demo/subj01" / name)
    other = {
        "shards": 3,
        "subjects": [1],
        "latents": {"batch_size": 7},
        "stage1": {"batch_size": 3},
        "stage2": {"batch_size": 5},
    }
    run_jobs(demo, target, overlays=("config/demo.yaml", other))
    with h5py.File(demo / target) as file:
        difference = np.abs(file["images"][()] - before)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001
