"""Each check before a run finds what it is for, and says what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections import namedtuple
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from nsdrecon import layout
from nsdrecon.doctor import amounts, checks, findings, intact, sources
from nsdrecon.doctor.amounts import Needs
from nsdrecon.doctor.findings import Finding, Result
from nsdrecon.errors import InputError
from nsdrecon.transfer import weights
from nsdrecon.transfer.catalogue import FILES, ModelFile
from nsdrecon.transfer.guards import TERMS_OF_USE
from nsdrecon.transfer.manifest import record_of
from nsdrecon.transfer.plan import Planned
from nsdrecon.transfer.s3 import Bucket
from s3_server import BUCKET, FaultProxy, free_port, make_certificate, shared_server
from small_nsd import design_variables, write_design
from workflow_runs import ROOT, copy_project, snakemake

OK, WARN, FAIL, SKIPPED = Result.OK, Result.WARN, Result.FAIL, Result.SKIPPED


def results(rows):
    return [(row.check, row.result) for row in rows]


# The table


def test_table_has_every_row_and_below_it_what_to_do():
    rows = [
        Finding("disk", OK, "much"),
        Finding("NSD's terms", FAIL, "word " * 40, "accept them at https://long-address.org/terms"),
    ]
    lines = findings.table(rows).splitlines()
    assert lines[1].split() == ["disk", "ok", "much"]
    assert lines[2].startswith("NSD's terms  fail")
    assert lines[-1].strip() == "→ accept them at https://long-address.org/terms"
    assert max(map(len, lines)) <= 100


def test_check_that_ends_with_an_error_is_a_row_of_what_to_do():
    def look(source):
        yield Finding("first", OK, "seen")
        raise InputError(source, found="this", expected="that", remedy="Mend it.")

    assert findings.examined("second", look, "file.h5") == [
        Finding("first", OK, "seen"),
        Finding("second", FAIL, "file.h5: found this; expected that", "Mend it."),
    ]
    assert findings.examined("third", lambda: 1 / 0)[0].result is FAIL


# Where files come from


def test_terms():
    assert results(findings.examined("terms", sources.terms, True)) == [("NSD's terms", OK)]
    (row,) = findings.examined("terms", sources.terms, False)
    assert row.result is FAIL
    assert TERMS_OF_USE in row.remedy


def test_nothing_is_asked_of_the_bucket_before_the_terms_are_accepted():
    with FaultProxy(free_port()) as proxy:
        server = {"s3": {"bucket": BUCKET, "endpoint": proxy.url}, "terms_accepted": False}
        rows = checks.bucket("NSD", server, Needs("r", {"all": ["r/x"]}, {}, {}, {}, {}), [])
        assert results(rows) == [("NSD's terms", FAIL), ("NSD's bucket", SKIPPED)]
        assert proxy.headers == []


@pytest.fixture(scope="module")
def server():
    server = shared_server()
    for key in ("doctor/a", "doctor/b"):
        server.put(key, b"x" * 100)
    return server


def test_objects_that_can_be_read(server):
    row, readable = sources.objects(Bucket(BUCKET, endpoint=server.url), ["doctor/a", "doctor/b"])
    assert row.result is OK
    assert readable == {"doctor/a", "doctor/b"}
    assert sources.objects(Bucket(BUCKET, endpoint=server.url), [])[0].result is SKIPPED


def test_every_object_that_is_missing_is_named(server):
    keys = ["doctor/a", "doctor/session01", "doctor/session02"]
    row, readable = sources.objects(Bucket(BUCKET, endpoint=server.url), keys)
    assert row.result is FAIL
    assert "2 of 3 objects cannot be read: doctor/session01, doctor/session02" in row.found
    assert "Check subject, session, betas and format" in row.remedy
    assert readable == {"doctor/a"}


def test_bucket_that_refuses_or_is_out_of_reach(server, monkeypatch):
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with FaultProxy(server.port) as proxy:
        proxy.answer = (403, {"Content-Type": "application/xml"}, denied)
        row, readable = sources.objects(Bucket(BUCKET, endpoint=proxy.url), ["doctor/a"])
    assert (row.result, readable) == (FAIL, set())
    assert "Requests were not signed" in row.remedy
    monkeypatch.setattr(sources, "PATIENCE", 0.1)
    nobody = Bucket(BUCKET, endpoint=f"http://127.0.0.1:{free_port()}")
    row, readable = sources.objects(nobody, [f"doctor/{number}" for number in range(50)])
    assert (row.result, readable) == (FAIL, set())
    assert "nothing arrived" in row.found
    assert "HTTPS_PROXY" in row.remedy


def test_files_of_models(server, tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FaultProxy(server.port, certificate) as proxy:
        for name, key in {"swav": "doctor/a", "vdvae": "doctor/gone"}.items():
            monkeypatch.setitem(FILES, name, ModelFile(f"{proxy.url}/{BUCKET}/{key}"))
        paths = ["resources/models/swav/a", "resources/models/vdvae/b"]
        rows, planned = sources.models(paths, {})
    assert results(rows) == [("source of swav", OK), ("source of vdvae", FAIL)]
    assert "HTTP 404" in rows[1].found
    assert "get this file by other means" in rows[1].remedy
    assert planned == [Planned("models", paths[0], 100, 100)]
    assert results(sources.models([], {})[0]) == [("sources of models", SKIPPED)]


class GatedHub(BaseHTTPRequestHandler):
    """Shows everybody the list of a repository, and nobody its files."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        listed = "/tree/" in self.path
        entry = {"type": "file", "path": "config.json", "size": 3, "oid": "0" * 40}
        body = json.dumps([entry]).encode() if listed else b""
        self.send_response(200 if listed else self.server.refusal[0])
        if not listed:
            self.send_header("X-Error-Code", self.server.refusal[1])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        """Not on the screen."""


