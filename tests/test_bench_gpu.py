"""The rows of `benchmarks.bench_gpu` of its own, on the CPU with models of a few weights."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from benchmarks import bench_diffusion, bench_gpu, bench_vdvae


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few steps, and a peak that is not measured."""
    monkeypatch.setattr(bench_diffusion, "STEPS", 4)
    monkeypatch.setattr(bench_vdvae, "peak_rate", lambda _device, _precision: 1e12)


@pytest.mark.parametrize("backbone", bench_gpu.BACKBONES)
def test_stage_2_has_a_line_for_each_batch(sd_folder, vd_folder, capsys, backbone):
    folder = sd_folder if backbone == "stable-diffusion" else vd_folder
    bench_gpu.stage2(backbone, folder, "cpu", "float32", batches=(2, 1))
    lines = capsys.readouterr().out.splitlines()
    rates = [float(line[32:42]) for line in lines if re.match("batch|diffusers", line)]
    assert len(rates) == (3 if backbone == "stable-diffusion" else 2)
    assert min(rates) > 0
    assert "of the bytes differ" in lines[-1]


def test_images_that_depend_on_their_batch_are_noticed():
    def by_place(rows, batch):
        return np.array([[index % batch] for index in range(len(rows))], dtype=np.uint8)

    def by_number(rows, batch):
        return np.full((len(rows), 1), len(rows), dtype=np.uint8)

    with pytest.raises(SystemExit, match="promised"):
        bench_gpu._same_images(by_place, 4)
    with pytest.raises(SystemExit, match="how many others"):
        bench_gpu._same_images(by_number, 4)


def test_a_step_is_measured_in_every_variant(sd_folder, capsys, monkeypatch):
    # A C++ compiler would take minutes.
    monkeypatch.setattr(torch, "compile", lambda network, **_options: network)
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    bench_gpu.unet_step("stable-diffusion", sd_folder, "cpu", "float32", batch=2)
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line[:40].strip() for line in lines] == list(bench_gpu.VARIANTS)
    assert all(float(line.split()[-1]) < 1e-4 for line in lines)


def test_features_have_a_rate(vd_folder, capsys):
    bench_gpu.clip_features(vd_folder, "cpu", batch=2, n_batches=1)
    assert re.findall(r"^\w+", capsys.readouterr().out, re.MULTILINE) == ["pictures", "captions"]


def test_without_a_gpu_it_says_so_and_ends(monkeypatch, capsys):
    monkeypatch.setattr(bench_gpu, "found_device", lambda: "cpu")
    assert bench_gpu.main([]) == 0
    assert capsys.readouterr().out == "no GPU here: nothing is measured\n"


@pytest.mark.parametrize(
    ("program", "limit", "failed"),
    [("", 180, False), ("raise SystemExit(3)", 180, True), ("while True: pass", 0.1, True)],
)
def test_rows_that_fail_or_take_too_long_are_told(monkeypatch, capfd, program, limit, failed):
    start = subprocess.Popen

    def other(_command, **options):
        return start([sys.executable, "-S", "-c", program], **options)

    monkeypatch.setattr(bench_gpu.subprocess, "Popen", other)
    assert bench_gpu._in_time("ridge", bench_gpu.ROOT, limit) == failed
    assert ("stopped after 0.1 s" in capfd.readouterr().out) == (limit < 1)
