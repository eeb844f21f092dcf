"""The rules that fetch models, against a real HTTPS server."""

import hashlib

import pytest

from nsdrecon.transfer.catalogue import FILES
from nsdrecon.transfer.manifest import read_manifest
from s3_server import BUCKET, FaultProxy, make_certificate, shared_server
from workflow_runs import copy_project, snakemake

MODEL = FILES["swav"]
TARGET = f"resources/models/swav/{MODEL.name}"
KEY = f"weights/{MODEL.name}"
WEIGHTS = bytes(range(256)) * 500


@pytest.fixture
def host(tmp_path, monkeypatch):
    """An HTTPS server."""
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with FaultProxy(shared_server().port, certificate) as proxy:
        yield f"{proxy.url}/{BUCKET}"


@pytest.fixture
def project(tmp_path, host):
    """A project whose catalogue names this server."""
    project = copy_project(tmp_path / "project")
    catalogue = project / "workflow/scripts/nsdrecon/transfer/catalogue.py"
    text = catalogue.read_text()
    catalogue.write_text(text.replace(MODEL.url, f"{host}/{KEY}"))
    assert catalogue.read_text() != text
    return project


def test_file_that_is_gone_is_brought_or_comes_from_a_mirror_and_its_first_checksum_stays(
    project, host
):
    assert MODEL.sha256 is None
    server, path = shared_server(), project / TARGET
    checksum = f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
    server.client.delete_object(Bucket=BUCKET, Key=KEY)
    done = snakemake(project, TARGET)
    assert done.returncode != 0
    assert f"put it at {path}" in done.stderr

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WEIGHTS)
    done = snakemake(project, f"{TARGET}.record.tsv")
    assert done.returncode == 0, done.stderr
    (record,) = read_manifest(f"{path}.record.tsv")
    assert (record.file, record.checksum) == (TARGET, checksum)
    assert path.read_bytes() == WEIGHTS

    path.unlink()
    server.put(KEY, WEIGHTS[::-1])
    done = snakemake(project, TARGET)
    assert done.returncode != 0
    assert f"another checksum; expected {checksum}" in done.stderr
    assert not path.exists()

    server.put(f"mirror/{KEY}", WEIGHTS)
    mirrors = {"downloads": {"mirrors": {"swav": [f"{host}/mirror/{KEY}"]}}}
    done = snakemake(project, TARGET, overlays=("config/demo.yaml", mirrors))
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == WEIGHTS
    (record,) = read_manifest(f"{path}.record.tsv")
    assert (record.source, record.checksum) == (f"{host}/mirror/{KEY}", checksum)


def test_unknown_model_is_answered_with_the_known_ones(project):
    done = snakemake(project, "resources/models/mine/mine.pth")
    assert done.returncode != 0
    assert "found mine/mine.pth; expected a file of your own or vdvae/imagenet64" in done.stderr
