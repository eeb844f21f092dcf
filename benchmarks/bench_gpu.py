"""What a GPU does with the models at full size, as one command.

Architectures and sizes are the published ones, weights random. Each row runs in a process of its
own and ends after three minutes at the latest; what it measured until then is printed.

* ``stable-diffusion``, ``versatile-diffusion``: images a second by batch size, the share of the
  rate of a large matrix product, diffusers' pipeline at batch 1 in the same precision (which
  Versatile Diffusion's takes no features for), and whether images depend on their batch.
* ``...-step``: one step of the U-Net in several layouts, as it is and compiled.
* ``vdvae``: latents against the published procedure. ``clip``: features of pictures and captions.
* ``ridge``: the VDVAE's 91,168 targets, from files to weights, scores and predictions.
* ``evaluation``: 982 images with six networks.

Run with ``python -m benchmarks.bench_gpu [ROW ...]`` (30 GB of disk); without a GPU it says so and
ends. ``--models`` keeps the models, or takes those of ``make rehearsal``.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import ROOT, environment, found_device

if TYPE_CHECKING:
    import numpy as np

    from nsdrecon.diffusion.backbone import Backbone

LIMIT = 180  # seconds of a row
PRECISION = "float16"
BACKBONES = {
    "stable-diffusion": "nsdrecon.diffusion.stable_diffusion:StableDiffusion",
    "versatile-diffusion": "nsdrecon.diffusion.versatile_diffusion:VersatileDiffusion",
}
# Layout of the U-Net, and arguments of torch.compile, None for a network that is not compiled. The
# first is what a run uses. Last are those that may not end in time.
VARIANTS: Mapping[str, tuple[str, Mapping[str, str] | None]] = {
    "channels last": ("channels_last", None),
    "contiguous": ("contiguous_format", None),
    "channels last, compiled": ("channels_last", {}),
    "channels last, compiled, CUDA graphs": ("channels_last", {"mode": "reduce-overhead"}),
    "contiguous, compiled": ("contiguous_format", {}),
}
OTHER_BENCHMARKS = {
    "vdvae": ("vdvae", "--images", "240", "--batch", "64"),
    "ridge": ("ridge", "--full", "--needed", "--threads", "4"),
    "evaluation": ("evaluation_job", "--clip-images", "982", "--threads", "4"),
}
#: Of images that lie at other places of a batch: share of the bytes that may differ, and by what.
TOLERANCE = (0.1, 1)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--models", type=Path, help="folder of models, filled where they lack")
    arguments = parser.parse_args(argv)
    rows = arguments.rows or list(ROWS)
    if unknown := [row for row in rows if row not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if found_device() == "cpu":
        print("no GPU here: nothing is measured")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        models = arguments.models or Path(folder)
        return sum([_in_time(row, models) for row in rows])


def _in_time(row: str, models: Path, limit: float = LIMIT) -> bool:
    """Run a row in a process of its own; whether it failed or took too long."""
    print(f"\n-- {row}", flush=True)
    start = time.perf_counter()
    if row in OTHER_BENCHMARKS:
        name, *options = OTHER_BENCHMARKS[row]
        command = [f"benchmarks.bench_{name}", *options]
    else:
        command = ["benchmarks.bench_gpu", "measure", row, str(models)]
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment(PYTHONUNBUFFERED="1"),
        cwd=ROOT,
        start_new_session=True,
    ) as process:
        try:
            failed = process.wait(limit) != 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started itself
            print(f"stopped after {limit} s")
            failed = True
    print(f"{time.perf_counter() - start:.0f} s", flush=True)
    return failed


def stage2(
    backbone: str,
    folder: Path,
    device: str = "cuda",
    precision: str = PRECISION,
    batches: Sequence[int] = (16, 8, 1, 4, 32),
) -> None:
    """Images a second by batch size, and against diffusers' pipeline where that takes features."""
    from benchmarks.bench_diffusion import GUIDANCE, STEPS, STRENGTH, inputs, pipeline
    from benchmarks.bench_vdvae import peak_rate
    from nsdrecon.diffusion.loop import reconstruct
    from nsdrecon.diffusion.sampling import Sampling

    model = _loaded(backbone, folder, device, precision)
    nsd_id, images, features = inputs(model.spec, 2 * max(batches))
    settings = {"strength": STRENGTH, "guidance": GUIDANCE}
    few, all_steps = (Sampling("ddim", steps=n, **settings) for n in (4, STEPS))

    def run(rows: Sequence[int], batch: int, sampling: Sampling = all_steps) -> np.ndarray:
        some = {kind: values[rows] for kind, values in features.items()}
        return reconstruct(
            *(model, nsd_id[rows], images[rows], some),
            subject="subj01",
            seed=0,
            sampling=sampling,
            batch_size=batch,
        )

    an_image = 2 * all_steps.steps_run * _operations(model)
    peak = peak_rate(device, precision)
    print(f"{precision}, {all_steps.steps_run} steps; a matrix product: {peak / 1e12:.3g} TFLOP/s")
    print(f"{'':32} {'images/s':>9} {'of peak':>8} {'peak GB':>8}")
    for batch in batches:
        rows = list(range(batch))
        run(rows, batch, few)
        rate, memory = _rate(partial(run, rows, batch), batch, device)
        share = rate * an_image / peak
        print(f"{f'batch {batch}':32} {rate:9.3f} {share:8.1%} {memory:8.1f}", flush=True)
    if backbone == "stable-diffusion":
        baseline = pipeline(model, images, features["text"])
        baseline(range(1))
        rate, memory = _rate(partial(baseline, range(1, 4)), 3, device)
        print(f"{'diffusers pipeline, batch 1':32} {rate:9.3f} {'':8} {memory:8.1f}", flush=True)
    _same_images(run, min(8, max(batches)))


