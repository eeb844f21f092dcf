"""VDVAE latents: extracted as by the workflow, against the published procedure.

The published procedure runs all 75 decoder blocks of the ImageNet-64 network in batches of 30 and
keeps 31 layers; the network here has the same size and random weights. Each side runs in a process
of its own, on the same weights, images and noise; the latents must agree. Run with
``python -m benchmarks.bench_vdvae`` (about ten minutes on two cores, 0.5 GB of disk), with
``--images 8`` for a quick look. A GPU is used where there is one (``--device``).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import found_device, in_own_process

N_LAYERS = 31
PUBLISHED_BATCH = 30
SIDES = {
    "published": "all 75 layers, float32, batch 30",
    "float32": f"nsdrecon, {N_LAYERS} layers, float32",
    "bfloat16": f"nsdrecon, {N_LAYERS} layers, bfloat16",
}
#: Of the latents' standard deviation: rounding of float32 sums, and 8 bits of bfloat16.
TOLERANCES = {"published": 0.0, "float32": 1e-3, "bfloat16": 0.1}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=PUBLISHED_BATCH, help="a multiple of 8 or 30")
    parser.add_argument("--batch", type=int, default=8, help="batch of nsdrecon")
    parser.add_argument("--repeats", type=int, default=2, help="runs a side; the fastest counts")
    parser.add_argument("--device", default=found_device())
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _in_own_process("weights", folder, arguments)
        found = {side: _in_own_process(side, folder, arguments) for side in SIDES}
        exact = np.load(folder / "published.npy")
        errors = {
            side: float(np.sqrt(np.mean((np.load(folder / f"{side}.npy") - exact) ** 2)))
            / float(exact.std())
            for side in SIDES
        }
    print(f"{arguments.images} images on {arguments.device}, batch {arguments.batch}")
    columns = f"{'images/s':>9} {'peak MB':>8} {'times faster':>13} {'of peak':>8} {'error':>8}"
    print(f"{'side':36} {columns}")
    for side, result in found.items():
        rate = result["images_per_second"]
        faster = rate / found["published"]["images_per_second"]
        print(
            f"{SIDES[side]:36} {rate:9.2f} {result['peak_mb']:8.0f} {faster:13.1f} "
            f"{result['share_of_peak']:8.0%} {errors[side]:8.1e}"
        )
    wrong = [side for side, error in errors.items() if not error <= TOLERANCES[side]]
    if wrong:
        raise SystemExit(f"other latents than the published procedure's: {', '.join(wrong)}")


def _in_own_process(task: str, folder: Path, arguments: argparse.Namespace) -> dict:
    """Run one of the tasks below in a new process; what it returns."""
    numbers = [arguments.images, arguments.batch, arguments.repeats]
    return in_own_process(__file__, task, folder, arguments.device, *numbers)


def _write_weights(path: Path) -> dict:
    """A random network whose latents depend on all that came before them, as in a trained one."""
    import torch

    from nsdrecon.vdvae.config import VDVAEConfig
    from nsdrecon.vdvae.model import VDVAE

    torch.manual_seed(0)
    model = VDVAE(VDVAEConfig())
    for layer in model.decoder.dec_blocks:
        torch.nn.init.normal_(layer.prior.c4.weight, std=0.01)
    torch.save(model.state_dict(), path)
    return {}


def _published(path: Path, device: str):
    """Load the weights; return the procedure of the published pipelines, (images) -> latents."""
    import torch

    from nsdrecon import randomness
    from nsdrecon.vdvae import preprocessing
    from nsdrecon.vdvae.config import VDVAEConfig
    from nsdrecon.vdvae.model import VDVAE

    model = VDVAE(VDVAEConfig())
    model.load_state_dict(torch.load(path, weights_only=True))
    model.to(device).eval()

    @torch.no_grad()
    def batch_latents(images, first_id):
        latents = []

        def choose(layer, prior, posterior):
            posterior.divergence_from(prior)
            noise = torch.randn_like(posterior.mean)
            if layer < N_LAYERS:  # the same noise as the other sides, that latents can be compared
                for row in range(len(images)):
                    key = (0, "vdvae-posterior", first_id + row, layer)
                    noise[row] = torch.from_numpy(randomness.normal(noise.shape[1:], *key))
            latents.append(posterior.at(noise))
            return latents[-1]

        size = model.config.image_size
        pixels = preprocessing.normalise(preprocessing.resize(images, size))
        # The original makes its input contiguous: what follows is not in channels-last layout.
        channels_first = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous()
        activations = model.encoder(channels_first.permute(0, 2, 3, 1))
        model.decoder(len(images), choose, activations=activations)
        return torch.cat([z.flatten(1) for z in latents[:N_LAYERS]], dim=1).cpu().numpy()

    return lambda images: np.concatenate(
        [
            batch_latents(images[start : start + PUBLISHED_BATCH], start)
            for start in range(0, len(images), PUBLISHED_BATCH)
        ]
    )


def _nsdrecon(path: Path, device: str, batch: int, precision: str):
    """Load the weights; return this project's procedure, (images) -> latents."""
    from nsdrecon.vdvae.checkpoint import load_vdvae
    from nsdrecon.vdvae.config import VDVAEConfig
    from nsdrecon.vdvae.latents import extract_latents

    model = load_vdvae(path, VDVAEConfig(), device=device)
    return lambda images: extract_latents(
        model,
        images,
        np.arange(len(images)),
        n_layers=N_LAYERS,
        batch_size=batch,
        precision=precision,
    )


def _measure(side: str, folder: Path, device: str, n_images: int, batch: int, repeats: int) -> dict:
    """Time one side and write its latents for the comparison."""
    from nsdrecon.logs import peak_memory_mb

    images = np.random.default_rng(0).integers(0, 256, (n_images, 425, 425, 3), dtype=np.uint8)
    path = folder / "weights.th"
    if side == "published":
        procedure = _published(path, device)
    else:
        procedure = _nsdrecon(path, device, batch, side)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        latents = procedure(images)
        seconds.append(time.perf_counter() - start)
    peak_mb = peak_memory_mb()
    np.save(folder / f"{side}.npy", latents)
    rate = n_images / min(seconds)
    n_layers = None if side == "published" else N_LAYERS
    precision = "float32" if side == "published" else side
    share = rate * _operations(n_layers) / peak_rate(device, precision)
    return {"images_per_second": rate, "peak_mb": peak_mb, "share_of_peak": share}


def _operations(n_layers: int | None) -> int:
    """Floating-point operations of the convolutions for one image's latents."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from nsdrecon.vdvae.config import VDVAEConfig
    from nsdrecon.vdvae.model import VDVAE

    with torch.device("meta"):
        model = VDVAE(VDVAEConfig())
        pixels = torch.empty(1, 64, 64, 3)
    with FlopCounterMode(display=False) as counter:
        model.decoder(
            1,
            lambda _layer, _prior, posterior: posterior.mean,
            activations=model.encoder(pixels),
            n_layers=n_layers,
        )
    return counter.get_total_flops()


def peak_rate(device: str, precision: str) -> float:
    """Operations a second of a large matrix product in the same precision: the most to be had."""
    import torch

    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device, dtype=getattr(torch, precision))
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _run_task(task: str, folder: str, device: str, *numbers: str) -> dict:
    if task == "weights":
        return _write_weights(Path(folder) / "weights.th")
    return _measure(task, Path(folder), device, *map(int, numbers))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        print(json.dumps(_run_task(*sys.argv[1:])))
    else:
        main()
