"""`make demo-models`, at a few steps: what it writes is what the workflow reads."""

import json
import shutil
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch

from forks import ROOT, forked
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import VersatileDiffusion
from nsdrecon.evaluation.networks import clip
from nsdrecon.randomness import generator
from nsdrecon.vdvae.checkpoint import load_vdvae
from nsdsim.training.loop import Optimisation, fit
from nsdsim.training.vdvae import CONFIG

SHIPPED = ROOT / "workflow" / "demo_models"
MODELS = ["clip", "stable-diffusion", "vdvae", "versatile-diffusion"]


def _train(folder):
    """The command with fewer scenes, smaller batches and four steps of each model."""
    from dataclasses import replace

    from nsdsim.training import __main__ as training
    from nsdsim.training import clip, vdvae

    training.N_TRAINING, training.N_HELD_OUT, training.N_DIFFUSION = 32, 8, 16
    training.N_SAMPLES, training.SAMPLING = 4, replace(training.SAMPLING, steps=4)
    training.Workshop.steps = lambda _, model: 4
    vdvae.train.__kwdefaults__ |= {"n_training": 32, "n_held_out": 8}
    clip.BATCH, vdvae.BATCH = 32, 8
    options = ["--cache", str(folder / "cache"), "--models", str(folder / "models")]
    sys.argv[1:] = [*options, "--threads", "1"]
    with (folder / "log").open("a") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            training.main()
        except BaseException:
            traceback.print_exc()
            raise


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    assert forked(_train, folder) == 0, (folder / "log").read_text()
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_files_and_configurations_are_those_of_the_demo(trained, name):
    made, shipped = (files(folder / name) for folder in (trained / "models", SHIPPED))
    assert set(made) == set(shipped) - {"README.md"}  # which is written by hand
    for file in made:
        if file.endswith(("config.json", "index.json")):
            assert configuration(made[file]) == configuration(shipped[file])


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def configuration(path):
    """A configuration, but for what is measured in training, or follows from the captions."""
    words = {"bos_token_id", "eos_token_id", "pad_token_id", "vocab_size", "added_tokens_decoder"}
    others = {*words, "scaling_factor"}

    def without_others(part):
        return {name: value for name, value in part.items() if name not in others}

    return json.loads(path.read_text(), object_hook=without_others)


def test_the_workflow_reads_them(trained):
    models = trained / "models"
    load_vdvae(models / "vdvae" / "vdvae.th", CONFIG)
    clip(models / "clip", "cpu")
    StableDiffusion.load(models / "stable-diffusion")
    VersatileDiffusion.load(models / "versatile-diffusion")


def test_a_second_run_writes_the_same_without_training(trained):
    first = weights(trained)
    shutil.rmtree(trained / "models")
    (trained / "log").unlink()
    assert forked(_train, trained) == 0, (trained / "log").read_text()
    assert weights(trained) == first
    assert "resumed at step 4" in (trained / "log").read_text()


def weights(folder):
    found = files(folder / "models")
    return {
        file: found[file].read_bytes() for file in found if file.endswith(("safetensors", "th"))
    }


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    def train(checkpoint, stop=None):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        x = torch.from_numpy(generator("training", "test").standard_normal((20, 4), np.float32))
        steps = 0

        def loss(rng):
            nonlocal steps
            steps += 1
            if steps == stop:
                raise KeyboardInterrupt
            rows = torch.from_numpy(rng.integers(20, size=8))
            noise = torch.randn(8, 1)  # drawn anew at every step
            return ((model(x[rows]) - x[rows].sum(1, keepdim=True) + noise) ** 2).mean()

        settings = Optimisation(learning_rate=0.1, warmup=2)
        fit(model, loss, 12, settings, checkpoint, every_seconds=0)
        return model.state_dict(), steps

    undisturbed, _ = train(tmp_path / "one" / "model.pt")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "two" / "model.pt", stop=6)
    went_on, steps = train(tmp_path / "two" / "model.pt")
    assert steps == 7  # five were saved
    for name, value in undisturbed.items():
        torch.testing.assert_close(went_on[name], value, rtol=0, atol=0)
