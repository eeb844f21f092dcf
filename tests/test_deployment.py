"""The workflow where it does not lie in the working directory: started from another folder,
imported as a module by what ``snakedeploy deploy-workflow`` writes, and fetched file by file from a
server, beside an installed library.

Each time the whole run is planned, and a file is made by a script; where the workflow is a module
also one by a model that comes with it, and one from the rules themselves.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from nsdrecon.graph import planned_jobs
from tiny_runs import TINY
from workflow_runs import ROOT, copy_project, environment

TRIALS = "results/demo/subj01/trials.tsv"
MODEL = "results/demo/data/models/vdvae.tsv"
GRAPH = "results/demo/dag/rulegraph.svg"
DEPLOYED = """
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


module reconstruction:
    snakefile:
        "{snakefile}"
    config:
        config


use rule * from reconstruction
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The workflow in a folder in which nothing is run."""
    return copy_project(tmp_path_factory.mktemp("clone") / "clone")


@pytest.fixture
def deployed(tmp_path, clone):
    """A folder as it is after a deployment: its Snakefile imports another, with a configuration."""

    def deploy(snakefile):
        (tmp_path / "workflow").mkdir()
        (tmp_path / "workflow/Snakefile").write_text(DEPLOYED.format(snakefile=snakefile))
        shutil.copytree(clone / "config", tmp_path / "config")
        small(tmp_path)
        return tmp_path

    return deploy


def small(folder):
    """A configuration laid over the demo's: a data set that is made in a moment."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def snakemake(folder, *arguments, succeeds=True, **variables):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
        cwd=folder,
        env=environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stderr[-4000:]
    return done


def test_from_another_folder(tmp_path, clone):
    workflow = ("--snakefile", clone / "workflow/Snakefile", "--profile", clone / "profiles/demo")
    snakemake(tmp_path, "-n", *workflow)
    demo = ("--configfile", clone / "config/demo.yaml", small(tmp_path))
    snakemake(tmp_path, TRIALS, *workflow, *demo)
    assert (tmp_path / TRIALS).exists()


def test_directory_of_the_command_line(tmp_path, clone):
    snakemake(clone, "-n", "--profile", "profiles/demo", "--directory", tmp_path)


def test_as_a_module_without_a_profile(deployed, clone):
    folder = deployed(clone / "workflow/Snakefile")
    snakemake(folder, "-n", "--configfile", "config/demo.yaml")
    snakemake(folder, TRIALS, MODEL, GRAPH, "--configfile", "config/demo.yaml", "small.yaml")
    assert all((folder / target).exists() for target in (TRIALS, MODEL))
    assert "vdvae_images" in (folder / GRAPH).read_text()
    assert not (clone / "results").exists()


def test_a_module_statement_says_where_results_and_logs_lie(deployed, clone):
    folder = deployed(clone / "workflow/Snakefile")
    snakefile = folder / "workflow/Snakefile"
    places = '    pathvars:\n        results="found",\n        logs="found/said",\n'
    before = "\n\nuse rule"
    snakefile.write_text(snakefile.read_text().replace(before, f"{places}{before}"))
    command = [sys.executable, planned_jobs.__file__, snakefile, folder / "config/demo.yaml"]
    plan = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (page,) = (job for job in json.loads(plan.stdout) if job["rule"] == "report")
    assert page["params"]["benchmarks"] == "'found/benchmarks'"
    target = "found/subj01/trials.tsv"
    # Of the full run files of results are asked for by their path too.
    snakemake(folder, "-n", "found/data/manifest.tsv")
    snakemake(folder, target, "--configfile", "config/demo.yaml", "small.yaml")
    assert (folder / target).exists()
    assert (folder / "found/said/trials/subj01.log").exists()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the library was installed, as ``pip install .`` does."""
    folder = tmp_path_factory.mktemp("installed")
    # A copy, since a build leaves files in the source.
    source = folder / "source"
    shutil.copytree(ROOT / "workflow/scripts", source / "workflow/scripts")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    target = folder / "target"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", target, source], check=True)
    return target


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server(clone, tmp_path_factory):
    """A server that has the workflow without the library."""
    served = tmp_path_factory.mktemp("served") / "files"
    shutil.copytree(clone, served, symlinks=True)
    for package in ("nsdrecon", "nsdsim"):
        shutil.rmtree(served / "workflow/scripts" / package)
    handler = partial(_Quiet, directory=served)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_as_a_module_that_is_fetched_file_by_file(deployed, clone, installed, server):
    folder = deployed(f"{server}/workflow/Snakefile")
    variables = {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(folder / "cache")}
    snakemake(folder, "-n", **variables)
    demo = ("--configfile", "config/demo.yaml", "small.yaml")
    done = snakemake(folder, "-n", *demo, succeeds=False, **variables)
    assert "with a workflow that lies in no folder of this machine" in done.stdout + done.stderr
    # The models of the demo lie in the clone.
    text = (folder / "config/demo.yaml").read_text()
    (folder / "config/demo.yaml").write_text(text.replace("<workflow>", str(clone / "workflow")))
    snakemake(folder, TRIALS, *demo, **variables)
    assert (folder / TRIALS).exists()


def test_nothing_is_read_from_the_profile_for_slurm(tmp_path):
    """The demo plans and tells its plan where that profile is missing."""
    project = copy_project(tmp_path / "project")
    shutil.rmtree(project / "profiles/slurm")
    os.unlink(project / "slurm")
    target = "results/demo/dag/plan.txt"
    snakemake(project, "--profile", "profiles/demo", target)
    assert "diffusion_images" in (project / target).read_text()
