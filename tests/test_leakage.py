"""No reconstruction descends from a test stimulus, whatever the configuration."""

import pytest

from job_graph import Job, ancestors, planned_jobs
from workflow_runs import copy_project

# Made from test images or about to be: the only files through which they could leak.
TEST_STIMULI = "results/stimuli/test.h5"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("leakage") / "project")


def leaks(jobs: list[Job]) -> dict[str, set[str]]:
    """Reconstructions that are no oracle's, with the forbidden files they are made from."""
    from_test = {TEST_STIMULI} | {
        path for job in jobs for path in job.outputs if TEST_STIMULI in ancestors(jobs, path)
    }
    made = [path for job in jobs for path in job.outputs if "/reconstructions/" in path]
    found = {path: ancestors(jobs, path) & from_test for path in made if "oracle-" not in path}
    return {path: forbidden for path, forbidden in found.items() if forbidden}


@pytest.mark.parametrize("configfiles", [[], ["config/demo.yaml"]], ids=["full", "demo"])
def test_no_reconstruction_descends_from_test_stimuli(project, configfiles):
    jobs = planned_jobs(project, configfiles)
    made = [path for job in jobs for path in job.outputs if "/reconstructions/" in path]
    assert len(made) > 10
    assert leaks(jobs) == {}


def test_training_stimuli_and_latents_come_from_training_ids_alone(project):
    jobs = planned_jobs(project, ["config/demo.yaml"])
    for job in jobs:
        if job.rule in {"vdvae_latents", "text_features", "vision_features", "weights"}:
            assert not any("test" in path for path in job.inputs), job


def test_a_leaky_workflow_is_found(tmp_path):
    project = copy_project(tmp_path / "project")
    rules = project / "workflow/rules/stage2.smk"
    text = rules.read_text()
    leaky = text.replace(
        'stage1="results/{subject}/reconstructions/vdvae.h5",',
        f'stage1="results/{{subject}}/reconstructions/vdvae.h5",\n        leak="{TEST_STIMULI}",',
    )
    assert leaky != text
    rules.write_text(leaky)
    found = leaks(planned_jobs(project, ["config/demo.yaml"]))
    assert "results/subj01/reconstructions/sd-ddpm.h5" in found
    assert "results/subj01/reconstructions/vdvae.h5" not in found
