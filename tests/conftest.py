"""Runs of the workflow that several files of tests share."""

import pytest

from tiny_runs import OVERLAYS
from workflow_runs import copy_project, snakemake


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A project in which the whole workflow has run locally, at its smallest. Not to be changed."""
    project = copy_project(tmp_path_factory.mktemp("tiny") / "project")
    done = snakemake(project, "--profile", "profiles/demo", overlays=OVERLAYS)
    assert done.returncode == 0, done.stderr[-6000:]
    return project
