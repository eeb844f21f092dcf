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
def project(tmp_path, monkeypatch):
    """A project whose catalogue names a server of this test."""
    certificate = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = shared_server()
    project = copy_project(tmp_path / "project")
    catalogue = project / "workflow/scripts/nsdrecon/transfer/catalogue.py"
    with FaultProxy(server.port, certificate) as proxy:
        text = catalogue.read_text()
        catalogue.write_text(text.replace(MODEL.url, f"{proxy.url}/{BUCKET}/{KEY}"))
        assert catalogue.read_text() != text
        yield project


def test_checksum_of_the_first_download_is_expected_of_the_next(project):
    assert MODEL.sha256 is None
    server, path = shared_server(), project / TARGET
    server.put(KEY, WEIGHTS)
    done = snakemake(project, TARGET)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == WEIGHTS
    checksum = f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
    (record,) = read_manifest(f"{path}.record.tsv")
    assert (record.file, record.checksum) == (TARGET, checksum)

    path.unlink()
    server.put(KEY, WEIGHTS[::-1])
    done = snakemake(project, TARGET)
    assert done.returncode != 0
    assert f"expected {checksum}" in done.stderr
    assert not path.exists()

    server.put(KEY, WEIGHTS)
    done = snakemake(project, TARGET)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == WEIGHTS


def test_unknown_model_is_answered_with_the_known_ones(project):
    done = snakemake(project, "resources/models/mine/mine.pth")
    assert done.returncode != 0
    assert "found mine/mine.pth; expected a file of your own or vdvae/imagenet64" in done.stderr
