"""The manifest lists exactly what a run needs from outside, whatever the configuration."""

from ast import literal_eval

import pytest
import yaml

from job_graph import planned_jobs
from workflow_runs import copy_project, snakemake

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
    "volumes": {"nsd": {"volumes": "whole", "format": "nii.gz"}},
    "whole": {
        "subjects": [3],
        "nsd": {"stimuli": "whole", "volumes": "whole", "keep_raw": True, "sessions": "all"},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("sources") / "project")
    files = ["captions.npy", "sd/unet/config.json", "clip/model.safetensors"]
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
