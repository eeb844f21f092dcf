"""The workflow on a real SLURM: every rule, through ``snakemake --profile slurm``."""

import shutil
import subprocess

import h5py
import numpy as np
import pytest
import yaml

from job_graph import planned_jobs
from slurm_cluster import cluster_or_skip
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
    command = snakemake_command(project, overlays=OVERLAYS)
    return planned_jobs(project, command[command.index("--configfile") + 1 :])


def on_cluster(project, *arguments, overlays=OVERLAYS):
    command = snakemake_command(project, "--profile", "slurm", *FAST, *arguments, overlays=overlays)
    done = subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-6000:]


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
    logs = {path.stem for path in (project / "logs/slurm").rglob("*.log")}
    assert {record.job for record in records} <= logs


def test_shards_share_the_gpus(cluster, tiny, tmp_path):
    """Four shards of one stage ran at one moment, each with one of the four GPUs for itself."""
    project = tmp_path / "project"
    shutil.copytree(tiny, project, symlinks=True)
    target = "results/subj01/latents/vdvae/train.h5"
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
