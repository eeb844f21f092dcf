"""Validation of the diffusion models on held-out scenes, through the workflow's own loop."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel

from nsdrecon.diffusion.backbone import Backbone
from nsdrecon.diffusion.loop import reconstruct
from nsdrecon.diffusion.sampling import Sampling
from nsdrecon.evaluation.similarity import correlation_matrix, told_apart

from .clip import image_embeddings

#: Side in pixels to which a held-out scene is reduced to stand for a stage-1 image.
STAGE_1_SIDE = 8


def blurred(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w, 3) reduced to a few pixels and enlarged again: layout without detail."""
    results = []
    for image in images:
        small = Image.fromarray(image).resize((STAGE_1_SIDE, STAGE_1_SIDE), Image.Resampling.BOX)
        results.append(np.asarray(small.resize(image.shape[1::-1], Image.Resampling.BICUBIC)))
    return np.stack(results)


def sample(
    backbone: Backbone,
    images: np.ndarray,
    conditioning: dict[str, np.ndarray],
    sampling: Sampling,
) -> np.ndarray:
    """One image-to-image sample of each blurred image, uint8 (n, 64, 64, 3)."""
    ids = np.arange(len(images))
    found = reconstruct(
        backbone,
        ids,
        blurred(images),
        conditioning,
        subject="validation",
        seed=0,
        sampling=sampling,
        batch_size=32,
    )
    return found[:, 0]


def sampling_figures(
    backbone: Backbone,
    images: np.ndarray,
    conditioning: dict[str, np.ndarray],
    text: torch.Tensor,
    clip: CLIPModel,
    sampling: Sampling,
) -> dict[str, object]:
    """Figures of image-to-image samples that start from blurred held-out scenes.

    ``text`` are unit text embeddings (n, width) of a caption of each scene. The same figures are
    given for the blurred scenes (what the model starts from) and for the scenes themselves.
    """
    true = image_embeddings(clip, images)
    versions = {
        "samples": sample(backbone, images, conditioning, sampling),
        "blurred": blurred(images),
        "originals": images,
    }
    figures: dict[str, object] = {
        "images": len(images),
        "sampler": sampling.sampler,
        "guidance": sampling.guidance,
        "strength": sampling.strength,
    }
    for name, pictures in versions.items():
        embedding = image_embeddings(clip, pictures)
        apart = told_apart(correlation_matrix(true.numpy(), embedding.numpy()))
        figures[name] = {
            "clip_score": float((embedding * text).sum(-1).mean()),
            "clip_two_way": float(apart.sum() / (len(images) * (len(images) - 1))),
        }
    return figures