@pytest.mark.parametrize(
    ("refusal", "remedy"), [((403, "GatedRepo"), "hf auth login"), ((401, ""), "Check token")]
)
def test_gated_repository(monkeypatch, refusal, remedy):
    monkeypatch.setattr(weights.constants, "HF_HUB_OFFLINE", False)
    with FaultProxy(0, handler=GatedHub) as hub:
        hub.refusal = refusal
        repository = ("lab/model", "0123456789" * 4, ("*.json",))
        assert len(weights.list_hub(*repository, endpoint=hub.url)) == 1
        with pytest.raises(InputError) as error:
            weights.require_hub(*repository, endpoint=hub.url)
    assert remedy in error.value.remedy


def test_repository_is_asked_for_its_files(monkeypatch):
    def gated(repository, *_):
        raise InputError(repository, found="a gated repository", expected="an account")

    monkeypatch.setattr(sources, "require_hub", gated)
    rows, planned = sources.models(["resources/models/stable-diffusion-v1-4"], {})
    assert results(rows) == [("source of stable-diffusion-v1-4", FAIL)]
    assert planned == []


def test_local_copy(tmp_path):
    (tmp_path / "design.mat").touch()
    files = {
        "all subjects": [str(tmp_path / "design.mat")],
        "subj01": [str(tmp_path / "mask.nii.gz"), str(tmp_path / "session01.nii.gz")],
    }
    rows = findings.examined("local copy", sources.local_files, str(tmp_path), files)
    assert results(rows) == [("local copy, all subjects", OK), ("local copy, subj01", FAIL)]
    assert "2 of 2 files are not there" in rows[1].found
    assert "session01.nii.gz" in rows[1].found
    (row,) = findings.examined("local copy", sources.local_files, str(tmp_path / "no"), files)
    assert (row.result, "nsd.root" in row.found) == (FAIL, True)


# How much, and where to


