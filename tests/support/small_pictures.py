"""Small reconstructions and a small CLIP for the tests of the evaluation and of what shows it."""

import numpy as np
import torch
from transformers import CLIPConfig, CLIPModel

from nsdrecon.evaluation.scoring import Scored, evaluate
from nsdrecon.store import write_arrays

N_IMAGES = 10
NSD_ID = np.array([7, 300, 2, 41, 5, 90, 13, 8, 21, 60])


def mosaics(n_images):
    """Mosaics of 5 x 5 colours, uint8 (n_images, 5, 5, 3)."""
    return np.random.default_rng(0).integers(0, 256, (n_images, 5, 5, 3), dtype=np.uint8)


def enlarged(pictures, factor):
    return pictures.repeat(factor, axis=-3).repeat(factor, axis=-2)


def write_stimuli(path, nsd_id):
    """Seen images, 85 x 85."""
    write_arrays(path, nsd_id, {"images": enlarged(mosaics(len(nsd_id)), 17)})
    return path


def write_system(path, nsd_id, *, system="sd-ddpm", subject="subj01", noise=60, samples=1):
    """Noisy versions of :func:`write_stimuli` at 40 x 40; the noise depends on the system."""
    base = mosaics(len(nsd_id)).astype(int)[:, None].repeat(samples, axis=1)
    generator = np.random.default_rng(sum(map(ord, system + subject)))
    noisy = np.clip(base + generator.integers(-noise, noise + 1, base.shape), 0, 255)
    images = enlarged(noisy.astype(np.uint8), 8)
    write_arrays(path, nsd_id, {"images": images}, {"system": system, "subject": subject})
    return path


def evaluated(reconstructions, stimuli, output, *, shuffled=None, **options):
    """The table of one system, scored alone."""
    (table,) = evaluate([Scored(reconstructions, output, shuffled)], stimuli, **options)
    return table


def write_clip(folder):
    """A random CLIP of the smallest kind, as saved by transformers."""
    torch.manual_seed(0)
    tower = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": 60,
            "max_position_embeddings": 8,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    return folder
