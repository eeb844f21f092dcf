"""The workflow on a real SLURM: every rule, through ``snakemake --profile slurm``."""

import platform
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
import yaml

from job_graph import planned_jobs
from nsdrecon.doctor import nodes
from nsdrecon.graph.plan import Partition
from slurm_cluster import cluster_or_skip, command
from tiny_runs import OVERLAYS
from workflow_runs import ROOT, copy_project, environment, snakemake_command

# One poll a second, and one thread a job as in the demo: this machine has few cores.
FAST = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10", "--jobs", "6")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with cluster_or_skip(tmp_path_factory.mktemp("cluster") / "slurm") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("slurm") / "project")


@pytest.fixture(scope="module")
def planned(project):
    line = snakemake_command(project, overlays=OVERLAYS)
    return planned_jobs(project, line[line.index("--configfile") + 1 :])


def submitted(project, *arguments, overlays=OVERLAYS):
    line = snakemake_command(project, "--profile", "slurm", *FAST, *arguments, overlays=overlays)
    return subprocess.run(
        line, cwd=project, env=environment(), capture_output=True, text=True, check=False
    )


def on_cluster(project, *arguments, overlays=OVERLAYS):
    done = submitted(project, *arguments, overlays=overlays)
    assert done.returncode == 0, done.stderr[-6000:]
    assert re.search(r"^About .+ left", done.stderr, flags=re.M)
    assert "Logging error" not in done.stderr  # which stops no run


@pytest.fixture(scope="module")
def records(cluster, project):
    """What the scheduler keeps of a whole run that has ended well."""
    threads = yaml.safe_load((ROOT / "profiles/demo/config.yaml").read_text())["set-threads"]
    threads = [f"{rule}={number}" for rule, number in threads.items()]
    on_cluster(project, "--set-threads", *threads)
    return cluster.records(project)


def test_every_rule_ran_where_it_belongs(records, planned):
    """GPU rules on a node with GPUs and with a GPU of their own, all others on CPU nodes."""
    on_nodes = {job.rule: job.resources.get("gpu", 0) for job in planned if not job.local}
    assert sum(map(bool, on_nodes.values())) >= 5
    assert {record.rule for record in records} == set(on_nodes)
    for record in records:
        wanted = on_nodes[record.rule]
        assert record.gpus == wanted, record
        assert record.partition == ("gpu" if wanted else "cpu"), record
        assert record.nodes[:3] == record.partition, record
        assert record.state == "COMPLETED", record


def test_each_job_was_submitted_once(records, planned):
    ran = sorted(record.rule for record in records)
    assert ran == sorted(job.rule for job in planned if not job.local)


def test_results_are_those_of_a_local_run(records, project, tiny):
    """Byte for byte: tables, arrays and pictures."""
    kept = {".h5", ".tsv", ".md", ".png", ".txt"}
    names = {
        path.relative_to(tiny)
        for path in (tiny / "results").rglob("*")
        if path.suffix in kept and not {"benchmarks", "dag"} & set(path.parts)
    }
    assert len(names) > 40
    different = [n for n in names if (tiny / n).read_bytes() != (project / n).read_bytes()]
    assert different == []


def test_nothing_half_written_is_left(records, project):
    assert not list((project / "results").rglob(".partial-*"))
    assert not list((project / "results").rglob("shards/*.h5"))


def test_every_job_has_a_log_of_its_own(records, project):
    logs = {path.stem for path in (project / "logs/_slurm").rglob("*.log")}
    assert {record.job for record in records} <= logs


def test_shards_share_the_gpus(cluster, tiny, tmp_path):
    """Four shards of one stage ran at one moment, each with one of the four GPUs for itself."""
    project = tmp_path / "project"
    shutil.copytree(tiny, project, symlinks=True)
    target = "results/demo/subj01/latents/vdvae/train.h5"
    (project / target).unlink()
    on_cluster(
        project,
        *(target, "--set-threads", "vdvae_latents=1"),
        overlays=(*OVERLAYS, {"shards": 4}),
    )
    shards = [record for record in cluster.records(project) if record.rule == "vdvae_latents"]
    assert [shard.gpus for shard in shards] == [1, 1, 1, 1]
    assert sorted(shard.nodes for shard in shards) == ["gpu1", "gpu1", "gpu2", "gpu2"]
    last_start, first_end = max(one.start for one in shards), min(one.end for one in shards)
    assert last_start < first_end, shards
    with h5py.File(tiny / target) as before, h5py.File(project / target) as after:
        assert np.array_equal(before["nsd_id"], after["nsd_id"])
        np.testing.assert_allclose(after["latents"], before["latents"], atol=1e-3)


# What the doctor says of this cluster

LIMITS = {"max_runtime": 720, "max_mem_mb": 128_000, "max_threads": 32}
PARTITIONS = {"cpu": LIMITS, "gpu": {**LIMITS, "max_gpu": 4}, "batch": LIMITS}
STAGE1 = {"systems": ["vdvae"], "oracles": [], "evaluation": {"categories": None}}


def test_doctor_names_what_would_stop_the_run(cluster, tmp_path):
    """A partition that is not there, and a torch that does not compute on GPUs; asked once."""
    project = copy_project(tmp_path / "project")
    limits = project / "profiles/slurm/partitions.yaml"
    limits.write_text(yaml.safe_dump({"partitions": PARTITIONS}))
    done = submitted(project, "doctor", overlays=("config/demo.yaml", STAGE1))
    assert done.returncode != 0
    computes = "ok" if torch.cuda.is_available() else "fail"
    said = " ".join(done.stderr.split())
    for row in (
        "partition cpu ok 4 of 4 nodes ready; at most 1440 minutes, 128000 MB of memory, 32 CPUs",
        "partition gpu ok 2 of 2 nodes ready; at most 720 minutes, 128000 MB of memory, 32 CPUs, 4",
        "partition batch fail this SLURM has no such partition, but cpu, gpu → Put the names",
        "jobs and partitions ok all",
        f"a node of cpu ok {platform.node()} reads and writes {project}",
        f"a node of gpu ok {platform.node()} reads and writes {project}",
        f"torch on gpu {computes} torch {torch.__version__}, built for",
    ):
        assert row in said, (row, said)
    jobs = cluster.records(project)
    assert sorted(job.partition for job in jobs) == ["cpu", "gpu"]
    assert {job.gpus for job in jobs if job.partition == "gpu"} == {1}
    assert list(project.glob(".doctor*")) == []


@pytest.mark.parametrize("seen", ["no environment", "another folder"])
def test_doctor_finds_what_nodes_do_not_see(cluster, tmp_path, monkeypatch, seen):
    monkeypatch.chdir(tmp_path)
    python = tmp_path / "python"
    if seen == "another folder":  # of the same name, and empty
        (tmp_path / "empty").mkdir()
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$1" "$2" {tmp_path}/empty "$4"\n')
        python.chmod(0o755)
    monkeypatch.setattr(nodes.sys, "executable", str(python))
    (row,) = nodes.nodes([Partition("cpu")], [], "auto")
    assert row.result == "fail"
    assert "No such file or directory" in row.found
    assert "put both on a file system that they share" in row.remedy


def test_doctor_does_not_wait_for_nodes_that_start_nothing(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nodes, "QUEUE_SECONDS", 2)
    command("scontrol", "update", "nodename=gpu[1-2]", "state=drain", "reason=test")
    (row,) = nodes.nodes([Partition("gpu", max_gpu=4)], [], "auto")
    command("scontrol", "update", "nodename=gpu[1-2]", "state=resume")
    assert row.result == "warn"
    assert "none was free within 2 s" in row.found
