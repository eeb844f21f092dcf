"""Wrong inputs of a full run: each must end in one clear error before hours are spent."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.rehearsal.data import OTHER_MASK, SUBJECT
from benchmarks.rehearsal.run import Machine, snakemake
from benchmarks.rehearsal.server import FolderServer
from benchmarks.rehearsal.settings import overlay
from nsdrecon import layout

# A run that has not stopped by then counts as one that would spend hours.
MOST_SECONDS = 1800
# What stopped a job, in its log and on the console; the doctor has a row in its table instead.
ERROR = re.compile(r"ERROR .*: stopped after [\d.]+ s: (.*)|^(.* fail .*)$", flags=re.M)
SESSION = f"results/nsd/{SUBJECT}/betas/sessions/01.h5"
MISSING = layout.betas_key(SUBJECT, 2, extension="hdf5")


@dataclass(frozen=True)
class Fault:
    """A wrong input, and what the workflow says to it.

    Attributes
    ----------
    name
        What is wrong.
    target
        What is asked for: the first job that looks at the input.
    said
        Words of the error.
    spoil
        From a folder of links to the models to one with a wrong model.
    instead
        From the folder of the data to what the server has in place of some keys.
    """

    name: str
    target: str
    said: tuple[str, ...]
    spoil: Callable[[Path], None] = lambda folder: None
    instead: Callable[[Path], Mapping[str, Path | None]] = field(default=lambda folder: {})


def truncate(name: str) -> Callable[[Path], None]:
    """The first half of a model's file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        source = path.resolve()
        path.unlink()
        with source.open("rb") as whole, path.open("wb") as half:
            shutil.copyfileobj(whole, half)
            half.truncate(source.stat().st_size // 2)

    return spoil


def swap(name: str, other: str) -> Callable[[Path], None]:
    """Another model's file under a model's name."""

    def spoil(folder: Path) -> None:
        source = (folder / other).resolve()
        (folder / name).unlink()
        (folder / name).symlink_to(source)

    return spoil


def shrink_clip(folder: Path) -> None:
    """A CLIP ViT-B/32 by its configuration, under the name of ViT-L/14."""
    path = folder / "clip/config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    size = {"hidden_size": 768, "num_hidden_layers": 12, "patch_size": 32}
    config["vision_config"] |= size
    path.unlink()
    path.write_text(json.dumps(config), encoding="utf-8")


def put_supervised_resnet(folder: Path) -> None:
    """torchvision's own ResNet-50 in place of SwAV's."""
    from torchvision.models import resnet50

    path = folder / "swav/swav.pth.tar"
    path.unlink()
    torch.save(resnet50(weights=None).state_dict(), path)


def drop_session(_: Path) -> dict[str, None]:
    """A bucket without the second session."""
    return {MISSING: None}


def exchange_mask(nsd: Path) -> dict[str, Path]:
    """Subject 2's mask under subject 1's key."""
    return {layout.roi_key(SUBJECT): nsd / OTHER_MASK}


FAULTS = (
    Fault(
        "truncated VDVAE",
        "results/nsd/data/models/vdvae.tsv",
        ("vdvae.th", "expected a complete state dict"),
        truncate("vdvae/vdvae.th"),
    ),
    Fault(
        "truncated U-Net of Stable Diffusion",
        "results/nsd/data/models/stable_diffusion.tsv",
        ("stable-diffusion/unet", "expected a UNet2DConditionModel"),
        truncate("stable-diffusion/unet/diffusion_pytorch_model.safetensors"),
    ),
    Fault(
        "AlexNet's file in place of the VDVAE's",
        "results/nsd/data/models/vdvae.tsv",
        ("vdvae.th", "expected the 2482 tensors of the configured VDVAE"),
        swap("vdvae/vdvae.th", "alexnet/alexnet.pth"),
    ),
    Fault(
        "the two U-Nets of Versatile Diffusion swapped",
        "results/nsd/data/models/versatile_diffusion.tsv",
        (
            "versatile-diffusion/image_unet",
            "expected the weights of UNet2DConditionModel",
        ),
        swap(
            "versatile-diffusion/image_unet/diffusion_pytorch_model.bin",
            "versatile-diffusion/text_unet/diffusion_pytorch_model.bin",
        ),
    ),
    Fault(
        "a CLIP of another size",
        "results/nsd/data/models/networks.tsv",
        ("clip", "expected 1024: ViT-L/14"),
        shrink_clip,
    ),
    Fault(
        "a supervised ResNet-50 as SwAV",
        "results/nsd/data/models/networks.tsv",
        ("swav.pth.tar", "an unknown weight fc."),
        put_supervised_resnet,
    ),
    Fault(
        "a bucket that lacks a session",
        "doctor",
        (MISSING, "expected an object of this key"),
        instead=drop_session,
    ),
    Fault(
        "the mask of another subject",
        SESSION,
        ("betas_session01.hdf5", "expected int16 of shape (750, 84, 106, 82) as by mask"),
        instead=exchange_mask,
    ),
)


def failures(models: Path, nsd: Path, folder: Path, machine: Machine) -> Iterator[str]:
    """Try each wrong input and print what the workflow says; the names of those that went wrong."""
    for number, fault in enumerate(FAULTS):
        place = folder / f"{number}"
        shutil.rmtree(place, ignore_errors=True)
        wrong = place / "models"
        shutil.copytree(models, wrong, copy_function=lambda a, b: Path(b).symlink_to(a))
        fault.spoil(wrong)
        start = time.monotonic()
        with FolderServer(nsd, fault.instead(nsd)) as server:
            config = overlay(wrong, nsd, server.url, gpu=False)
            run = snakemake(place / "project", config, machine, fault.target)
            text = run.stdout.read()
        seconds = time.monotonic() - start
        errors = list(dict.fromkeys("".join(found) for found in ERROR.findall(text)))
        print(f"{fault.name} ({seconds:.0f} s):", *errors, sep="\n    ", flush=True)
        clear = len(errors) == 1 and all(words in " ".join(text.split()) for words in fault.said)
        if run.wait() == 0 or not clear or seconds > MOST_SECONDS:
            print(text)
            yield fault.name
        shutil.rmtree(place)
