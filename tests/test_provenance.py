"""What files of results say of themselves, and what a job refuses for it."""

import json
import os
import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from nsdrecon import layout, provenance, store
from nsdrecon.checked_files import read_provenance
from nsdrecon.errors import InputError
from nsdrecon.job import job
from one_process import run_jobs
from stand_ins import script_of
from tiny_runs import OVERLAYS
from workflow_runs import ROOT

ABOUT = {"source": "simulated", "settings": {"seed": 0}, "code": "c0de", "versions": {}}


def write(path, name=None, **about):
    """A file of results, perhaps one that was made under another name."""
    with provenance.written_in("demo", ABOUT | about):
        if str(path).endswith(".tsv"):
            store.write_table(path, pd.DataFrame({"nsd_id": [4], "x": [0.5]}))
        else:
            store.write_arrays(name or path, np.array([4]), {"x": np.ones((1, 2))}, {"a": "b"})
    if name:
        path.parent.mkdir(parents=True, exist_ok=True)
        name.replace(path)
    return path


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results/demo"


def test_what_is_written_in_a_job_says_what_it_was_made_from_and_with(results):
    responses = write(results / "subj01/betas/test.h5", settings={"responses.min_ncsnr": None})
    scores = write(results / "subj01/evaluation/vdvae.tsv", settings={"seed": 1})
    params = {"cfg": {"evaluation.bootstrap": 10}, "how": {"device": "cuda"}, "code": "abc"}
    with job(script_of([responses, scores, "model.pth"], **params)) as log:
        log.info("at work")
        store.write_arrays(results / "tables/a.h5", np.array([1]), {"x": np.ones(1)})
        store.write_table(results / "tables/a.tsv", pd.DataFrame({"x": [1]}))
        assert provenance.simulated()
    for name in ("tables/a.h5", "tables/a.tsv"):
        about = read_provenance(results / name)
        assert about.pop("versions").keys() >= {"python", "numpy", "torch"}
        settings = {"responses.min_ncsnr": None, "seed": 1, "evaluation.bootstrap": 10}
        assert about == {"source": "simulated", "file": name, "code": "abc", "settings": settings}
    assert provenance.current() is None


def test_a_table_can_be_read_by_hand(results):
    path = write(results / "tables/metrics.tsv")
    first, *rest = path.read_text().splitlines()
    assert rest == ["nsd_id\tx", "4\t0.5"]
    words = re.fullmatch(r"# crc32 [0-9a-f]{8} (\{.*\})", first)[1]
    assert json.loads(words) == {**ABOUT, "file": "tables/metrics.tsv"}
    pd.testing.assert_frame_equal(pd.read_csv(path, sep="\t", skiprows=1), store.read_table(path))


def test_a_copy_of_rows_says_what_it_is_itself(results):
    source = write(results / "subj01/latents/a/shards/1-of-1.h5")
    merged = results / "subj01/latents/a/train.h5"
    with provenance.written_in("demo", ABOUT):
        store.merge_h5([source], merged, ["x"])
    assert read_provenance(merged)["file"] == "subj01/latents/a/train.h5"
    with h5py.File(merged) as file:
        assert file.attrs["a"] == "b"


@pytest.mark.parametrize(
    "other",
    [
        "subj02/predictions/vdvae.h5",
        "subj01-holdout/predictions/vdvae.h5",
        "subj01/predictions/sd-text.h5",
        "subj01/oracle-latents/vdvae.h5",
    ],
    ids=["subject", "training images", "feature space", "true latents"],
)
def test_another_file_in_the_place_of_an_input_is_refused(results, other):
    """Of another subject, other training images, another feature, the true latents."""
    path = write(results / "subj01/predictions/vdvae.h5", name=results / other)
    message = f"{path}: found {other}; expected subj01/predictions/vdvae.h5. Remove it"
    with pytest.raises(InputError, match=re.escape(message)), job(script_of([path])):
        pass


def test_a_run_may_get_another_name(tmp_path):
    write(tmp_path / "results/demo/subj01/trials.tsv")
    (tmp_path / "results/demo").rename(tmp_path / "results/other")
    snakemake = script_of([tmp_path / "results/other/subj01/trials.tsv"])
    snakemake.config = {"run": {"name": "other"}}
    with job(snakemake):
        assert provenance.current()["source"] == "simulated"


def test_data_of_two_sources_are_refused(results):
    one = write(results / "subj01/betas/train.h5")
    other = write(results / "subj01/latents/a/train.h5", source="s3://bucket")
    message = f"{other}: found data from: s3://bucket; expected data from: simulated, as in {one}"
    with pytest.raises(InputError, match=re.escape(message)), job(script_of([one, other])):
        pass


