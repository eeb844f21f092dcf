"""Nothing that is trained or chosen depends on test data: shown by putting others in their place.

The graph of the jobs (tests/test_leakage.py) cannot show it, since the file of a session holds the
trials of both splits. The settings here are those that have most to do with single trials.
"""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from laion_fmri_files import write_own
from nsdrecon import layout
from nsdrecon.data.nsd import read_design, split_ids, trial_table
from nsdrecon.ridge.decoding import predict
from nsdrecon.store import read_array, read_ids
from one_process import run_jobs
from own_files import OwnFiles
from workflow_runs import copy_project

SMALL = {
    "subjects": [1],
    "systems": ["vdvae", "vd-ddpm"],
    "nsd": {"format": "hdf5", "keep_raw": True},
    "simulation": {
        "subjects": [{"shape": [14, 16, 12], "n_voxels": 300}],
        "n_sessions": 2,
        "trials_per_session": 40,
        "n_shared": 8,
        "n_unique": 24,
    },
    "responses": {"session_zscore": True, "min_ncsnr": 0.4},
    "latents": {"vdvae_layers": 4},
    "stage2": {"steps": 4},
    "evaluation": {
        "holdout": ["vdvae"],
        "held_out": [0],
        "learning": ["vdvae"],
        "learning_sessions": [1],
    },
    "ablations": {"systems": ["vdvae"], "alpha": [500]},
    "brain": {"dimensions": [1], "pictures": [1]},
}
SESSIONS = (1, 2)
NSD = Path("resources/simulated/demo")
RESULTS = "results/demo"
CAPTIONS = NSD / "captions.npy"

SYSTEMS = [f"{RESULTS}/subj01/reconstructions/{system}.h5" for system in SMALL["systems"]]
# All that is trained: every feature space, without some clusters of captions, on fewer sessions and
# with another penalty; and what the analyses of the brain are made of. A ladder of oracles and the
# best of several samples have nothing else that is trained.
TRAINED = [
    *(f"{RESULTS}/subj01/weights/{name}.scores.tsv" for name in ("vdvae", "vd-text", "vd-vision")),
    *(
        f"{RESULTS}/subj01{variant}/weights/vdvae.scores.tsv"
        for variant in ("-holdout", "-sessions1", "-alpha~500")
    ),
    f"{RESULTS}/subj01/reconstructions/mean-image.h5",
    f"{RESULTS}/subj01/maps/importance-vdvae.nii.gz",
    f"{RESULTS}/subj01/regions.tsv",
    f"{RESULTS}/subj01/dimensions.tsv",
    f"{RESULTS}/subj01/encoding.h5",
    f"{RESULTS}/subj01-regions/betas/test.h5",  # synthetic
]
# What shows that test pictures and captions are others.
SEEN = [f"{RESULTS}/stimuli/test.h5", f"{RESULTS}/oracle-latents/vd-text.h5"]
# What may change with the test data: they themselves, and what is made to be compared with them.
OF_TEST_DATA = {
    *(f"subj01/betas/sessions/{session:02d}.h5" for session in SESSIONS),
    "stimuli/test.h5",
    "subj01/betas/test.h5",
    "oracle-latents/vd-text.h5",
    "subj01/reconstructions/nearest-training-image.h5",
}
# Lines that make training depend on test data, and a file that then does.
LEAKS = [
    (
        "nsdrecon/data/session_files.py",
        "reference = stored[training]",
        "reference = stored",
        "subj01/betas/train.h5",
    ),
    (
        "train_stimuli.py",
        'split_ids(read_trials(snakemake.input.trials), "train")',
        'read_trials(snakemake.input.trials)["nsd_id"].unique()',
        "subj01/stimuli/train.h5",
    ),
]


# Files that a person brings, with two test sets.
OWN = {
    "subjects": [1],
    "systems": ["vdvae"],
    "oracles": [],
    "responses": SMALL["responses"],
    "latents": {"vdvae_layers": 4},
    "brain": {"regions": [], "correlation": [], "pictures": []},
    "evaluation": {"categories": None},
}
OWN_TRAINED = [
    f"{RESULTS}/subj01/weights/vdvae.scores.tsv",
    f"{RESULTS}/subj01/reconstructions/mean-image.h5",
    f"{RESULTS}/stimuli/test.h5",
    f"{RESULTS}/stimuli/test-far.h5",
]
OWN_TEST_DATA = {
    *(f"subj01/betas/sessions/{session:02d}.h5" for session in SESSIONS),
    "stimuli/test.h5",
    "stimuli/test-far.h5",
    "subj01/betas/test.h5",
    "subj01-test-far/betas/test.h5",
    "subj01/reconstructions/nearest-training-image.h5",
}
OWN_LEAK = (
    "read_train_pictures.py",
    'split_ids(read_trials(snakemake.input.trials), "train")',
    'read_trials(snakemake.input.trials)["nsd_id"].unique()',
    "subj01/stimuli/train.h5",
)


def run(project, *targets):
    run_jobs(project, *targets, overlays=("config/demo.yaml", SMALL))


def with_raw_files_of(project, folder, leaks=()):
    """A project with the raw files of another, and perhaps leaks."""
    copy = with_leaks(copy_project(folder / "project"), leaks)
    shutil.copytree(project / "resources", copy / "resources")
    return copy


def with_leaks(project, leaks):
    for name, line, leaky, _ in leaks:
        path = project / "workflow/scripts" / name
        text = path.read_text()
        assert text.count(line) == 1
        path.write_text(text.replace(line, leaky))
    return project


