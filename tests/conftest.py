"""Runs of the workflow and models that several files of tests share, and the order of the files."""

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tiny_runs import OVERLAYS
from workflow_runs import copy_project, snakemake

# Workers share the cores: none starts more threads than are its own.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // int(workers)))

# Files whose tests take minutes start first, so that the workers end together; the demo, which has
# work for every core, beside the faults on a cluster, which wait for the scheduler.
LONG = (
    *("test_slurm_faults.py", "test_demo.py", "test_slurm.py", "test_reruns.py"),
    *("test_download.py", "test_extensions.py", "test_bad_input.py", "test_leakage.py"),
)


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A project in which the whole workflow has run locally, at its smallest. Not to be changed."""

    def make(project: Path) -> None:
        done = snakemake(copy_project(project), "--profile", "profiles/demo", overlays=OVERLAYS)
        assert done.returncode == 0, done.stderr[-6000:]
        (project / "console.txt").write_text(done.stderr)

    return made_once(tmp_path_factory, "tiny", make)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker makes and all others wait for."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def sd_folder(tmp_path_factory) -> Path:
    """A Stable Diffusion of a few weights. Not to be changed."""
    from diffusion_models import write_stable_diffusion

    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture(scope="session")
def vd_folder(tmp_path_factory) -> Path:
    """A Versatile Diffusion of a few weights. Not to be changed."""
    from diffusion_models import write_versatile_diffusion

    return write_versatile_diffusion(tmp_path_factory.mktemp("models") / "vd")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, one_session: Callable) -> None:
    """Short pauses between attempts, and boto3's description of S3 read once."""
    from nsdrecon.transfer import s3, sources

    monkeypatch.setattr(sources, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(s3.boto3, "Session", one_session)


@pytest.fixture(scope="session")
def one_session() -> Callable:
    import boto3

    return cache(boto3.Session)


@pytest.fixture
def proxy(server) -> Iterator:
    """A bad network before the server of a file of tests."""
    from s3_server import FaultProxy

    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def stimuli(tmp_path) -> Path:
    from small_pictures import NSD_ID, write_stimuli

    return write_stimuli(tmp_path / "test.h5", NSD_ID)


@pytest.fixture
def system(tmp_path) -> Path:
    """Two samples a picture."""
    from small_pictures import NSD_ID, write_system

    return write_system(tmp_path / "sd-ddpm.h5", NSD_ID, samples=2)
