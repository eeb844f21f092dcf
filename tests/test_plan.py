"""The plan of a run, its drawings, and what the README shows of them."""

import json
from pathlib import Path

import pytest
import yaml

import readme_parts
from nsdrecon.graph.plan import (
    Partition,
    PlannedJob,
    draw_files,
    draw_jobs,
    draw_rules,
    format_amount,
    longest_path,
    mermaid,
    partition_of,
    planned_jobs,
    rule_edges,
    rule_table,
    totals,
)
from nsdrecon.graph.rates import expected
from nsdrecon.graph.schedule import wall_time
from workflow_runs import ROOT

PARTITIONS = Partition.of_profile(
    yaml.safe_load((ROOT / "profiles/slurm/partitions.yaml").read_text())["partitions"]
)


def job(rule, inputs="", outputs="", **asked):
    facts = {
        "stage": "one",
        "label": "subject=subj01",
        "threads": 2,
        "mem_mb": 1000,
        "runtime": 30,
        "gpu": 0,
        "local": False,
        "benchmark": f"{rule}.tsv",
    }
    return PlannedJob(rule, inputs=(*inputs,), outputs=(*outputs,), **{**facts, **asked})


JOBS = [
    job("a", "", "x", runtime=60),
    job("b", "x", "y", gpu=1, stage="two", threads=4),
    job("c", "xy", "z"),
    job("d", "x", "w", local=True, runtime=0),
]


def test_arrows_that_a_longer_way_implies_are_left_out():
    assert rule_edges(JOBS) == [("a", "b"), ("a", "d"), ("b", "c")]


def test_arrows_of_rules_in_a_circle_stay():
    """Rules that serve two systems one after the other; no job waits for itself."""
    jobs = [job("gather", "a", "b"), job("draw", "b", "c"), job("gather", "c", "d")]
    assert rule_edges(jobs) == [("draw", "gather"), ("gather", "draw")]


def test_totals_are_sums_of_what_the_rules_ask_for(tmp_path):
    (tmp_path / "b.tsv").write_text("s\tmax_rss\n1800\t-\n")
    found = totals(JOBS, tmp_path)
    assert found["jobs"] == 4
    assert found["jobs_on_nodes"] == 3
    assert found["core_hours"] == pytest.approx(2 * 1 + 4 * 0.5 + 2 * 0.5)
    assert found["gpu_hours"] == pytest.approx(0.5)
    assert found["longest_path"] == "a → b → c"
    assert found["longest_path_h"] == pytest.approx(2)
    assert (found["jobs_measured"], found["gpu_hours_measured"]) == (1, pytest.approx(0.5))
    assert found["core_hours_measured"] == pytest.approx(2)


@pytest.mark.parametrize("n_gpus", [1, 2, 4, 8])
def test_shards_share_the_gpus(n_gpus):
    """Eight shards of 10 s between two CPU jobs of 1 s."""
    edges = [(0, shard) for shard in range(1, 9)] + [(shard, 9) for shard in range(1, 9)]
    seconds, gpus = [1, *[10] * 8, 1], [0, *[1] * 8, 0]
    assert wall_time(edges, seconds, gpus, n_gpus) == 2 + 80 / n_gpus
    # Too few shards leave GPUs idle.
    assert wall_time([], [40, 40], [1, 1], n_gpus) == 80 / min(n_gpus, 2)


def test_what_much_waits_for_starts_first():
    """On one GPU: the short job that a long CPU job waits for, then the others."""
    assert wall_time([(2, 3)], [5, 5, 2, 9], [1, 1, 1, 0], 1) == 12
    assert wall_time([], [5, 5], [1, 1], 1) == 10
    with pytest.raises(ValueError, match="2 GPUs, but there are 1"):
        wall_time([], [5], [2], 1)


def test_n_gpus_cut_the_run_by_about_n(full, tmp_path):
    """By the time limits of a full run, with the shards of its configuration."""
    found = totals(full, tmp_path)
    one = found["wall_h_1_gpu"]
    assert one >= found["gpu_hours"]
    for n_gpus in (2, 4, 8):
        assert one / found[f"wall_h_{n_gpus}_gpu"] > 0.9 * n_gpus


