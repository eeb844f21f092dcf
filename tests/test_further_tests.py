"""Several test sets in one run: decoded by the same decoders, scored apart, never pooled."""

import h5py
import numpy as np
import pytest

from nsdrecon.data.contract import contract_trials
from nsdrecon.data.pictures import pictures
from nsdrecon.data.prepared import Prepared
from nsdrecon.errors import InputError
from nsdrecon.evaluation.tables import Layout
from nsdrecon.metrics import PixelMetric
from nsdrecon.pages import sections
from nsdrecon.store import read_ids, read_table
from one_process import run_jobs
from own_files import N_TEST, N_TRAIN, OwnFiles
from workflow_runs import copy_project

SMALL = {
    "subjects": [1],
    "systems": ["vdvae"],
    "oracles": [],
    "dataset": {"kind": "prepared", "tests": ["far"]},
    "latents": {"vdvae_layers": 4},
    "evaluation": {"bootstrap": 100},
    "brain": {"maps": [], "regions": [], "correlation": [], "pictures": []},
}
RESULTS = "results/demo"
FIRST, FURTHER = f"{RESULTS}/tables/metrics.tsv", f"{RESULTS}/tables/test-far/metrics.tsv"
NEAR, FAR = np.array_split(np.arange(N_TRAIN, N_TRAIN + N_TEST), 2)


def run(folder, own, *targets):
    project = copy_project(folder / "project")
    own.folder = project / "own"
    overlay = {**SMALL, "prepared": own.write()}
    run_jobs(project, *targets, overlays=("config/demo.yaml", overlay))
    return project


def reconstructed(project, variant=""):
    with h5py.File(project / f"{RESULTS}/subj01{variant}/reconstructions/vdvae.h5") as file:
        return file["nsd_id"][()].tolist(), file["images"][()].tobytes()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("further")
    own = OwnFiles(folder / "own").with_further_test()
    return run(folder, own, FIRST, FURTHER)


def test_each_test_set_has_a_table_of_its_own_images(project):
    for table, ids, variant in ((FIRST, NEAR, ""), (FURTHER, FAR, "-test-far")):
        metrics = read_table(project / table)
        assert set(metrics["n_images"]) == {len(ids)}
        scores = read_table(project / f"{RESULTS}/subj01{variant}/evaluation/vdvae.tsv")
        assert scores["nsd_id"].tolist() == ids.tolist()
    assert set(metrics["system"]) == {"vdvae", "shuffled-vdvae"}
    assert read_ids(project / f"{RESULTS}/stimuli/test-far.h5").tolist() == FAR.tolist()


def test_the_report_shows_it_apart(project):
    columns = [PixelMetric("PixCorr", "pixels:f")]
    layout = Layout({"vdvae": "VDVAE"}, {"shuffled-vdvae": "shuffled"}, {})
    shown = {"columns": columns, "layout": layout}
    (table,) = sections.further_tests({"far": project / FURTHER}, **shown).parts
    assert table.caption.startswith(f"Test set far: subj01, {len(FAR)} images.")
    assert table.data["system"].tolist() == ["VDVAE", "shuffled"]


def test_which_test_set_is_first_changes_no_picture(project, tmp_path):
    own = OwnFiles(tmp_path / "own").with_further_test()
    own.trials["split"] = own.trials["split"].replace({"test": "far", "far": "test"})
    decoded = [f"{RESULTS}/subj01{name}/reconstructions/vdvae.h5" for name in ("", "-test-far")]
    swapped = run(tmp_path, own, *decoded)
    assert reconstructed(swapped) == reconstructed(project, "-test-far")
    assert reconstructed(swapped, "-test-far") == reconstructed(project)


def test_an_image_of_two_test_sets_is_refused(tmp_path):
    own = OwnFiles(tmp_path / "own").with_further_test()
    row = own.trials.index[own.trials["split"] == "far"][0]
    own.trials.loc[row, "split"] = "test"
    section = own.write() | {"scale": 1, "units": "%", "tests": ["far"]}
    image = own.trials.loc[row, "image"]
    with pytest.raises(InputError, match=f"image {image} in the splits test-far and test"):
        contract_trials(Prepared(section, 1, [1, 2]), pictures(section["pictures"]))
