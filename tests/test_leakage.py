"""No reconstruction descends from a test stimulus, whatever the configuration."""

import ast
from pathlib import Path

import pytest
import yaml

from job_graph import Job, ancestors, planned_jobs
from nsdrecon.systems import registry
from own_files import OwnFiles
from workflow_runs import copy_project

# Made from test images or about to be: the only files through which they could leak. Captions are
# in one file for all images, so what is made of those of the test images is told by its path.
TEST_STIMULI = "results/demo/stimuli/test.h5"
ORACLE = "oracle-"
EXTRACTIONS = {"vdvae_latents", "features", "oracle_vdvae_latents", "oracle_features"}
SYSTEMS = set(registry().systems)
RESCALED = ", rescaled by the test set"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("leakage") / "project")


def leaks(jobs: list[Job]) -> dict[str, set[str]]:
    """Reconstructions that are no oracle's, with the forbidden files they are made from."""
    outputs = [path for job in jobs for path in job.outputs]
    from_test = {path for path in outputs if path.startswith(TEST_STIMULI.removesuffix(".h5"))}
    from_test |= {path for path in outputs if from_test & ancestors(jobs, path)}
    from_test |= {path for path in outputs if ORACLE in path}
    made = [path for path in outputs if "/reconstructions/" in path and ORACLE not in path]
    found = {path: ancestors(jobs, path) & from_test for path in made}
    return {path: forbidden for path, forbidden in found.items() if forbidden}


def unlabelled(jobs: list[Job]) -> set[str]:
    """Systems that were rescaled by the test set although their titles do not say so."""
    makers = {path: job for job in jobs for path in job.outputs}
    (tables,) = (job for job in jobs if job.rule == "metrics")
    titles = ast.literal_eval(tables.params["systems"])
    found = set()
    for path in makers:
        system = Path(path).stem
        if "/reconstructions/" not in path or system not in titles:
            continue
        made_by = {makers[file].rule: makers[file] for file in ancestors(jobs, path) & set(makers)}
        settings = [job.params.get("cfg", "{}") for job in made_by.values()]
        rescaled = any("'regression.rescale': 'test'" in text for text in settings)
        if rescaled and RESCALED not in titles[system]:
            found.add(system)
    return found


def test_no_reconstruction_from_files_of_a_user_descends_from_test_stimuli(project):
    section = OwnFiles(project / "own").with_further_test().write()
    overlay = {"subjects": [1], "dataset": {"kind": "prepared", "tests": ["far"]}}
    overlay["prepared"] = section
    overlay["brain"] = {"regions": [], "correlation": [], "pictures": []}
    (project / "own.yaml").write_text(yaml.safe_dump(overlay))
    jobs = planned_jobs(project, ["config/demo.yaml", "own.yaml"])
    assert {"read_session", "read_test_pictures", "read_captions"} <= {job.rule for job in jobs}
    made = [path for job in jobs for path in job.outputs if "/reconstructions/" in path]
    assert len(made) > 10
    assert any("subj01-test-far/" in path for path in made)
    assert any(path.endswith("/stimuli/test-far.h5") for job in jobs for path in job.outputs)
    assert leaks(jobs) == {}


def test_nothing_trained_descends_from_imagery_or_synthetic_files(project):
    tests = ["vision", "attention", "imagery", "synthetic"]
    (project / "further.yaml").write_text(yaml.safe_dump({"dataset": {"tests": tests}}))
    jobs = planned_jobs(project, ["config/demo.yaml", "further.yaml"])
    outputs = [path for job in jobs for path in job.outputs]
    words = ("nsdimagery", "nsdsynthetic", "sessions/imagery", "sessions/synthetic", "test-")
    further = {path for path in outputs if any(word in path for word in words)}
    for name in tests:
        decoded = f"results/demo/subj01-test-{name}/reconstructions/sd-ddim.h5"
        assert f"results/demo/subj01-test-{name}/betas/test.h5" in ancestors(jobs, decoded)
        assert not any("stimuli/test" in path for path in ancestors(jobs, decoded))
    untouched = [path for path in outputs if path not in further and "/subj" in path]
    untouched += ["results/demo/tables/metrics.tsv"]
    assert any(path.endswith("/weights/vdvae.h5") for path in untouched)
    for path in untouched:
        assert not further & ancestors(jobs, path), path