def test_raw_data_of_another_source_than_an_input_are_refused(results):
    trials = write(results / "subj01/trials.tsv")
    message = "found data from: simulated; expected data from: local /nsd, as in nsd.source"
    with (
        pytest.raises(InputError, match=message),
        job(script_of([trials, "/nsd/stimuli.hdf5"], source="local /nsd")),
    ):
        pass


def test_files_that_were_made_with_different_settings_are_refused(results):
    one = write(results / "subj01/betas/train.h5")
    other = write(results / "subj01/latents/a/train.h5", settings={"seed": 3})
    for inputs, cfg in (([one, other], {}), ([other], {"seed": 0})):
        with (
            pytest.raises(InputError, match=r"a/train\.h5: found seed: 3; expected 0, as in"),
            job(script_of(inputs, cfg=cfg)),
        ):
            pass


def test_a_setting_that_is_compared_may_differ_and_no_other(results):
    one = write(results / "subj01/betas/train.h5", settings={"regression.alpha.a": 1, "seed": 0})
    other = write(results / "subj01/latents/a/train.h5", settings={"regression.alpha.a": 2})
    with job(script_of([one, other]), free="regression.alpha"):
        assert provenance.current()["settings"] == {"seed": 0}
    with (
        pytest.raises(InputError, match=r"found regression\.alpha\.a: 2"),
        job(script_of([one, other])),
    ):
        pass


def test_an_array_that_no_job_made_is_refused(results):
    path = results / "subj01/latents/a/train.h5"
    store.write_arrays(path, np.array([4]), {"x": np.ones(1)})
    with (
        pytest.raises(InputError, match="nothing of where its data come from"),
        job(script_of([path])),
    ):
        pass


def test_a_table_that_was_edited_is_refused(results):
    path = write(results / "subj01/evaluation/vdvae.tsv")
    whole = path.read_text()
    edits = {whole.replace("0.5", "0.9"): "its checksum does not fit"}
    edits |= {whole.partition("\n")[2]: "no checksum in its first line"}
    for text, message in edits.items():
        path.write_text(text)
        with pytest.raises(InputError, match=f"{path}.*{message}"), job(script_of([path])):
            pass


LOCAL = {
    "source": "local",
    "root": "resources/simulated/demo",
    "captions": "resources/simulated/demo/captions.npy",
}


@pytest.fixture(scope="module")
def called_local(tiny, tmp_path_factory):
    """A finished run of simulated data whose configuration then says that they are local."""
    project = tmp_path_factory.mktemp("local") / "project"
    shutil.copytree(tiny, project, symlinks=True)
    # Volumes were removed after their use; what was made from them is newer.
    for session in (1, 2):
        volume = project / LOCAL["root"] / layout.betas_key("subj01", session)
        volume.touch()
        os.utime(volume, (0, 0))
    return project


def make(project, target):
    (project / target).unlink()
    run_jobs(project, target, overlays=(*OVERLAYS, {"nsd": LOCAL}))


def test_simulated_data_are_called_so_whatever_the_configuration_says(called_local):
    target = "results/demo/report.html"
    make(called_local, target)
    text = (called_local / target).read_text()
    assert "<dt>data</dt><dd>simulated</dd>" in text
    assert "The data set is simulated" in text


def test_simulated_data_among_local_ones_are_refused(called_local):
    message = "found data from: simulated; expected data from: local resources/simulated/demo"
    with pytest.raises(RuntimeError, match=message):
        make(called_local, "results/demo/figures/noise_ceiling.png")


def test_predictions_of_another_subject_are_refused(called_local):
    """In place of the subject's own: the run stops before anything is decoded."""
    own = "subj01/predictions/vdvae.h5"
    path, other = (called_local / "results/demo" / name for name in (own, own.replace("1/", "2/")))
    with provenance.written_in("demo", read_provenance(path)):
        store.merge_h5([path], other, ["latents"])
    other.replace(path)
    with pytest.raises(RuntimeError, match=f"found subj02/predictions/vdvae.h5; expected {own}"):
        make(called_local, "results/demo/subj01/reconstructions/vdvae.h5")


def test_every_script_of_a_result_looks_at_its_inputs():
    """Those of downloads and models have nothing that says what it is."""
    apart = {"doctor", "manifest", "validate", "verify_data"}
    apart |= {"download_file", "download_repository", "download_weights"}
    scripts = (ROOT / "workflow/scripts").glob("*.py")
    assert {one.stem for one in scripts if "with job(snakemake" not in one.read_text()} == apart
