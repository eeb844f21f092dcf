"""A run by the schema's defaults, and the rules that fetch its data set from a real S3 server."""

import os
import re
import signal
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from minimal_runs import SIMULATION, minimal_project
from nsdrecon import layout
from nsdrecon.store import read_table
from nsdrecon.transfer import checksums
from nsdrecon.transfer.manifest import read_manifest
from s3_server import BUCKET, FaultProxy, S3Server
from slurm_cluster import wait_until
from workflow_runs import copy_project, snakemake, started

FAULTS = Path(__file__).parent / "support/faults"
SUBJECT = "subj01"
MANIFEST = "results/demo/data/manifest.tsv"
PART = 1 << 14
# Where a simulation writes, and where what is fetched lies.
SIMULATED_ROOT, ROOT = "resources/simulated/demo", "resources/nsd"
MASK, NCSNR = layout.roi_key(SUBJECT), layout.ncsnr_key(SUBJECT)
SESSION = layout.betas_key(SUBJECT, 1, extension="hdf5")
RESULTS = [
    f"results/demo/{SUBJECT}/trials.tsv",
    f"results/demo/{SUBJECT}/betas/train.h5",
    f"results/demo/{SUBJECT}/betas/test.h5",
    f"results/demo/{SUBJECT}/stimuli/train.h5",
    "results/demo/stimuli/test.h5",
]
SIMULATED = {
    "subjects": [1],
    "systems": ["vdvae"],
    "oracles": [],
    "evaluation": {"categories": None, "holdout": []},
    "brain": {"maps": [], "regions": [], "correlation": [], "pictures": []},
    "simulation": SIMULATION,
}
# What the README tells to run beside a cluster; after a kill the same, first with --unlock.
PROFILE = ("--profile", "profiles/local")


def remote(endpoint, **nsd):
    """The same run, with the data set on a server."""
    s3 = {"bucket": BUCKET, "endpoint": endpoint}
    found = {"source": "s3", "terms_accepted": True, "s3": s3, "sessions": [1], "format": "hdf5"}
    return {**SIMULATED, "nsd": {**found, "volumes": "whole", **nsd}}


def run(project, *arguments, config):
    return snakemake(project, *PROFILE, *arguments, overlays=("config/demo.yaml", config))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A whole run by the schema's defaults, which made its data set itself and keeps it."""
    project = minimal_project(tmp_path_factory.mktemp("simulated") / "project")
    overlays = ("config/config.yaml",)  # instead of the demo's
    done = snakemake(project, "--profile", "profiles/demo", "--notemp", overlays=overlays)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture(scope="module")
def server(simulated):
    """An S3 server that has this data set."""
    server = S3Server()
    root = simulated / SIMULATED_ROOT
    for folder in ("nsddata", "nsddata_betas", "nsddata_stimuli"):
        for path in (root / folder).rglob("*.*"):
            server.put(path.relative_to(root).as_posix(), path.read_bytes(), part_size=PART)
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path / "project")


def original(simulated, key):
    """The bytes of a file that the simulation wrote."""
    return (simulated / SIMULATED_ROOT / key).read_bytes()


def assert_same(one, other, names=RESULTS):
    for name in names:
        if name.endswith(".tsv"):
            pd.testing.assert_frame_equal(read_table(one / name), read_table(other / name))
            continue
        with h5py.File(one / name) as a, h5py.File(other / name) as b:
            assert set(a) == set(b), name
            assert a.attrs.get("n_stimuli") == b.attrs.get("n_stimuli"), name
            for key in a:
                np.testing.assert_array_equal(a[key][()], b[key][()], err_msg=f"{name}:{key}")


def test_required_settings_alone_lead_to_the_tables_and_the_report(simulated):
    """Without categories and without networks, which are the schema's defaults."""
    metrics = read_table(simulated / "results/demo/tables/metrics.tsv")
    assert set(metrics["metric"]) == {"PixCorr", "SSIM"}
    assert {"vdvae", "shuffled-vdvae", "mean-image", "flat-grey"} <= set(metrics["system"])
    assert (metrics["n_images"] == SIMULATION["n_shared"]).all()
    assert not list(simulated.glob("results/demo/*/categories.tsv"))
    assert "VDVAE (stage 1)" in (simulated / "results/demo/report.html").read_text()


