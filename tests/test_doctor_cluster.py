"""The checks of partitions, profile and nodes find what they are for, and say what to do."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest
from snakemake.resources import Resource, Resources

from nsdrecon.doctor import checks, cluster, findings, nodes, probe
from nsdrecon.doctor.findings import Result
from nsdrecon.doctor.profile import slurm_facts
from nsdrecon.errors import InputError
from nsdrecon.graph.plan import Partition, PlannedJob
from workflow_runs import ROOT

OK, WARN, FAIL, SKIPPED = Result.OK, Result.WARN, Result.FAIL, Result.SKIPPED


def results(rows):
    return [(row.check, row.result) for row in rows]


# The cluster

SCONTROL = """\
PartitionName=cpu AllowGroups=ALL MaxNodes=UNLIMITED MaxTime=1-00:00:00 MaxCPUsPerNode=UNLIMITED \
Nodes=cpu[1-2] State=UP MaxMemPerNode=UNLIMITED
PartitionName=gpu MaxTime=12:30:00 MaxCPUsPerNode=16 Nodes=gpu[1-2] State=UP MaxMemPerNode=64000
PartitionName=old MaxTime=UNLIMITED Nodes=old1 State=DOWN MaxMemPerNode=UNLIMITED
PartitionName=sick MaxTime=UNLIMITED Nodes=old1 State=UP MaxMemPerNode=UNLIMITED
"""
SINFO = """\
cpu|32|128000|(null)|idle
cpu|64|256000|(null)|mixed
gpu|32|128000|gpu:a100:4(S:0-1),nvme:1|allocated
gpu|32|128000|gpu:2|drained*
old|8|8000|(null)|idle
sick|8|8000|(null)|down*
"""
SITE = cluster.parse_partitions(SCONTROL, SINFO)
CPU = Partition("cpu", max_runtime=1440, max_mem_mb=256000, max_threads=64)
GPU = Partition("gpu", max_runtime=750, max_mem_mb=64000, max_threads=16, max_gpu=6)


def test_partitions_of_the_site():
    assert SITE["cpu"].limits == Partition("cpu", 1440, 256000, 64, 0)
    assert SITE["gpu"].limits == Partition("gpu", 750, 64000, 16, 6)
    assert (SITE["gpu"].n_nodes, SITE["gpu"].n_ready) == (2, 1)
    assert SITE["old"].limits.max_runtime is None
    assert [one.starts_jobs for one in SITE.values()] == [True, True, False, False]


@pytest.mark.parametrize(
    ("named", "result", "found"),
    [
        (CPU, OK, "2 of 2 nodes ready; at most 1440 minutes, 256000 MB of memory, 64 CPUs"),
        (GPU, OK, "6 GPUs"),
        (Partition("batch"), FAIL, "no such partition, but cpu, gpu, old, sick"),
        (Partition("old"), FAIL, "its state is DOWN"),
        (Partition("cpu", max_gpu=1), FAIL, "none of its nodes offers a GPU"),
        (Partition("sick"), WARN, "all of its 1 nodes are down"),
        (Partition("gpu", max_runtime=900, max_gpu=8), WARN, "900 minutes in partitions.yaml, 750"),
    ],
)
def test_partitions_of_the_profile(named, result, found):
    (row,) = cluster.partitions([named], SITE)
    assert (row.check, row.result) == (f"partition {named.name}", result)
    assert found in row.found
    assert bool(row.remedy) == (result is not OK)


def job(rule, gpu=0, mem_mb=10_000, runtime=100, threads=4, local=False):
    return PlannedJob(rule, "stage", "", (), ("x",), threads, mem_mb, runtime, gpu, local, None)


@pytest.mark.parametrize(
    ("jobs", "changes", "result", "found"),
    [
        ([job("a"), job("b", gpu=1), job("c", local=True, threads=999)], {}, OK, "all 2 jobs fit"),
        ([job("a", mem_mb=300_000)], {}, FAIL, "a (300000 MB, 100 min, 4 CPUs)"),
        ([job("a", threads=65)], {}, FAIL, "65 CPUs"),
        ([job("b", gpu=1, runtime=800)], {}, FAIL, "b (10000 MB, 800 min, 4 CPUs, 1 GPU)"),
        ([job("b", gpu=7)], {}, FAIL, "7 GPU"),
        ([job("a", mem_mb=100_000)], {}, WARN, "attempt 3 would fit into no partition: a (300000"),
        ([job("b", gpu=1, runtime=300)], {}, WARN, "900 min"),
        ([job("a", mem_mb=100_000)], {"a": {"mem_mb": 200_000}}, OK, "attempt 3 too"),
        ([job("a")], {"a": {"threads": 80}}, FAIL, "80 CPUs"),
    ],
)
def test_jobs_and_partitions(jobs, changes, result, found):
    (row,) = cluster.jobs(jobs, changes, [CPU, GPU], SITE, attempts=3)
    assert row.result is result
    assert found in row.found


def test_limits_of_the_site_hold_where_the_profile_allows_more():
    generous = [Partition("cpu", max_mem_mb=1_000_000)]
    (row,) = cluster.jobs([job("a", mem_mb=300_000)], {}, generous, SITE, attempts=1)
    assert row.result is FAIL


def test_machine_without_slurm(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    facts = {"partitions": ROOT / "profiles/slurm/partitions.yaml"}
    (row,) = findings.examined("SLURM", checks.slurm, facts, [], list, "auto")
    assert row.result is FAIL
    assert "no program scontrol" in row.found
    assert "--profile profiles/local" in row.remedy


def test_run_that_cannot_be_planned(tmp_path, monkeypatch):
    """It is one row; the nodes are looked at none the less."""

    def plan():
        raise RuntimeError("python failed:\nMissingInputException: workflow/mine/vdvae.th")

    path = tmp_path / "partitions.yaml"
    path.write_text("partitions: {cpu: {max_runtime: 60}}")
    monkeypatch.setattr(cluster, "site_partitions", lambda: SITE)
    asked = []
    monkeypatch.setattr(nodes, "nodes", lambda found, *_: asked.extend(found) or [])
    facts = {"partitions": str(path), "changes": {}, "attempts": 3, "options": []}
    rows = list(checks.slurm(facts, [], plan, "auto"))
    assert results(rows) == [("partition cpu", OK), ("jobs and partitions", FAIL)]
    assert "workflow/mine/vdvae.th" in rows[1].found
    assert [one.name for one in asked] == ["cpu"]


def test_file_of_partitions_that_is_none(tmp_path):
    (tmp_path / "partitions.yaml").write_text("cpu: 1\n")
    with pytest.raises(InputError, match="Keep the form"):
        cluster.profile_partitions(tmp_path / "partitions.yaml")
    with pytest.raises(InputError, match=r"Name it in the profile"):
        cluster.profile_partitions(None)


def test_what_a_profile_says_of_slurm():
    given = ["mem_mb=5000", "runtime=4h", "gpu=attempt", "slurm_partition=x"]
    workflow = SimpleNamespace(
        executor_plugin=SimpleNamespace(name="slurm"),
        executor_settings=SimpleNamespace(partition_config="p.yaml", qos="long", reservation=None),
        execution_settings=SimpleNamespace(retries=2),
        resource_settings=SimpleNamespace(
            overwrite_threads={"a": Resource("_cores", 8)},
            overwrite_resources={"a": Resources.parse(given, allow_expressions=True)},
        ),
    )
    assert slurm_facts(workflow) == {
        "partitions": "p.yaml",
        "attempts": 3,
        "changes": {"a": {"threads": 8, "mem_mb": 5000, "runtime": 240}},
        "options": ["--qos=long"],
    }
    workflow.executor_plugin.name = "local"
    assert slurm_facts(workflow) is None


# torch

FOR_CPUS = {"build": None, "device": None, "error": "not compiled"}
FACTS = {"torch": "2.13.0", "build": "13.0", "driver": "580.1", "device": "H100", "error": None}


@pytest.mark.parametrize(
    ("facts", "device", "result", "remedy"),
    [
        ({}, "auto", OK, ""),
        (
            {"build": None, "device": None, "error": "not compiled"},
            "auto",
            FAIL,
            "Install the build",
        ),
        (FOR_CPUS, "cpu", OK, ""),
        ({"device": None, "error": "driver is too old"}, "cuda", FAIL, "Install the build"),
        ({"device": None, "driver": None, "error": "no GPU"}, "auto", FAIL, "saw no GPU"),
    ],
)
def test_torch_and_driver(facts, device, result, remedy):
    row = nodes.judged("torch", {**FACTS, **facts}, device)
    assert row.result is result
    assert remedy in row.remedy
    assert row.found.startswith("torch 2.13.0, built for")
    if result is FAIL:
        assert facts["error"] in row.found


def test_torch_on_this_machine(monkeypatch):
    monkeypatch.setattr(probe, "driver", lambda: None)
    monkeypatch.setattr(probe, "torch_facts", lambda: FACTS | {"device": None, "error": "none"})
    found = {device: next(nodes.local_torch(device)).result for device in ("auto", "cpu", "cuda")}
    assert found == {"auto": OK, "cpu": OK, "cuda": FAIL}
    monkeypatch.setattr(probe, "driver", lambda: "580.1")
    assert next(nodes.local_torch("auto")).result is FAIL


# Nodes; test_slurm.py sends jobs to real ones


@pytest.mark.parametrize(
    ("srun", "result", "found"),
    [
        ('while [ "$1" != "$PYTHON" ]; do shift; done; exec "$@"', OK, "reads and writes"),
        ("echo Unable to allocate resources: Requested nodes are busy >&2; exit 1", WARN, "free"),
        ("echo Unable to allocate resources: Invalid account >&2; exit 1", FAIL, "Invalid account"),
        ("echo execve: No such file or directory >&2; exit 2", FAIL, "No such file"),
        ("exit 0", FAIL, "no answer of its job"),
    ],
)
def test_job_on_a_node(tmp_path, monkeypatch, srun, result, found):
    program = tmp_path / "srun"
    program.write_text(f"#!/bin/sh\nPYTHON={sys.executable}\n{srun}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(nodes, "FILE_SECONDS", 0.1)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (row,) = nodes.nodes([CPU], [], "auto")
    assert (row.check, row.result) == ("a node of cpu", result)
    assert found in row.found
    assert bool(row.remedy) == (result is not OK)
    assert list((tmp_path / "work").iterdir()) == []
