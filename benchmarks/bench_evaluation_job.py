"""The evaluation of a subject, as its rules run it: every metric of 982 images.

First the features of the seen images, which are made once for all subjects, then the scores of some
systems, each in a process of its own.

The networks are the published architectures at full size, with random weights that go through the
same loaders; pictures have the published sizes (425 x 425 seen, 512 x 512 made). What is held
against a bound is the memory: the peak of a process must stay below what its rule asks for. CLIP
ViT-L/14 sees fewer pictures by default, for its 768 features a picture weigh nothing and all 982
take most of the time on a CPU (``--clip-images 982``). Run with
``python -m benchmarks.bench_evaluation_job``, or with ``--images 100`` for a quick look.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import asked_for, full_config, in_own_process

if TYPE_CHECKING:
    from nsdrecon.metrics import Metric

N_IMAGES = 982
N_CLIP_IMAGES = 32
SEEN, MADE = 425, 512
# What belongs to a system, by the beginning of its name and its ending.
FILES = {"made": ".h5", "scores": ".tsv", "shuffled": ".tsv"}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--clip-images", type=int, default=N_CLIP_IMAGES)
    parser.add_argument("--systems", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--protocol", default="brain-diffuser")
    arguments = parser.parse_args(argv)
    clip_images = min(arguments.clip_images, arguments.images)
    asked = asked_for(full_config())
    exceeded = []
    print(f"protocol {arguments.protocol}, {arguments.systems} systems with their shuffled floors")
    print(f"{'rule':13} {'images':>6} {'seconds':>8} {'CPU s':>8} {'peak MB':>8}  metrics")
    with tempfile.TemporaryDirectory() as folder:
        in_own_process(__file__, "write", folder, arguments.images, clip_images, arguments.systems)
        how = (arguments.systems, arguments.threads, arguments.protocol)
        for rule in MEASURED:
            found = in_own_process(__file__, rule, folder, *how)
            for n_images, part in zip((arguments.images, clip_images), found["parts"], strict=True):
                metrics, seconds, cpu, peak = part
                print(
                    f"{rule:13} {n_images:6} {seconds:8.0f} {cpu:8.0f} {peak:8.0f}  "
                    f"{', '.join(metrics)}"
                )
            memory, _ = asked[rule]
            print(f"rule {rule} asks for {memory} MB")
            if peak > memory:
                exceeded.append(rule)
    if exceeded:
        raise SystemExit(f"more memory than the rule asks for: {', '.join(exceeded)}")


def _write(folder: Path, n_images: int, n_clip_images: int, n_systems: int) -> None:
    """Pictures, categories and the weight files of all networks."""
    import numpy as np
    import pandas as pd
    import torch
    import torchvision

    from clip_models import clip_vit_l_14
    from nsdrecon.store import ID, create_h5, write_table

    ids = np.arange(n_images)
    for n, suffix in ((n_images, ""), (n_clip_images, "-fewer")):
        made = [(f"made-{number}", MADE, (1,)) for number in range(n_systems)]
        for name, size, samples in (("seen", SEEN, ()), *made):
            rng = np.random.default_rng(0)
            with create_h5(folder / f"{name}{suffix}.h5") as file:
                file.create_dataset(ID, data=ids[:n])
                images = file.create_dataset("images", (n, *samples, size, size, 3), np.uint8)
                for row in range(n):
                    tiles = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                    images[row] = np.kron(tiles, np.ones((64, 64, 1), np.uint8))[:size, :size]
                file.attrs.update({"system": "sd-ddpm", "subject": "subj01"})
    write_table(folder / "categories.tsv", pd.DataFrame({ID: ids, "category": ids % 20}))
    for name in ("alexnet", "inception_v3", "efficientnet_b1", "resnet50"):
        options = {"init_weights": False} if name == "inception_v3" else {}
        state = getattr(torchvision.models, name)(weights=None, **options).state_dict()
        if name == "resnet50":  # as SwAV's file, without the classifier
            state = {f"module.{k}": v for k, v in state.items() if not k.startswith("fc.")}
        torch.save(state, folder / f"{name.removesuffix('50')}.pth")
    clip_vit_l_14().save_pretrained(folder / "clip")


def _rows(folder: Path, protocol_name: str) -> list[Metric]:
    """Pixel metrics, then the networks of the published tables with random weights."""
    from nsdrecon.metrics import METRICS, NetworkMetric, configured_metrics

    names = dict.fromkeys(row.name for row in METRICS if isinstance(row, NetworkMetric))
    entries = [{"name": name, "weights": ""} for name in names]
    published = configured_metrics(protocol_name, entries)
    pixels = [row for row in published if row.name not in names]
    files = {"resnet50_swav": "resnet.pth", "clip_vit_l_14": "clip"}
    networks = []
    for row in published[len(pixels) :]:
        network = row.source.rpartition(":")[2]
        # Not the published weights, so neither their name nor their checksum.
        weights = str(folder / files.get(network, f"{network}.pth"))
        networks.append(replace(row, name=f"random {row.name}", weights=weights, sha256=()))
    return [*pixels, *networks]


def _parts(work: Callable[[str, list[Metric]], object], rows: Sequence[Metric]) -> dict[str, Any]:
    """What some work takes, first with all networks but CLIP, then with CLIP."""
    from nsdrecon.logs import peak_memory_mb
    from nsdrecon.metrics import NetworkMetric

    parts = []
    for suffix, clip in (("", False), ("-fewer", True)):
        metrics = [
            row
            for row in rows
            if not isinstance(row, NetworkMetric) or row.source.endswith("clip_vit_l_14") == clip
        ]
        start, cpu = time.perf_counter(), time.process_time()
        work(suffix, metrics)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        # The peak is that of the process up to here.
        parts.append(([row.name for row in metrics], seconds, cpu, peak_memory_mb()))
    return {"parts": parts}


def _seen_features(folder: Path, _systems: int, threads: int, protocol_name: str) -> dict[str, Any]:
    """The call of rule ``seen_features``."""
    from nsdrecon.devices import choose_device
    from nsdrecon.evaluation.seen_features import write_seen_features
    from nsdrecon.metrics import NetworkMetric

    def work(suffix: str, metrics: list[Metric]) -> None:
        write_seen_features(
            folder / f"seen{suffix}.h5",
            folder / f"features{suffix}.h5",
            protocol_name=protocol_name,
            metrics=metrics,
            device=choose_device("auto", threads),
        )

    rows = _rows(folder, protocol_name)
    return _parts(work, [row for row in rows if isinstance(row, NetworkMetric)])


def _evaluation(folder: Path, n_systems: int, threads: int, protocol_name: str) -> dict[str, Any]:
    """The call of rule ``evaluation``."""
    from nsdrecon.devices import choose_device
    from nsdrecon.evaluation.scoring import Scored, evaluate

    def work(suffix: str, metrics: list[Metric]) -> None:
        files = [
            [folder / f"{what}-{n}{suffix}{kind}" for what, kind in FILES.items()]
            for n in range(n_systems)
        ]
        evaluate(
            [Scored(*paths) for paths in files],
            folder / f"seen{suffix}.h5",
            protocol_name=protocol_name,
            metrics=metrics,
            seen_features=folder / f"features{suffix}.h5",
            categories=folder / "categories.tsv",
            device=choose_device("auto", threads),
        )

    return _parts(work, _rows(folder, protocol_name))


MEASURED = {"seen_features": _seen_features, "evaluation": _evaluation}

if __name__ == "__main__":
    task, *given = sys.argv[1:] or [""]
    if task == "write":
        _write(Path(given[0]), *map(int, given[1:]))
        print("{}")
    elif task in MEASURED:
        where, systems, threads, protocol = given
        print(json.dumps(MEASURED[task](Path(where), int(systems), int(threads), protocol)))
    else:
        main()
