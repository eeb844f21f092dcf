"""The manifest lists exactly what a run needs from outside, whatever the configuration."""

from ast import literal_eval

import pytest
import yaml

from job_graph import planned_jobs
from nsdrecon.datasets import data_files
from nsdrecon.run import Run
from nsdrecon.sources import ModelFiles, folder_files, planned_models, records
from settings_in_process import run_of
from workflow_runs import ROOT, copy_project, snakemake

OWN = {
    "models": {"stable_diffusion": {"folder": "mine/sd"}},
    "evaluation": {"networks": [{"name": "CLIP", "weights": "mine/clip"}]},
}
OVERLAYS = {
    "full": {},
    "vdvae": {"systems": ["vdvae"], "oracles": []},
    "sd": {"systems": ["sd-ddim"], "oracles": [], "nsd": {"captions": "mine/captions.npy"}},
    "own": {"systems": ["sd-ddim", "vd-ddim"], "oracles": [], **OWN},
    "oracle": {"systems": ["vdvae"], "oracles": ["oracle-vd-ddim"]},
    "several": {"systems": ["sd-ddim"], "oracles": [], "stage2": {"samples": 3}},
    "mindeye": {"evaluation": {"protocol": "mindeye"}},
    "brain": {
        "systems": ["vdvae"],
        "oracles": [],
        "brain": {"maps": [1], "regions": [2]},
        "dataset": {"tests": ["vision", "synthetic"]},
    },
    "volumes": {
        "nsd": {"volumes": "whole", "format": "nii.gz"},
        "dataset": {"tests": ["imagery", "synthetic"]},
    },
    "whole": {
        "subjects": [3],
        "nsd": {"stimuli": "whole", "volumes": "whole", "keep_raw": True, "sessions": "all"},
    },
    "bucket and brought": {
        "subjects": [1, 3],
        "dataset": {"kind": "laion-fmri", "tests": ["ood"]},
        "laion-fmri": {
            "source": "s3",
            "mask": "derivatives/sub-{subject:02d}.nii.gz",
            "sessions": 2,
            "pictures": "mine/pictures.h5",
            "splits": "mine/splits",
        },
        "brain": {"regions": [], "correlation": [], "pictures": []},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("sources") / "project")
    files = ["captions.npy", "sd/unet/config.json", "clip/model.safetensors"]
    files += ["pictures.h5", "splits/tau.json"]
    for name in files:
        path = project / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return project


def test_jobs_run_with_the_hubs_switched_off(project):
    (project / "workflow/hubs.smk").write_text(
        "include: 'Snakefile'\n"
        "import os\n"
        "print('HUBS', os.environ['HF_HUB_OFFLINE'], os.environ['TRANSFORMERS_OFFLINE'])\n"
    )
    done = snakemake(project, "-n", "--quiet", "all", "--snakefile", "workflow/hubs.smk")
    assert "HUBS 1 1" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", OVERLAYS)
def test_manifest_lists_what_other_jobs_use_and_nothing_else(project, name):
    (project / f"{name}.yaml").write_text(yaml.safe_dump(OVERLAYS[name]))
    jobs = planned_jobs(project, [f"{name}.yaml"])
    fetched = {
        path
        for job in jobs
        if job.rule.startswith("download_")
        for path in job.outputs
        if not path.endswith(".record.tsv")
    }
    (manifest,) = (job for job in jobs if job.rule == "manifest")
    checks = [job for job in jobs if job.rule == "model_check"]
    records = {path for job in checks for path in job.outputs if path.endswith(".record.tsv")}
    assert records <= set(manifest.inputs)
    listed = {path.removesuffix(".record.tsv") for path in {*manifest.inputs} - records}
    # What the user brought is recorded by the check of the model.
    listed |= {path for job in checks for path in literal_eval(job.params["own"])}
    used = {path for job in jobs if job is not manifest for path in job.inputs}
    assert fetched <= listed
    assert listed <= used
    brought = {path for path in listed - fetched if path.startswith("mine/")}
    assert listed == fetched | brought
    assert {path for path in used if path.startswith("mine/")} == brought


@pytest.mark.parametrize(
    ("overlays", "shared"),
    [
        (["config/demo.yaml"], ()),
        ([], ("resources/models/", "resources/nsd/", "resources/captions/")),
    ],
    ids=["demo", "full"],
)
def test_runs_of_two_names_share_downloads_alone(project, overlays, shared):
    (project / "other.yaml").write_text("run: {name: other}")
    written = {path for job in planned_jobs(project, overlays) for path in job.outputs}
    others = planned_jobs(project, [*overlays, "other.yaml"])
    known = {path for job in others for path in (*job.inputs, *job.outputs)}
    assert len(written) > 100
    assert [path for path in written & known if not path.startswith(shared)] == []


def full_run(**nsd) -> Run:
    """The full run's configuration with other settings of the data set."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["nsd"] |= nsd
    return run_of(config)


def test_volumes_travel_whole_and_are_removed_or_just_their_voxels():
    ranges = data_files(full_run())
    assert ranges.of_sessions("subj01")[0] == "results/subj01/betas/sessions/01.h5"
    assert ranges.temporary == []
    assert ranges.downloads_in_detail()["ranges"]["results/subj07/betas/sessions/37.h5"] == (
        ranges.mask("subj07")
    )
    whole = data_files(full_run(volumes="whole", format="nii.gz"))
    assert len(whole.temporary) == 4 * 37
    assert all(path.endswith(".nii.gz") for path in whole.temporary)
    kept, stored = whole.downloads_in_detail()["voxels"][whole.volumes("subj01")[0]]
    assert (kept, stored) == ("results/subj01/betas/sessions/01.h5", 15724 * 750 * 2)
    assert data_files(full_run(volumes="whole", keep_raw=True)).temporary == []


def test_a_copy_that_is_there_downloads_models_alone():
    run = full_run(source="local", root="/data/nsd", captions="mine.npy")
    data = data_files(run)
    assert data.own_captions == ["mine.npy"]
    assert data.downloads_in_detail()["files"] == {}
    assert all(path.startswith("resources/models/") for path in records(ModelFiles(run), data))
    assert set(planned_models(ModelFiles(run), data).values()) <= {
        path.removesuffix(".record.tsv") for path in records(ModelFiles(run), data)
    }


def test_pickles_of_a_folder_count_where_there_is_nothing_safer(tmp_path):
    for name in ("unet/a.bin", "unet/a.safetensors", "vae/b.bin", "vae/config.json", "note.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = folder_files(str(tmp_path))
    names = ["unet/a.safetensors", "vae/b.bin", "vae/config.json"]
    assert found == [str(tmp_path / name) for name in names]
    assert folder_files("nowhere") == ["nowhere/config.json"]
    assert folder_files("resources/models/x") == ["resources/models/x/downloaded.tsv"]
