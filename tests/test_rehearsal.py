"""The rehearsal's own parts at small size: its server, its design, its settings, its table."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.rehearsal import data, server
from benchmarks.rehearsal.metrics import renamed
from benchmarks.rehearsal.settings import differences, overlay, whole_config
from benchmarks.rehearsal.usage import Usage, table, usage
from botocore.exceptions import ClientError

from nsdrecon.data.nsd import read_design, read_stimulus_table, split_ids, trial_table
from nsdrecon.errors import InputError
from nsdrecon.graph.plan import PlannedJob
from nsdrecon.metrics import configured_metrics
from nsdrecon.settings import complete_settings, read_schema
from nsdrecon.systems import registry
from nsdrecon.transfer import checksums
from nsdrecon.transfer.s3 import Bucket, download_s3
from workflow_runs import ROOT


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """Two objects, of several parts, one of them with holes; a third is not there."""
    monkeypatch.setattr(server, "PART", 1 << 16)
    folder = tmp_path / "bucket/a"
    folder.mkdir(parents=True)
    (folder / "whole").write_bytes(np.random.default_rng(0).bytes(200_000))
    with (folder / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"data")
        file.truncate(3 << 20)
    with server.FolderServer(tmp_path, {"a/gone": None, "a/other": folder / "whole"}) as serving:
        yield Bucket(server.BUCKET, endpoint=serving.url)


@pytest.mark.parametrize("name", ["whole", "sparse"])
def test_objects_are_fetched_whole_with_the_etag_of_their_parts(bucket, tmp_path, name):
    origin = tmp_path / "bucket/a" / name
    record = download_s3(bucket, f"a/{name}", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == origin.read_bytes()
    assert record.checksum == checksums.compute(origin, f"etag-{server.PART}")


def test_a_range_comes_alone_and_only_of_the_version_that_is_asked_for(bucket, tmp_path):
    etag = bucket.describe("a/whole").etag
    asked = {"Bucket": server.BUCKET, "Key": "a/whole", "Range": "bytes=10-19"}
    answer = bucket.client.get_object(**asked, IfMatch=f'"{etag}"')
    assert answer["Body"].read() == (tmp_path / "bucket/a/whole").read_bytes()[10:20]
    assert answer["ContentRange"] == "bytes 10-19/200000"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        bucket.client.get_object(**asked, IfMatch='"another"')


def test_an_object_can_be_missing_or_another(bucket):
    assert bucket.sizes(["a/other"]) == {"a/other": 200_000}
    for key in ("a/gone", "a/nothing"):
        with pytest.raises(InputError, match=rf"{key}: found NoSuchKey .* an object of this key"):
            bucket.sizes(["a/other", key])


def test_the_design_has_the_sizes_of_nsd_and_few_images_in_two_sessions(tmp_path):
    shown = data.write_design(tmp_path / "design.mat")
    design = read_design(tmp_path / "design.mat")
    assert (len(design.image_of_trial), design.nsd_id.shape) == (30_000, (8, 10_000))
    trials = trial_table(design, data.SUBJECT, data.SESSIONS)
    np.testing.assert_array_equal(trials["nsd_id"], shown)
    assert trials["session"].value_counts().to_dict() == {1: 750, 2: 750}
    assert len(split_ids(trials, "train")) == data.N_TRAIN
    test = trials[trials["split"] == "test"]["nsd_id"].value_counts()
    assert test.tolist() == [data.TEST_REPEATS] * data.N_TEST
    data.write_table(tmp_path / "table.csv", tmp_path / "design.mat")
    stimuli = read_stimulus_table(tmp_path / "table.csv")
    assert len(stimuli) == 73_000
    assert set(test.index) == set(stimuli["nsd_id"][stimuli["shared"]])


def test_settings_lower_counts_and_choose_places_only(tmp_path):
    """Apart from what some rules are not measured without, and clusters left out."""
    changes = overlay(tmp_path / "models", tmp_path / "nsd", "http://127.0.0.1:1", gpu=True)
    config, schema = whole_config(changes), ROOT / "workflow/schemas/config.schema.yaml"
    complete_settings(config, read_schema(schema, registry([])))
    scoring = configured_metrics(
        "brain-diffuser", config["evaluation"]["networks"], config["extensions"]
    )
    places = {
        "extensions",
        "nsd.terms_accepted",
        "nsd.s3.bucket",
        "nsd.s3.endpoint",
        "nsd.captions",
    }
    for key, full, own in differences(changes):
        if key == "evaluation.networks":
            published = {entry["name"] for entry in full}
            assert {renamed(name) for name in published} == {entry["name"] for entry in own}
            assert not published & {metric.name for metric in scoring}
        elif key == "stage2.samples":
            assert (full, own) == (1, 2)
        elif key.startswith("brain."):
            assert (full, own) == ([], [1])
        elif key == "evaluation.held_out":
            assert max(own) < config["evaluation"]["categories"]
        elif isinstance(own, list) and key != "extensions":
            assert set(own) <= set(full), key
        elif isinstance(own, int) and not isinstance(own, bool):
            assert own < full, key
        else:
            assert key in places or key.startswith("models."), key


def test_a_rule_that_takes_more_than_it_asks_for_is_a_fault(tmp_path):
    def job(rule, label, mem_mb=1000, runtime=1):
        benchmark = f"results/benchmarks/{rule}/{label}.tsv"
        asked = {"threads": 1, "mem_mb": mem_mb, "runtime": runtime, "gpu": 0, "local": False}
        return PlannedJob(rule, "stage", label, (), (label,), benchmark=benchmark, **asked)

    def finish(rule, label, seconds, peak, sampled):
        log = tmp_path / f"logs/{rule}/{label}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        said = f"INFO nsdrecon.{rule}: done in {seconds} s, peak memory {peak} MB"
        log.write_text(f"12:00:00 {said}\n", encoding="utf-8")
        if sampled:
            path = tmp_path / f"results/benchmarks/{rule}/{label}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"s\tmax_rss\n{seconds + 1}\t{sampled}\n", encoding="utf-8")

    jobs = [job("small", "a"), job("small", "b"), job("large", "a"), job("slow", "a", runtime=2)]
    jobs += [job("unbounded", "a", mem_mb=0, runtime=0), job("not_run", "a")]
    finish("small", "a", 10.0, 900, 990)
    finish("small", "b", 12.0, 995, None)
    finish("large", "a", 10.0, 1001, 400)
    finish("slow", "a", 119.5, 10, 20)
    finish("unbounded", "a", 9999.0, 99_999, None)
    rows = usage(jobs, tmp_path)
    assert rows[0] == Usage("small", (2, 2), 12.0, 995.0, 1000, 1)
    assert [row.rule for row in rows] == ["small", "large", "slow", "unbounded"]
    faults = [fault for row in rows for fault in row.faults]
    assert faults == ["large: 1001 MB, asks for 1000", "slow: 120 s, asks for 2 minutes"]
    assert list(table(rows))[1].split() == ["small", "2/2", "995", "1000", "12.0", "1"]
