"""Scenes for training and validation, drawn once and kept in a cache folder."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from nsdrecon.randomness import generator
from nsdrecon.whole_files import whole_file
from nsdsim.scenes import caption_scene, draw_scene, sample_scene

logger = logging.getLogger(__name__)

#: Side of the drawings in pixels.
SIZE = 64
#: Scenes are keyed by this word, so that they are other draws than the simulated stimuli.
STREAM = "demo-models"


def _draw(task: tuple[str, int, int, int]) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Scenes ``first`` to ``last`` (exclusive) of a split, with their captions."""
    split, seed, first, last = task
    images = np.empty((last - first, SIZE, SIZE, 3), dtype=np.uint8)
    captions = []
    for row, index in enumerate(range(first, last)):
        scene = sample_scene(generator(STREAM, split, seed, index))
        images[row] = draw_scene(scene, SIZE)
        captions.append(tuple(caption_scene(scene)))
    return images, captions


def training_images(
    n: int, seed: int, cache: str | Path, *, split: str = "train", workers: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Drawn scenes with their captions; drawn at the first call, read from the cache after it.

    Parameters
    ----------
    n
        Number of scenes.
    seed, split
        Key of the scenes, beside their index; scenes of two splits or seeds are different draws.
    cache
        Folder for the drawings (``{split}-{seed}-{n}.npz``).

    Returns
    -------
    images
        uint8 (n, 64, 64, 3).
    captions
        Unicode strings (n, 5).
    """
    path = Path(cache) / f"{split}-{seed}-{n}.npz"
    if not path.exists():
        chunk = 500
        tasks = [(split, seed, i, min(i + chunk, n)) for i in range(0, n, chunk)]
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(_draw, tasks))
        images = np.concatenate([part[0] for part in parts])
        captions = np.array([row for part in parts for row in part[1]])
        with whole_file(path) as partial, partial.open("wb") as stream:
            np.savez(stream, images=images, captions=captions)
        logger.info("drew %d %s scenes", n, split)
    with np.load(path, allow_pickle=False) as file:
        return file["images"], file["captions"]