@pytest.mark.parametrize("configfiles", [[], ["config/demo.yaml"]], ids=["full", "demo"])
def test_no_reconstruction_descends_from_test_stimuli(project, configfiles):
    jobs = planned_jobs(project, configfiles)
    made = [path for job in jobs for path in job.outputs if "/reconstructions/" in path]
    assert len(made) > 10
    assert leaks(jobs) == {}
    assert unlabelled(jobs) == set()
    if not configfiles:  # the analyses of other responses and other training images are walked too
        for variant in ("-repeats1/", "-holdout/"):
            assert any(variant in path for path in made)


def test_rescaling_by_the_test_set_is_labelled(project):
    (project / "test.yaml").write_text("regression: {rescale: test}")
    jobs = planned_jobs(project, ["config/demo.yaml", "test.yaml"])
    assert unlabelled(jobs) == set()
    (tables,) = (job for job in jobs if job.rule == "metrics")
    for where in ("systems", "floors"):
        titles = ast.literal_eval(tables.params[where])
        own = {name for name in titles if name.removeprefix("shuffled-") in SYSTEMS}
        assert own
        assert all(RESCALED in titles[name] for name in own)


def test_rescaling_by_the_test_set_without_a_label_is_found(tmp_path):
    project = copy_project(tmp_path / "project")
    titles = project / "workflow/scripts/nsdrecon/run.py"
    text = titles.read_text()
    assert RESCALED in text
    titles.write_text(text.replace(RESCALED, ""))
    (project / "test.yaml").write_text("regression: {rescale: test}")
    jobs = planned_jobs(project, ["config/demo.yaml", "test.yaml"])
    assert unlabelled(jobs) == SYSTEMS


def test_training_latents_come_from_training_ids_alone(project):
    """And everything made of test images lies under a path that says so."""
    jobs = planned_jobs(project, ["config/demo.yaml"])
    extractions = [job for job in jobs if job.rule in EXTRACTIONS]
    assert {job.rule for job in extractions} == EXTRACTIONS
    for job in extractions:
        oracle = job.rule.startswith("oracle_")
        assert all(("/oracle-latents/" in path) == oracle for path in job.outputs), job
        assert oracle == (TEST_STIMULI in job.inputs), job
    for job in jobs:
        if job.rule in {"gram", "weights", "predictions"}:
            made_of = {path for output in job.outputs for path in ancestors(jobs, output)}
            assert not any(ORACLE in path or path == TEST_STIMULI for path in made_of), job


def test_what_the_brain_tells_is_of_training_images(project):
    (project / "name.yaml").write_text("run: {name: demo}")
    jobs = planned_jobs(project, ["config/demo.yaml", "config/brain-demo.yaml", "name.yaml"])
    rules = {"dimensions", "encoding", "maps", "patterns", "pictures", "regions"}
    analyses = [job for job in jobs if job.rule in rules]
    assert {job.rule for job in analyses} == rules
    made = [path for job in jobs for path in job.outputs if "/reconstructions/" in path]
    for variant in ("-sessions1/", "-strength~0.25/", "-regions/", "sd-ddim-best.h5"):
        assert any(variant in path for path in made), variant
    for job in analyses:
        made_of = {path for output in job.outputs for path in ancestors(jobs, output)}
        synthetic = "results/demo/subj01-regions/betas/test.h5"
        made_of -= {synthetic}
        assert not any(ORACLE in path or path.endswith("/test.h5") for path in made_of), job
    assert leaks(jobs) == {}


