"""Stage 2 at the demo's size: images a second, against a loop over the diffusers pipeline.

Each side runs in a process of its own on the demo's Stable Diffusion folder, with the same first
images, embeddings, steps and guidance. The baseline is what a user of diffusers would write: one
image-to-image call an image. Run with ``python -m benchmarks.bench_diffusion`` (about three
minutes), or with ``--images 4 --repeats 1`` for a quick look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import fastest

if TYPE_CHECKING:
    import numpy as np

    from nsdrecon.diffusion.backbone import BackboneSpec
    from nsdrecon.diffusion.stable_diffusion import StableDiffusion

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "workflow" / "demo_models" / "stable-diffusion"
STEPS, STRENGTH, GUIDANCE = 50, 0.75, 7.5
BASELINE = "diffusers pipeline, batch 1, float32"
# Name of a side: batch size, precision and whether the U-Net is compiled.
SIDES = {
    "nsdrecon, batch 1, float32": (1, "float32", False),
    "nsdrecon, batch 4, float32": (4, "float32", False),
    "nsdrecon, batch 16, float32": (16, "float32", False),
    "nsdrecon, batch 16, bfloat16": (16, "bfloat16", False),
    "nsdrecon, batch 16, bfloat16, compiled": (16, "bfloat16", True),
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="Stable Diffusion folder")
    parser.add_argument("--images", type=int, default=16, help="images a side")
    parser.add_argument("--repeats", type=int, default=2, help="runs a side; the fastest counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads a side")
    arguments = parser.parse_args(argv)
    sizes = arguments.folder, arguments.images, arguments.threads
    best = fastest(__file__, (BASELINE, *SIDES), arguments.repeats, *sizes)
    baseline = best[BASELINE]["seconds"]
    print(f"{arguments.images} images, {STEPS} steps, strength {STRENGTH}, ", end="")
    print(f"{arguments.threads} threads")
    print(f"{'side':40} {'images/s':>9} {'times faster':>13} {'peak MB':>8} {'warm-up s':>10}")
    for side, found in best.items():
        print(
            f"{side:40} {arguments.images / found['seconds']:9.3f} "
            f"{baseline / found['seconds']:13.2f} {found['peak_mb']:8.0f} {found['warm_up']:10.1f}"
        )


def inputs(
    spec: BackboneSpec, n_images: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Ids, stage-1 images and predicted features; random, which costs the same as real ones."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_images, spec.image_size, spec.image_size, 3), dtype=np.uint8)
    features = {
        kind: rng.normal(size=(n_images, *shape)).astype(np.float32)
        for kind, shape in spec.conditioning.items()
    }
    return np.arange(n_images), images, features


def _with_pipeline(folder: Path, n_images: int) -> dict:
    """The pipeline, image by image; loading is not timed."""
    from nsdrecon.diffusion.stable_diffusion import StableDiffusion

    _, images, embeddings = inputs(StableDiffusion.describe(folder), n_images)
    run = pipeline(StableDiffusion.load(folder), images, embeddings["text"])
    return _timed(run, n_images, 1)


def pipeline(
    model: StableDiffusion, images: np.ndarray, embeddings: np.ndarray
) -> Callable[[range], None]:
    """What reconstructs some rows with the diffusers pipeline, one call an image."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline
    from PIL import Image

    made = StableDiffusionImg2ImgPipeline(
        vae=model.vae,
        unet=model.unet,
        scheduler=DDIMScheduler.from_config(model.spec.scheduler, clip_sample=False),
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)

    def run(rows: range) -> None:
        for row in rows:
            made(
                image=Image.fromarray(images[row]),
                prompt_embeds=torch.from_numpy(embeddings[row : row + 1]).to(model.device),
                negative_prompt_embeds=model.unconditional["text"].to(model.device),
                num_inference_steps=STEPS,
                strength=STRENGTH,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(row),
            )

    return run


def _with_nsdrecon(
    folder: Path, n_images: int, batch_size: int, precision: str, compiled: bool
) -> dict:
    """The loop of this project; loading is not timed."""
    import torch

    from nsdrecon.diffusion.loop import reconstruct
    from nsdrecon.diffusion.sampling import Sampling
    from nsdrecon.diffusion.stable_diffusion import StableDiffusion

    nsd_id, images, embeddings = inputs(StableDiffusion.describe(folder), n_images)
    model = StableDiffusion.load(folder, dtype=getattr(torch, precision), compile_unet=compiled)
    sampling = Sampling("ddim", steps=STEPS, strength=STRENGTH, guidance=GUIDANCE)

    def run(rows: range) -> None:
        some = slice(rows.start, rows.stop)
        reconstruct(
            model,
            nsd_id[some],
            images[some],
            {"text": embeddings["text"][some]},
            subject="subj01",
            seed=0,
            sampling=sampling,
            batch_size=batch_size,
        )

    return _timed(run, n_images, batch_size)


def _timed(run, n_images: int, batch_size: int) -> dict:
    """Time all images after a warm-up with one batch."""
    from nsdrecon.logs import peak_memory_mb

    start = time.perf_counter()
    run(range(min(batch_size, n_images)))
    warm = time.perf_counter()
    run(range(n_images))
    return {
        "warm_up": warm - start,
        "seconds": time.perf_counter() - warm,
        "peak_mb": peak_memory_mb(),
    }


def _side(side: str, folder: str, n_images: str, threads: str) -> dict:
    import torch

    torch.set_num_threads(int(threads))
    if side == BASELINE:
        return _with_pipeline(Path(folder), int(n_images))
    return _with_nsdrecon(Path(folder), int(n_images), *SIDES[side])


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        print(json.dumps(_side(*sys.argv[1:])))
    else:
        main()