def test_downloaded_data_set_gives_what_the_simulated_one_gives(simulated, server, project):
    with FaultProxy(server.port) as proxy:
        config = remote(proxy.url)
        done = run(project, "doctor", config=config)
        assert done.returncode == 0, done.stderr
        assert re.search(r"NSD's bucket +ok .* 5 objects are still", done.stderr)
        assert re.search(r"fetch, subj01 +ok +4 of 4 files; 0\.\d+ GB will travel", done.stderr)
        assert not (project / "resources").exists()
        proxy.faults.extend(["ok", "cut", "slowdown", "reset"])
        done = run(project, *RESULTS, "results/demo/data/manifest.tsv", config=config)
        assert done.returncode == 0, done.stderr
        assert_same(simulated, project)
        # Voxels are cut out: the volume is gone, its record is not, and nothing is fetched again.
        root = project / ROOT
        assert not (root / SESSION).exists()
        assert not (root / layout.STIMULI).exists()
        records = {record.source: record for record in read_manifest(project / MANIFEST)}
        for key in (layout.DESIGN, MASK, NCSNR, SESSION):
            assert records[f"s3://{BUCKET}/{key}"].checksum.startswith("etag-")
        gets = proxy.gets
        done = run(project, *RESULTS, "verify_data", config=config)
        assert done.returncode == 0, done.stderr
        assert proxy.gets == gets

    damaged = root / MASK
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    done = run(project, "verify_data", config=config)
    assert done.returncode != 0
    assert f"1 damaged files: {ROOT}/{MASK}" in done.stderr


def test_whole_stimulus_file_gives_the_same(simulated, server, project):
    config = remote(server.url, stimuli="whole", keep_raw=True)
    done = run(project, *RESULTS, config=config)
    assert done.returncode == 0, done.stderr
    assert_same(simulated, project)
    for key in (SESSION, layout.STIMULI):
        assert (project / ROOT / key).read_bytes() == original(simulated, key)


def test_voxels_by_ranges_give_the_same(simulated, server, project):
    config = remote(server.url, volumes="ranges")
    betas = [name for name in RESULTS if "/betas/" in name]
    done = run(project, "doctor", config=config)
    assert done.returncode == 0, done.stderr
    assert "is an estimate (2 times them)" in done.stderr
    done = run(project, *betas, config=config)
    assert done.returncode == 0, done.stderr
    assert "whole volume" not in done.stderr
    assert_same(simulated, project, betas)
    (voxels,) = (project / f"results/demo/{SUBJECT}/betas/sessions").glob("*.h5")
    (record,) = read_manifest(f"{voxels}.record.tsv")
    assert record.source == f"s3://{BUCKET}/{SESSION}"
    assert project / record.file == voxels
    assert checksums.matches(voxels, record.checksum)
    assert {file.name for file in voxels.parent.iterdir()} == {"01.h5", "01.h5.record.tsv"}
    assert list(project.glob("resources/**/betas_session*")) == []