def test_oracles_are_made_of_true_latents_alone(project):
    """The other way round: a ceiling that saw predictions would not be one."""
    jobs = planned_jobs(project, ["config/demo.yaml"])
    oracles = [
        path for job in jobs for path in job.outputs if path.endswith(".h5") and ORACLE in path
    ]
    assert "results/demo/subj01/reconstructions/oracle-vd-ddpm.h5" in oracles
    for path in oracles:
        assert not any("/predictions/" in found for found in ancestors(jobs, path)), path


def test_each_rung_of_the_ladder_is_given_what_it_says(project):
    rungs = ["oracle-sd-ddpm-start", "oracle-sd-ddpm-features", "oracle-sd-ddpm-seen"]
    (project / "ladder.yaml").write_text(f"oracles: {rungs}")
    jobs = planned_jobs(project, ["config/demo.yaml", "ladder.yaml"])
    folder = "results/demo/subj01/"
    given = {
        Path(job.outputs[0]).parts[-3]: {path.removeprefix(folder) for path in job.inputs}
        for job in jobs
        if job.rule == "diffusion_images" and job.outputs[0].startswith(folder)
    }
    start, predicted = "reconstructions/oracle-vdvae.h5", "predictions/sd-text.h5"
    true = "results/demo/oracle-latents/sd-text.h5"
    assert given[rungs[0]] >= {start, predicted}
    assert given[rungs[1]] >= {"reconstructions/vdvae.h5", true}
    assert given[rungs[2]] >= {TEST_STIMULI, predicted}
    assert given["sd-ddpm"].isdisjoint({start, true, TEST_STIMULI})
    assert leaks(jobs) == {}


def test_variants_share_what_their_setting_does_not_change(project):
    """Fewer sessions train everything again; a setting makes files from where it is used."""
    settings = {
        "subjects": [1],
        "evaluation": {"learning": ["vdvae"], "learning_sessions": [2, 3]},
        "ablations": {"systems": ["sd-ddim"], "strength": [0.25], "rescale": ["none"]},
    }
    settings["ablations"]["alpha"] = [500]
    (project / "variants.yaml").write_text(yaml.safe_dump(settings))
    jobs = planned_jobs(project, ["config/demo.yaml", "variants.yaml"])
    assert leaks(jobs) == {}
    made: dict[str, list[str]] = {}
    for job in jobs:
        _, _, variant = job.label.partition("variant=")
        if variant and job.rule not in ("reconstructions", "variant_evaluation"):
            made.setdefault(variant.split(",")[0], []).append(job.rule)
    stages = ["gram", "predictions", "vdvae_images", "weights"]
    assert sorted(set(made["-sessions2"])) == stages
    assert "-sessions3" not in made  # all that there are
    assert made["-strength~0.25"] == ["diffusion_images"]
    decoded = ["diffusion_images", "predictions", "vdvae_images"]
    assert sorted(set(made["-rescale~none"])) == decoded
    assert sorted(set(made["-alpha~500"])) == [*decoded, "weights"]
    (drawn,) = (
        job
        for job in jobs
        if "strength~0.25" in job.label and job.rule == made["-strength~0.25"][0]
    )
    assert "'strength': 0.25" in drawn.params["sampling"]
    assert "'stage2.strength': 0.25" in drawn.params["cfg"]
    (weights, *_) = (job for job in jobs if "-alpha~500" in job.label and job.rule == "weights")
    assert ": 500" in weights.params["cfg"]
    assert "results/demo/subj01/weights/gram.h5" in weights.inputs


@pytest.mark.parametrize("leak", [TEST_STIMULI, "results/demo/oracle-latents/sd-text.h5"])
def test_a_leaky_workflow_is_found(tmp_path, leak):
    project = copy_project(tmp_path / "project")
    rules = project / "workflow/rules/stage2.smk"
    text = rules.read_text()
    leaky = text.replace("stage1=stage1_images,", f"stage1=stage1_images,\n        leak={leak!r},")
    assert leaky != text
    rules.write_text(leaky)
    found = leaks(planned_jobs(project, ["config/demo.yaml"]))
    assert "results/demo/subj01/reconstructions/sd-ddpm.h5" in found
    assert "results/demo/subj01/reconstructions/vdvae.h5" not in found
