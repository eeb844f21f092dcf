"""The evaluation of a subject, as its rule runs it: every metric of 982 images, in one process.

The networks are the published architectures at full size, with random weights that go through the
same loaders; pictures have the published sizes (425 x 425 seen, 512 x 512 made). What is held
against a bound is the memory: the peak of the process must stay below what rule ``evaluation`` asks
for. CLIP ViT-L/14 sees fewer pictures by default, for its 768 features a picture weigh nothing and
all 982 take most of the time on a CPU (``--clip-images 982``). Several systems (``--systems``)
share what is made of the seen images. Run with
``python -m benchmarks.bench_evaluation_job``, or with ``--images 100`` for a quick look.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import asked_for, full_config, in_own_process

N_IMAGES = 982
N_CLIP_IMAGES = 32
SEEN, MADE = 425, 512


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=N_IMAGES)
    parser.add_argument("--clip-images", type=int, default=N_CLIP_IMAGES)
    parser.add_argument("--systems", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--protocol", default="brain-diffuser")
    arguments = parser.parse_args(argv)
    clip_images = min(arguments.clip_images, arguments.images)
    counts = [arguments.images, clip_images, arguments.systems, arguments.threads]
    with tempfile.TemporaryDirectory() as folder:
        in_own_process(__file__, "write", folder, *counts, arguments.protocol)
        found = in_own_process(__file__, "evaluate", folder, *counts, arguments.protocol)
    asked, _ = asked_for(full_config())["evaluation"]
    print(f"protocol {arguments.protocol}, with the shuffled floors, in one process")
    print(f"{'systems':>7} {'images':>6} {'seconds':>8} {'CPU s':>8} {'peak MB':>8}  metrics")
    for images, metrics, seconds, cpu, peak in found["parts"]:
        print(
            f"{arguments.systems:7} {images:6} {seconds:8.0f} {cpu:8.0f} {peak:8.0f}  "
            f"{', '.join(metrics)}"
        )
    print(f"rule evaluation asks for {asked} MB")
    if peak > asked:
        raise SystemExit("the evaluation takes more memory than its rule asks for")


def _write(
    folder: Path,
    n_images: int,
    n_clip_images: int,
    n_systems: int,
    _threads: int,
    _protocol: str,
) -> dict:
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
    return {}


def _evaluate(
    folder: Path,
    n_images: int,
    n_clip_images: int,
    n_systems: int,
    threads: int,
    protocol_name: str,
) -> dict:
    """The rule's call, first with all networks but CLIP, then with CLIP."""
    from nsdrecon.devices import choose_device
    from nsdrecon.evaluation.scoring import Scored, evaluate
    from nsdrecon.logs import peak_memory_mb
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
    known = {metric.name for metric in (*pixels, *networks)}
    parts = []
    for suffix, clip in (("", False), ("-fewer", True)):
        start, cpu = time.perf_counter(), time.process_time()
        made = [f"{number}{suffix}" for number in range(n_systems)]
        table, *_ = evaluate(
            [
                Scored(
                    folder / f"made-{name}.h5",
                    folder / f"scores-{name}.tsv",
                    folder / f"shuffled-{name}.tsv",
                )
                for name in made
            ],
            folder / f"seen{suffix}.h5",
            protocol_name=protocol_name,
            metrics=[*pixels, *(m for m in networks if m.source.endswith("clip_vit_l_14") == clip)],
            categories=folder / "categories.tsv",
            device=choose_device("auto", threads),
        )
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        metrics = [name for name in table if name in known]
        # The peak is that of the process up to here.
        parts.append((len(table), metrics, seconds, cpu, peak_memory_mb()))
    return {"parts": parts}


if __name__ == "__main__":
    tasks = {"write": _write, "evaluate": _evaluate}
    if len(sys.argv) > 1 and sys.argv[1] in tasks:
        task, where, *counts, name = sys.argv[1:]
        print(json.dumps(tasks[task](Path(where), *map(int, counts), name)))
    else:
        main()