def test_copy_that_is_there_already_is_used_and_left_as_it_is(simulated, project):
    root = simulated / SIMULATED_ROOT
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    here = {"source": "local", "root": str(root), "sessions": [1], "format": "hdf5"}
    config = {**SIMULATED, "nsd": here}
    done = run(project, *RESULTS, config=config)
    assert done.returncode == 0, done.stderr
    assert_same(simulated, project)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_killed_run_goes_on_where_it_was(simulated, server, project):
    target = f"{ROOT}/{layout.STIMULI}"
    whole = original(simulated, layout.STIMULI)
    path = project / target
    journal = path.with_name(f".partial-{path.name}.journal")
    with FaultProxy(server.port, rate=len(whole) / 10) as proxy:
        config = remote(proxy.url, stimuli="whole")
        process = started(project, *PROFILE, target, overlays=("config/demo.yaml", config))
        wait_until(
            lambda: journal.exists() and len(journal.read_text().splitlines()) >= 10,
            "ten lines of the journal",
            300,
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not path.exists()
        there = len(journal.read_text().splitlines()) - 1
        proxy.sent, proxy.rate = 0, None
        assert run(project, "--unlock", config=config).returncode == 0
        done = run(project, target, config=config)
        assert done.returncode == 0, done.stderr
    assert path.read_bytes() == whole
    assert proxy.sent <= len(whole) - there * PART + PART


def stopped_at(project, proxy, fault):
    """A run that fetches a volume, and has come to a fault; what it fetches."""
    config = remote(proxy.url)
    config["nsd"]["keep_raw"] = True
    target = f"{ROOT}/{SESSION}"
    (project / "fault.txt").write_text(f"{fault} {target}")
    overlays = ("config/demo.yaml", config)
    process = started(project, *PROFILE, target, overlays=overlays, PYTHONPATH=str(FAULTS))
    wait_until((project / "waiting").exists, "waiting job", 300)
    return process, config, target


def assert_nothing_is_fetched_again(simulated, project, proxy, config, target):
    proxy.gets = 0
    assert run(project, "--unlock", config=config).returncode == 0
    done = run(project, target, config=config)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stderr
    assert proxy.gets == 0
    path = project / target
    assert path.read_bytes() == original(simulated, SESSION)
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.record.tsv"}


def test_file_that_got_its_name_just_before_a_kill_is_kept(simulated, server, project):
    with FaultProxy(server.port) as proxy:
        process, config, target = stopped_at(project, proxy, "named")
        assert (project / target).exists()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert_nothing_is_fetched_again(simulated, project, proxy, config, target)


def test_file_that_is_finished_after_snakemake_was_killed_is_kept(simulated, server, project):
    with FaultProxy(server.port) as proxy:
        process, config, target = stopped_at(project, proxy, "wait")
        process.kill()
        process.wait()
        assert not (project / target).exists()
        (project / "released").touch()
        process.communicate()  # ends when the job does
        assert (project / target).exists()
        assert_nothing_is_fetched_again(simulated, project, proxy, config, target)


def test_nothing_is_asked_of_the_server_before_the_terms_are_accepted(server, project):
    with FaultProxy(server.port) as proxy:
        config = remote(proxy.url, terms_accepted=False)
        done = run(project, *RESULTS, config=config)
        assert done.returncode != 0
        assert "nsd.terms_accepted: found False; expected true" in done.stderr
        assert "data access form" in done.stderr
        assert "Error in rule" not in done.stderr, "a job was started"
        assert proxy.headers == []


DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.mark.parametrize(
    ("answer", "nsd", "remedy"),
    [
        ((403, {"Content-Type": "application/xml"}, DENIED), {}, "Requests were not signed"),
        (None, {"betas": "betas_assumehrf"}, "Check subject, session, betas and format"),
        (None, {"s3": {"bucket": "elsewhere"}}, "Check s3.bucket and s3.endpoint"),
    ],
    ids=["403", "404", "bucket"],
)
def test_lasting_faults_fail_at_once_with_key_and_remedy(server, project, answer, nsd, remedy):
    with FaultProxy(server.port) as proxy:
        proxy.answer = answer
        config = remote(proxy.url, **nsd)
        config["nsd"]["s3"]["endpoint"] = proxy.url
        version = nsd.get("betas", "betas_fithrf_GLMdenoise_RR")
        key = layout.betas_key(SUBJECT, 1, version, extension="hdf5")
        done = run(project, f"{ROOT}/{key}", config=config)
        requests = len(proxy.headers)
    assert done.returncode != 0
    assert f"/{key}: found" in done.stderr
    assert remedy in done.stderr
    # A HEAD, and the GET that says why: such a fault lasts, so nothing is asked for again.
    assert requests == 2