def test_amounts_of_what_is_not_here_yet(server, tmp_path, monkeypatch):
    """Images by ranges are counted with a design that is not here, and does not stay here."""
    monkeypatch.chdir(tmp_path)
    server.put("plan/session1", b"x" * 1000)
    server.put("plan/session2", b"x" * 1000)
    variables = design_variables([1, 2, 5, 5, 6, 1], [3, 3], np.arange(1, 9)[None], 2)
    server.upload(layout.DESIGN, write_design(tmp_path / "design.mat", **variables))
    needs = Needs(
        root="nsd",
        files={
            "all subjects": [f"nsd/{layout.DESIGN}"],
            "subj01": ["train.h5", "nsd/plan/session1", "nsd/plan/session2"],
        },
        keys={"train.h5": layout.STIMULI},
        images={"train.h5": ("subj01", [1, 2])},
        ranges={},
        voxels={f"nsd/plan/session{n}": (f"voxels{n}.h5", 50) for n in (1, 2)},
    )
    (tmp_path / "voxels1.h5").touch()
    seen = {}

    def nsd_plan(bucket, root, files, images, *_):
        seen.update(files=files, images=images)
        return [Planned("subj01", "voxels2.h5", 1000, 50)]

    monkeypatch.setattr(amounts, "nsd_plan", nsd_plan)
    readable = {"plan/session2", layout.STIMULI, layout.DESIGN}
    bucket = Bucket(BUCKET, endpoint=server.url)
    planned = amounts.nsd_downloads(bucket, needs, readable, tmp_path / "aside")
    assert seen["files"]["subj01"] == ["train.h5", "nsd/plan/session2"]
    assert seen["images"] == {"train.h5": 2}  # images 5 and 6; 1 and 2 are shared
    assert not (tmp_path / "nsd").exists()
    assert planned == [Planned("subj01", "voxels2.h5", 1000, 50)]


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "result"), [(60e9, OK), (20e9, WARN), (5e9, FAIL)], ids=["room", "raw", "full"]
)
def test_disks(tmp_path, monkeypatch, free, result):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 0, free))
    planned = [
        Planned("models", "resources/models/m", 6_000_000_000, 6_000_000_000),
        Planned("subj01", "results/voxels.h5", 40_000_000_000, 1_000_000_000),
    ]
    raw = {"results/voxels.h5": "resources/nsd/session.nii.gz"}
    (row,) = amounts.disks(["results", "resources"], planned, raw, [], 0)
    assert row.result is result
    assert "downloads that stay take 7.0, files on their way 40.0 more" in row.found
    assert bool(row.remedy) == (result is not OK)


def test_images_by_ranges_are_there_twice_for_a_moment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100e9, 0, 7e9))
    planned = [Planned("subj01", "train.h5", 5_000_000_000, 5_000_000_000)]
    (row,) = amounts.disks(["results"], planned, {}, {"train.h5": ("subj01", [1])}, 0)
    assert row.result is WARN
    assert "downloads that stay take 5.0, files on their way 5.0 more" in row.found


def test_disk_with_unknown_sizes_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    needs = Needs("nsd", {"subj01": ["nsd/a", "nsd/b"]}, {}, {}, {}, {})
    planned = [Planned("subj01", "nsd/a", 1_000_000, 1_000_000)]
    rows = list(checks.room(needs, {}, planned, "results"))
    assert results(rows) == [("to fetch, subj01", OK), ("disk of results, resources, nsd", WARN)]
    assert rows[0].found == "2 of 2 files; 0.001 GB will travel, 0.001 GB stay; 1 of unknown size"
    assert "and so do 1 files of unknown size" in rows[1].found


# What is here


@pytest.fixture
def fetched(tmp_path):
    """Three files with their records."""
    tables = []
    for name, size in {"small": 10, "middle": 100, "large": 1000}.items():
        path = tmp_path / name
        path.write_bytes(b"x" * size)
        tables.append(f"{path}.record.tsv")
        record_of(path, "elsewhere", table=tables[-1])
    return tables