def test_expected_hours_follow_from_measured_rates_and_settings(full):
    config = {"shards": 2, "stage2": {"steps": 50, "strength": 0.74, "samples": 1}}
    # 500 images of Stable Diffusion at 3.36 a second, and the start of the job.
    (one,) = [
        job
        for job in full
        if job.label == "subject=subj01, system=sd-ddim, shard=1-of-2"
        and job.rule == "diffusion_images"
    ]
    assert expected([one], config)["gpu_hours_H100"] == pytest.approx((30 + 500 / 3.36) / 3600)
    twice = {**config, "stage2": {**config["stage2"], "steps": 100}}
    assert expected([one], twice)["gpu_hours_H100"] == pytest.approx((30 + 1000 / 3.36) / 3600)
    found = expected(full, config)
    assert found["gpu_hours_H100"] < found["gpu_hours_H100_limits"] / 10
    assert found["gpu_hours_H100_limits"] < totals(full, Path("/nowhere"))["gpu_hours"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1189, "1,189"), ("92.0", "92"), (1556.4, "1,556"), (0.023991, "0.024"), ("a → b", "a → b")],
)
def test_amounts_for_a_person(amount, text):
    assert format_amount(amount) == text


def test_longest_path_follows_the_cost():
    jobs = [job("a", "", "x"), job("b", "", "y"), job("c", "xy", "z")]
    assert longest_path(jobs, [1, 5, 1]) == [1, 2]
    assert longest_path(jobs, [6, 5, 1]) == [0, 2]


def test_table_has_a_row_a_rule_with_what_was_measured(tmp_path):
    (tmp_path / "a.tsv").write_text("s\tmax_rss\n12.5\t400.0\n")
    rows = {row["rule"]: row for row in rule_table(JOBS, PARTITIONS, tmp_path)}
    assert rows["a"]["median_s"] == 12.5
    assert rows["a"]["peak_mb"] == 400
    assert rows["b"]["median_s"] is None
    assert [rows[rule]["partition"] for rule in "abd"] == ["cpu", "gpu", "local"]


def test_drawings_need_no_display_and_mark_stages_and_gpus(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    svg = draw_rules(JOBS).decode()
    assert all(f">{text}</text>" in svg for text in ("a", "b", "c", "one", "two"))
    assert svg.count("#fbd3b0") == 1
    assert b"subj01" in draw_files([job("a", "", ["subj01.h5"])], "subj01")
    assert draw_jobs(JOBS, "subj01").count(b'<g id="node') == 4
    text = mermaid(JOBS)
    assert "subgraph stage_two[two]\n    b:::gpu\n  end" in text
    assert "a --> c" not in text


@pytest.fixture(scope="module")
def full():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return planned_jobs("workflow/Snakefile", config)


def test_every_job_of_a_full_run_finds_a_partition(full):
    for one in full:
        if one.outputs:
            assert partition_of(one, PARTITIONS) in {"cpu", "gpu", "local"}, one
            assert bool(one.gpu) == (partition_of(one, PARTITIONS) == "gpu"), one


def test_second_and_third_attempts_find_a_partition(full):
    """Memory and time grow with each of the attempts that the profile allows."""
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    for one in full:
        for attempt in range(2, profile["retries"] + 2):
            grown = {"mem_mb": one.mem_mb * attempt, "runtime": one.runtime * attempt}
            again = PlannedJob(**{**one.__dict__, **grown})
            assert partition_of(again, PARTITIONS) != "none", (one.rule, attempt)


def test_every_job_on_a_node_says_what_it_needs_and_is_measured(full):
    for one in full:
        if not one.local:
            assert one.benchmark, one.rule
            assert one.mem_mb >= 1000, one.rule
            assert one.runtime >= 5, one.rule


def test_stages_with_a_gpu_are_cut_into_shards(full):
    """N GPUs share the model stages of one subject: N jobs that wait for none of each other."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    cut = {one.rule for one in full if one.gpu and "shard=2-of" in one.label}
    assert cut == {"vdvae_latents", "features", "diffusion_images"}
    for rule in cut:
        own = [one for one in full if one.rule == rule and "subject=subj01" in one.label]
        own = [one for one in own if "shard=1-of-1" not in one.label]
        assert len(own) % config["shards"] == 0, rule
        made = {path for one in own for path in one.outputs}
        first = [one for one in own if one.label.endswith(f"shard=1-of-{config['shards']}")]
        assert len(first) * config["shards"] == len(own), rule
        assert not any(made & set(one.inputs) for one in own), rule


@pytest.mark.parametrize("page", readme_parts.PARTS)
def test_pages_show_what_is_written_from_the_code(page):
    """The graph, the table of reruns, the table of settings; ``make readme`` writes them."""
    assert readme_parts.written(page) == (ROOT / page).read_text()


def test_records_are_read_as_they_were_written():
    facts = json.loads(json.dumps({**JOBS[0].__dict__, "params": {}}))
    assert PlannedJob.from_mapping(facts) == JOBS[0]