def changed_with_files_of_a_user(folder, kind, *targets, leaks=()):
    """The results that change with all test data of files that a person brings."""
    projects = []
    for name in ("before", "after"):
        project = with_leaks(copy_project(folder / name), leaks)
        own = OwnFiles(project / "own").with_further_test()
        if name == "after":
            own.with_other_test_data()
        write = {"prepared": own.write, "glmsingle": own.write_glmsingle}.get(kind)
        section = write() if write else write_own(project, own)
        # Files say where their data come from, which is to be the same place.
        section = {key: value.replace(f"{project}/", "") for key, value in section.items()}
        overlay = {**OWN, "dataset": {"kind": kind, "tests": ["far"]}, kind: section}
        run_jobs(project, *targets, overlays=("config/demo.yaml", overlay))
        projects.append(project)
    return changed_files(*projects)


def trials_of(project):
    return trial_table(read_design(project / NSD / layout.DESIGN), "subj01", SESSIONS)


def images_tested(project):
    return split_ids(trials_of(project), "test")


def replace_responses(project, nsd_id):
    """Other responses, of another spread, in all trials of some images."""
    trials, generator = trials_of(project), np.random.default_rng(3)
    for session in SESSIONS:
        shown = trials.loc[trials["session"] == session, "nsd_id"].isin(nsd_id).to_numpy()
        path = project / NSD / layout.betas_key("subj01", session, extension="hdf5")
        with h5py.File(path, "r+") as file:
            betas = file["betas"]
            betas[shown] = generator.integers(-9000, 9000, (shown.sum(), *betas.shape[1:]))


def replace_test_data(project):
    """Other responses to all test images, which are other pictures with other captions."""
    nsd_id = images_tested(project)
    replace_responses(project, nsd_id)
    with h5py.File(project / NSD / layout.STIMULI, "r+") as file:
        file["imgBrick"][nsd_id] = 255 - file["imgBrick"][nsd_id]
    captions = np.load(project / CAPTIONS)
    captions[nsd_id] = "something else"
    np.save(project / CAPTIONS, captions)


def changed_files(before, after):
    """The results of a later run that are not, to the byte, among those of an earlier one."""
    paths = [path for path in (after / RESULTS).rglob("*") if path.is_file()]
    names = {path: str(path.relative_to(after / RESULTS)) for path in paths}
    return {
        name
        for path, name in names.items()
        if not name.startswith("data/")  # records of the models, with the time of their check
        and (before / RESULTS / name).read_bytes() != path.read_bytes()
    }


def changed_images(before, after, name):
    """Ids of the rows that are not the same in a file of reconstructions or predictions."""
    nsd_id = read_ids(before)
    np.testing.assert_array_equal(nsd_id, read_ids(after))
    rows = zip(nsd_id.tolist(), read_array(before, name), read_array(after, name), strict=True)
    return [image for image, one, other in rows if not np.array_equal(one, other)]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project in which everything is trained and decoded."""
    project = copy_project(tmp_path_factory.mktemp("before") / "project")
    run(project, *TRAINED, *SEEN, *SYSTEMS)
    return project


@pytest.fixture(scope="module")
def one_image(project, tmp_path_factory):
    """A copy that decoded again after one test image had got other responses; and the image."""
    copy = tmp_path_factory.mktemp("one") / "project"
    shutil.copytree(project, copy, symlinks=True)
    image = int(images_tested(copy)[3])
    replace_responses(copy, [image])
    run(copy, *SYSTEMS)
    return copy, image


def test_training_is_the_same_with_other_test_data(project, tmp_path):
    other = with_raw_files_of(project, tmp_path)
    replace_test_data(other)
    run(other, *TRAINED, *SEEN)
    assert changed_files(project, other) == OF_TEST_DATA


def test_leaks_are_found(project, tmp_path):
    """The same comparison of a leaky project with itself: it can fail."""
    leaky = with_raw_files_of(project, tmp_path / "before", LEAKS)
    other = with_raw_files_of(project, tmp_path / "after", LEAKS)
    replace_test_data(other)
    leaking = {leak[-1] for leak in LEAKS}
    for copy in (leaky, other):
        run(copy, *(f"{RESULTS}/{name}" for name in leaking))
    assert leaking <= changed_files(leaky, other)


@pytest.mark.parametrize("kind", ["prepared", "glmsingle", "laion-fmri"])
def test_training_on_files_of_a_user_is_the_same_with_other_test_data(tmp_path, kind):
    """Of every test set."""
    assert changed_with_files_of_a_user(tmp_path, kind, *OWN_TRAINED) == OWN_TEST_DATA


def test_a_leak_of_files_of_a_user_is_found(tmp_path):
    leaking = OWN_LEAK[-1]
    found = changed_with_files_of_a_user(
        tmp_path, "prepared", f"{RESULTS}/{leaking}", leaks=[OWN_LEAK]
    )
    assert leaking in found


@pytest.mark.parametrize("system", SMALL["systems"])
def test_a_reconstruction_is_the_same_with_other_responses_to_another_image(
    project, one_image, system
):
    other, image = one_image
    path = f"{RESULTS}/subj01/reconstructions/{system}.h5"
    assert changed_images(project / path, other / path, "images") == [image]


def test_rescaling_by_the_test_set_is_found(project, one_image, tmp_path):
    """As published, all images depend on each other; titles say so. It shows the proof can fail."""
    predictions = [tmp_path / "before.h5", tmp_path / "after.h5"]
    for folder, output in zip((project, one_image[0]), predictions, strict=True):
        subject = folder / f"{RESULTS}/subj01"
        predict(subject / "weights/vdvae.h5", subject / "betas/test.h5", output, rescale="test")
    assert changed_images(*predictions, "latents") == images_tested(project).tolist()