def _same_images(run: Callable[[list[int], int], np.ndarray], batch: int) -> None:
    """Print how images depend on their batch, and fail where they do so more than is promised."""
    rows = list(range(2 * batch))
    whole, fewer = run(rows, batch), run(rows[: batch + 1], batch)
    if (whole[: batch + 1] != fewer).any():
        raise SystemExit("an image depends on how many others its job makes")
    difference = abs(run(rows[::-1], batch)[::-1].astype(int) - whole)
    share, most = (difference > 0).mean(), difference.max()
    print(f"at other places of a batch: {share:.1%} of the bytes differ, by at most {most}")
    if share > TOLERANCE[0] or most > TOLERANCE[1]:
        raise SystemExit(f"at most {TOLERANCE[0]:.0%} and {TOLERANCE[1]} are promised")


def unet_step(
    backbone: str,
    folder: Path,
    device: str = "cuda",
    precision: str = PRECISION,
    batch: int = 16,
) -> None:
    """Milliseconds of one guided step of the U-Net, in each of the variants."""
    import torch

    from benchmarks.bench_vdvae import peak_rate
    from nsdrecon.diffusion.loop import unconditional_rows

    model = _loaded(backbone, folder, device, precision)
    peak, operations = peak_rate(device, precision), 2 * batch * _operations(model)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn((2 * batch, *model.spec.latent_shape), generator=generator).to(device)
    condition = unconditional_rows(model, 2 * batch)
    first = None
    print(f"{'':40} {'ms':>8} {'of peak':>8} {'warm-up s':>10} {'difference':>11}")
    for name, (layout, compiled) in VARIANTS.items():
        model.unet.to(memory_format=getattr(torch, layout))
        torch.compiler.reset()
        model.compiled = None if compiled is None else torch.compile(model.unet, **compiled)
        start = time.perf_counter()
        with torch.inference_mode():
            for timestep in (501, 481):  # a compiled network learns that it varies
                found = model.predict(latents, timestep, condition).cpu()
            warm = time.perf_counter()
            for timestep in range(461, 261, -20):
                last = model.predict(latents, timestep, condition)
            last.cpu()
        step = (time.perf_counter() - warm) / 10
        first = found if first is None else first
        error = ((found - first).std() / first.std()).item()
        print(
            f"{name:40} {1000 * step:8.1f} {operations / step / peak:8.1%} {warm - start:10.1f} "
            f"{error:11.1e}",
            flush=True,
        )


def clip_features(folder: Path, device: str = "cuda", batch: int = 32, n_batches: int = 20) -> None:
    """Pictures and captions a second of Versatile Diffusion's encoders, with their preparation."""
    import numpy as np

    from nsdrecon.clip_features import TextEncoder, VisionEncoder

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (batch, 425, 425, 3), dtype=np.uint8)
    captions = [f"a picture of {number} things beside each other" for number in range(batch)]
    vision = VisionEncoder(folder, device=device)
    text = TextEncoder(folder, projected=True, device=device)
    for name, encode, inputs in (
        ("pictures", vision.encode, pictures),
        ("captions", text.encode, captions),
    ):

        def work(n_batches: int, encode: Callable = encode, inputs: Sequence = inputs) -> None:
            for _ in range(n_batches):
                encode(inputs).cpu()

        work(1)
        rate, memory = _rate(partial(work, n_batches), n_batches * batch, device)
        print(f"{name}: {rate:.0f}/s, batch {batch}, float32, {memory:.1f} GB", flush=True)


def _loaded(backbone: str, folder: Path, device: str, precision: str) -> Backbone:
    from nsdrecon.devices import number_format
    from nsdrecon.extensions import implementation

    kind = implementation(BACKBONES[backbone])
    return kind.load(folder, device=device, dtype=number_format(precision, device))


def _operations(model: Backbone) -> int:
    """Floating-point operations of the U-Net for one row of one step."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nsdrecon.diffusion.loop import unconditional_rows

    latents = torch.zeros((1, *model.spec.latent_shape), device=model.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.predict(latents, 1, unconditional_rows(model, 1))
    return counter.get_total_flops()


def _rate(work: Callable[[], Any], n_images: int, device: str) -> tuple[float, float]:
    """Images a second of some work that ends with results on the CPU, and its peak memory (GB)."""
    import torch

    on_gpu = device != "cpu"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    work()
    rate = n_images / (time.perf_counter() - start)
    return rate, torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0


ROWS: dict[str, Callable[[Path], None] | None] = {
    "stable-diffusion": partial(stage2, "stable-diffusion"),
    "vdvae": None,
    "evaluation": None,
    "ridge": None,
    "versatile-diffusion": partial(stage2, "versatile-diffusion", batches=(16, 8, 1)),
    "clip": clip_features,
    "stable-diffusion-step": partial(unet_step, "stable-diffusion"),
    "versatile-diffusion-step": partial(unet_step, "versatile-diffusion"),
}


def _measure(row: str, models: Path) -> None:
    """Write the row's model, if it is not there, and measure it."""
    from benchmarks.rehearsal.models import write_models

    model = "stable-diffusion" if row.startswith("stable") else "versatile-diffusion"
    write_models(models, [model])
    ROWS[row](models / model)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        _measure(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