def downloads(tables, temporary=()):
    (row,) = intact.downloads([*tables, "not/yet.tsv"], temporary)
    return row


def test_whole_downloads(fetched, tmp_path):
    assert downloads(fetched).result is OK
    assert downloads([]).result is SKIPPED
    (tmp_path / "middle").unlink()
    assert downloads(fetched, [str(tmp_path / "middle")]).result is OK


@pytest.mark.parametrize("damage", [b"x" * 99, b"x" * 99 + b"y", None], ids=["cut", "bit", "gone"])
def test_damaged_downloads(fetched, tmp_path, damage):
    path = tmp_path / "middle"
    path.write_bytes(damage) if damage else path.unlink()
    row = downloads(fetched)
    assert row.result is FAIL
    assert f"1 of 3 files are damaged: {path}" in row.found
    assert "Remove them" in row.remedy


def test_large_downloads_are_compared_by_size(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr(intact, "READ_AT_MOST", 200)
    large = tmp_path / "large"
    large.write_bytes(b"y" * 1000)
    row = downloads(fetched)
    assert row.result is OK
    assert "3 files have their sizes, 2 of them were read" in row.found
    assert "verify_data" in row.remedy
    large.write_bytes(b"y" * 999)
    assert downloads(fetched).result is FAIL
    large.unlink()
    assert downloads(fetched).result is FAIL


def test_files_of_ones_own(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("weights")
    missing = tmp_path / "missing.th"
    assert [row.result for row in intact.own_files("vdvae", [str(path)])] == [OK]
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    rows = list(intact.own_files("vdvae", [str(path), str(missing)]))
    assert [row.result for row in rows] == [FAIL, FAIL]
    assert "no file" in rows[0].found
    assert "git lfs pull" in rows[1].remedy


@pytest.mark.parametrize("lost", ["unet", "vae/diffusion_pytorch_model.safetensors", None])
def test_folder_of_ones_own_has_all_parts(tmp_path, lost):
    folder = tmp_path / "sd"
    shutil.copytree(ROOT / "workflow/demo_models/stable-diffusion", folder)
    if lost:
        part = folder / lost
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    loader = "nsdrecon.diffusion.stable_diffusion:StableDiffusion"
    arguments = ("stable_diffusion", [str(folder)], loader)
    (row,) = findings.examined("parts", intact.own_folders, *arguments)
    assert row.result is (FAIL if lost else OK)
    if lost:
        assert lost.partition("/")[0] in row.found
        assert "Copy the folder again" in row.remedy


# The target


def test_table_names_all_that_is_missing(tmp_path):
    """Every check is done, once, and the exit status says that some failed."""
    project = copy_project(tmp_path / "project")
    folder = "workflow/demo_models/stable-diffusion"
    shutil.rmtree(project / folder / "unet")
    overlays = (
        "config/demo.yaml",
        {"nsd": {"source": "s3", "volumes": "whole", "captions": "mine.npy"}},
    )
    arguments = ("--profile", "profiles/demo", "--retries", "2", "doctor")
    done = snakemake(project, *arguments, overlays=overlays)
    assert done.returncode != 0
    assert done.stderr.count("before anything is queued") == 1
    assert "Traceback" not in done.stderr
    log = (project / "logs/demo/doctor.log").read_text()
    for text in (done.stderr, log):
        for row in (
            r"NSD's terms +fail +nsd.terms_accepted: found False",
            r"NSD's bucket +skipped",
            r"disk of results/demo, resources +warn",
            r"downloads, here +skipped",
            r"vdvae, brought +ok",
            r"stable_diffusion, its parts +fail",
            r"networks, its parts +ok",
            r"captions, brought +fail",
            r"SLURM +skipped",
            r"torch on this machine +ok",
        ):
            assert re.search(row, text), row
