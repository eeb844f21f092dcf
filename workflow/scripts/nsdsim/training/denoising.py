"""What training both latent diffusion models has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor

#: The schedule of Stable Diffusion 1.x, as its published ``scheduler_config.json`` has it.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "prediction_type": "epsilon",
}
#: Signal-to-noise ratio above which timesteps count less (min-SNR weighting, Hang et al. 2023).
SNR_LIMIT = 5.0
#: Cumulative share of the training timesteps: most are those of image-to-image at strength 0.75.
LEVELS = ((0.0, 0.92, 1.0), (0, 780, 1000))
#: Share of the batches' rows whose condition is that of "nothing", for guidance.
DROPOUT = 0.12
BATCH = 16


def build_unet(width: int) -> UNet2DConditionModel:
    """An untrained U-Net for 4 x 16 x 16 latents: attention at 8 x 8 only, to compute little."""
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(64, 112),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=4,
        norm_num_groups=16,
        time_embedding_dim=128,
    )
    # Backward through torch's fused attention is slow in bfloat16 on a CPU.
    unet.set_attn_processor(AttnProcessor())
    return unet


@dataclass(frozen=True)
class Captions:
    """Features of captions: unique captions once, and which of them each image has.

    Attributes
    ----------
    unique
        float16 (n_unique, tokens, width).
    places
        int64 (n_images, n_captions), rows of ``unique``.
    """

    unique: torch.Tensor
    places: torch.Tensor

    @classmethod
    def encode(cls, captions: np.ndarray, encoder: Callable[[list[str]], torch.Tensor]) -> Captions:
        """Features of an array of captions (n_images, n_captions)."""
        unique, places = np.unique(captions, return_inverse=True)
        texts = list(map(str, unique))
        parts = [encoder(texts[i : i + 500]).half() for i in range(0, len(texts), 500)]
        return cls(torch.cat(parts), torch.from_numpy(places.reshape(captions.shape)))

    def mean(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean over the captions of images, float32 (n, tokens, width)."""
        return self.unique[self.places[rows]].float().mean(1)

    def single(self, rows: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """One caption, drawn anew, of each image, float32 (n, tokens, width)."""
        choice = torch.from_numpy(rng.integers(self.places.shape[1], size=len(rows)))
        return self.unique[self.places[rows, choice]].float()

    def draw(self, rows: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """For each image either one of its captions or, as the regression predicts it, the mean."""
        mean = torch.from_numpy(rng.random((len(rows), 1, 1)) < 0.5)
        return torch.where(mean, self.mean(rows), self.single(rows, rng))


def corrupt(
    features: torch.Tensor, deviation: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Features as uncertain as predictions from brain activity.

    A third of the rows get Gaussian noise of up to 0.6 of each feature's ``deviation`` over images,
    a fifth are mixed with up to 0.4 of another row's.
    """
    n = len(features)
    amount = rng.uniform(0, 0.6, size=(n, 1, 1)) * (rng.random((n, 1, 1)) < 0.33)
    noise = rng.standard_normal(features.shape, dtype=np.float32)
    share = rng.uniform(0, 0.4, size=(n, 1, 1)) * (rng.random((n, 1, 1)) < 0.2)
    mixed = torch.lerp(features, features.roll(1, 0), torch.from_numpy(share).float())
    return mixed + torch.from_numpy(noise * amount.astype(np.float32)) * deviation


class NoiseLoss:
    """Error of the predicted noise, weighted by min-SNR."""

    def __init__(self) -> None:
        self.scheduler = DDPMScheduler(**SCHEDULE, clip_sample=False)
        kept = self.scheduler.alphas_cumprod
        snr = kept / (1 - kept)
        self.weight = snr.clamp(max=SNR_LIMIT) / snr

    def __call__(
        self,
        predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        latents: torch.Tensor,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """Loss of ``predict(noisy latents, timesteps)``, timesteps stratified over the batch."""
        n = len(latents)
        level = (np.arange(n) + rng.random(n)) / n
        timesteps = torch.from_numpy(np.interp(level, *LEVELS).astype(np.int64))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        error = (predict(noisy, timesteps).float() - noise).square().mean(dim=(1, 2, 3))
        return (self.weight[timesteps] * error).mean()
