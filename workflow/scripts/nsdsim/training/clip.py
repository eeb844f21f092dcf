"""A small CLIP: tokenizer, text and vision towers, trained with the contrastive loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from nsdrecon.clip_features import CLIP_MEAN, CLIP_STD

from .loop import Optimisation, fit

START, END = "<|startoftext|>", "<|endoftext|>"
#: Tokens of a caption with its start and end; the longest caption of the scenes has 17.
TOKENS = 20
SIZE, PATCH, WIDTH = 64, 8, 128
BATCH = 128
#: Peak shift of a training image in pixels.
SHIFT = 3


def build_tokenizer(captions: np.ndarray) -> CLIPTokenizer:
    """CLIP's byte-pair tokenizer, trained until each word of the captions is one token.

    All 256 bytes are in the vocabulary, so that any other text can be encoded too; the two special
    tokens come last, as in the published vocabulary.
    """
    blank = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=10_000,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
    )
    learner.train_from_iterator(map(str, captions.ravel()), trainer)
    model = json.loads(learner.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    ends = [f"{letter}</w>" for letter in sorted(ByteLevel.alphabet())]
    tokens = list(dict.fromkeys([*tokens, *ends, START, END]))
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[tuple(pair) for pair in model["merges"]],
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=TOKENS,
    )


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the tokenizer with the ``vocab.json`` and ``merges.txt`` that every reader knows."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def token_ids(tokenizer: CLIPTokenizer, captions: np.ndarray) -> torch.Tensor:
    """Token ids (..., tokens) of an array of captions."""
    unique, places = np.unique(captions, return_inverse=True)
    ids = tokenizer(
        list(map(str, unique)), padding="max_length", max_length=TOKENS, truncation=True
    ).input_ids
    return torch.tensor(ids)[torch.from_numpy(places.reshape(captions.shape))]


def build(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIP with three text layers and four vision layers."""
    shared = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_attention_heads": 4,
        "projection_dim": WIDTH,
    }
    text = {
        **shared,
        "num_hidden_layers": 3,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": TOKENS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {**shared, "num_hidden_layers": 4, "image_size": SIZE, "patch_size": PATCH}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def pixels(images: np.ndarray) -> torch.Tensor:
    """Standardised pixels (n, 3, 64, 64) of uint8 images (n, 64, 64, 3)."""
    values = (images.astype(np.float32) / 255 - CLIP_MEAN) / CLIP_STD
    return torch.from_numpy(values).permute(0, 3, 1, 2).contiguous()


def _augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shifted by a few pixels, brighter or darker, with noise: a cue must survive all of it."""
    n = len(images)
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    rows, columns = rng.integers(0, 2 * SHIFT + 1, size=(2, n))
    moved = np.stack(
        [padded[i, rows[i] : rows[i] + SIZE, columns[i] : columns[i] + SIZE] for i in range(n)]
    ).astype(np.float32)
    gain = rng.uniform(0.85, 1.15, size=(n, 1, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(moved.shape, dtype=np.float32)
    noise *= rng.uniform(0, 12, size=(n, 1, 1, 1)).astype(np.float32)
    return np.clip(moved * gain + noise, 0, 255)


def train(
    images: np.ndarray, captions: np.ndarray, steps: int, work: Path
) -> tuple[CLIPModel, CLIPTokenizer]:
    """Train on uint8 images (n, 64, 64, 3) with captions (n, 5)."""
    tokenizer = build_tokenizer(captions)
    ids = token_ids(tokenizer, captions)
    torch.manual_seed(0)
    model = build(tokenizer)

    def batch_loss(rng: np.random.Generator) -> torch.Tensor:
        rows = rng.choice(len(images), size=BATCH, replace=False)
        chosen = ids[torch.from_numpy(rows), torch.from_numpy(rng.integers(5, size=BATCH))]
        output = model(input_ids=chosen, pixel_values=pixels(_augment(images[rows], rng)))
        # Captions repeat: a scene with the same caption is as good a match as the scene itself.
        same = (chosen[:, None] == chosen[None]).all(-1).float()
        target = same / same.sum(1, keepdim=True)
        logits = output.logits_per_text
        return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))

    optimisation = Optimisation(learning_rate=1.5e-3, weight_decay=0.05, average=0.98)
    return fit(model, batch_loss, steps, optimisation, work / "clip.pt"), tokenizer


@torch.inference_mode()
def image_embeddings(model: CLIPModel, images: np.ndarray) -> torch.Tensor:
    """Unit image embeddings (n, width) of uint8 images."""
    parts = [
        model.vision_model(pixels(images[i : i + 200])).pooler_output
        for i in range(0, len(images), 200)
    ]
    return F.normalize(model.visual_projection(torch.cat(parts)), dim=-1)


@torch.inference_mode()
def text_embeddings(model: CLIPModel, ids: torch.Tensor) -> torch.Tensor:
    """Unit text embeddings (n, width) of token ids (n, tokens)."""
    parts = [model.text_model(part).pooler_output for part in ids.split(500)]
    return F.normalize(model.text_projection(torch.cat(parts)), dim=-1)


def validate(
    model: CLIPModel, tokenizer: CLIPTokenizer, images: np.ndarray, captions: np.ndarray
) -> dict[str, float]:
    """Retrieval among 100 held-out scenes.

    ``image_to_text_top1`` asks whether the closest of 100 captions, the second of each scene, is
    the image's own; ``text_to_image_top1`` the reverse. Chance is 0.01.
    """
    text = text_embeddings(model, token_ids(tokenizer, captions[:, 1]))
    image = image_embeddings(model, images)
    scores = {"image_to_text_top1": [], "text_to_image_top1": []}
    for first in range(0, len(images) - 99, 100):
        similarity = image[first : first + 100] @ text[first : first + 100].T
        right = torch.arange(100)
        scores["image_to_text_top1"].append((similarity.argmax(1) == right).float().mean())
        scores["text_to_image_top1"].append((similarity.argmax(0) == right).float().mean())
    result = {name: float(np.mean(values)) for name, values in scores.items()}
    return {**result, "images": len(images)}
