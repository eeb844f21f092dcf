"""Stage 2: one image-to-image loop for both backbones and samplers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from diffusers.models.transformers.dual_transformer_2d import DualTransformer2DModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img

from diffusion_models import IDS, inputs
from nsdrecon.clip_features import TextEncoder, VisionEncoder
from nsdrecon.diffusion.backbone import Backbone, BackboneSpec, to_pixels
from nsdrecon.diffusion.loop import ReconstructionError, reconstruct
from nsdrecon.diffusion.sampling import Sampling, build_scheduler
from nsdrecon.diffusion.stable_diffusion import StableDiffusion
from nsdrecon.diffusion.versatile_diffusion import DualTransformer, VersatileDiffusion
from nsdrecon.errors import InputError
from nsdrecon.randomness import integer_seed

SHORT = {"steps": 4, "strength": 0.75}
KEY = {"subject": "subj02", "seed": 4}


@pytest.fixture(scope="module")
def sd(sd_folder) -> StableDiffusion:
    return StableDiffusion.load(sd_folder)


@pytest.fixture(scope="module")
def vd(vd_folder) -> VersatileDiffusion:
    return VersatileDiffusion.load(vd_folder)


@pytest.fixture(params=["sd", "vd"])
def backbone(request) -> Backbone:
    return request.getfixturevalue(request.param)


def rows(conditioning: Mapping[str, np.ndarray], index: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[index] for name, values in conditioning.items()}


def assert_same_pictures(found: np.ndarray, expected: np.ndarray) -> None:
    """At most 1 grey level, on at most 0.1 % of the bytes."""
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


class PerfectModel(Backbone):
    """Knows the image that every latent came from, and predicts its noise exactly.

    Latents are pixels. The attributes ``largest``, ``broken`` and ``flat`` make it fail.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.spec = BackboneSpec(
            folder=Path("perfect"),
            image_size=8,
            latent_shape=(3, 8, 8),
            latent_scale=1.0,
            conditioning={"target": (64, 3)},
            scheduler={
                "num_train_timesteps": 1000,
                "beta_start": 0.00085,
                "beta_end": 0.012,
                "beta_schedule": "scaled_linear",
                # Without this DDIM ends at the first alpha-bar and leaves a little noise.
                "set_alpha_to_one": True,
            },
        )
        self.device = torch.device("cpu")
        self.dtype = dtype
        self.unet = self.vae = torch.nn.Conv2d(1, 1, 1, dtype=dtype)
        self.unet.dtype = dtype
        self.compiled = None
        self.unconditional = {"target": torch.zeros(1, 64, 3)}
        self.alpha_bar = build_scheduler(self.spec.scheduler, Sampling()).alphas_cumprod
        self.largest = 100
        self.broken: set[torch.dtype] = set()
        self.flat = False
        self.calls: list[tuple[int, int]] = []
        self.first_latents: torch.Tensor | None = None

    @classmethod
    def describe(cls, folder) -> BackboneSpec:
        return cls().spec

    @classmethod
    def load(cls, folder, **options) -> PerfectModel:
        return cls()

    def predict(self, latents, timestep, condition):
        self.calls.append((len(latents) // 2, timestep))
        if len(latents) // 2 > self.largest:
            raise torch.OutOfMemoryError("not enough memory")
        if self.first_latents is None:
            self.first_latents = latents.chunk(2)[0]
        context = condition["encoder_hidden_states"].float()
        target = context.transpose(1, 2).reshape(latents.shape)
        a = self.alpha_bar[timestep]
        noise = (latents - a.sqrt() * target) / (1 - a).sqrt()
        # The unconditional half predicts what the conditional half does, whatever the guidance.
        return noise.chunk(2)[1].repeat(2, 1, 1, 1)

    def encode(self, images, noise=None):
        return images

    def decode(self, latents):
        if self.dtype in self.broken:
            return latents * float("nan")
        return latents * 0 if self.flat else latents


def perfect_inputs(n: int = 5) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Ids, target images and the conditioning that tells the perfect model the targets."""
    targets = np.random.default_rng(1).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    pixels = to_pixels(targets, 8).flatten(2).transpose(1, 2).numpy()
    return np.arange(n) + 10, targets, {"target": pixels}


# The loop


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_perfect_noise_prediction_leads_to_the_image_whatever_the_first_image(sampler):
    ids, targets, conditioning = perfect_inputs()
    start = np.random.default_rng(2).integers(0, 256, targets.shape, dtype=np.uint8)
    found = reconstruct(PerfectModel(), ids, start, conditioning, **KEY, sampling=Sampling(sampler))
    assert np.abs(found[:, 0].astype(int) - targets).max() <= 1


def test_inputs_of_the_unet_are_batched_by_name_unconditional_ones_first():
    class Told(PerfectModel):
        def condition(self, features):
            group = {"mean": features["target"].mean(dim=(1, 2))}
            return {**super().condition(features), "added_cond_kwargs": group}

        def predict(self, latents, timestep, condition):
            self.told = condition["added_cond_kwargs"]["mean"]
            return super().predict(latents, timestep, condition)

    model = Told()
    ids, targets, conditioning = perfect_inputs(2)
    reconstruct(model, ids, targets, conditioning, **KEY)
    means = torch.from_numpy(conditioning["target"].mean(axis=(1, 2)))
    torch.testing.assert_close(model.told, torch.cat([torch.zeros(2), means]))


@pytest.mark.parametrize(("start", "timestep"), [("aligned", 721), ("brain-diffuser", 741)])
def test_the_first_image_is_noised_to_the_start_timestep_and_denoised_from_721(start, timestep):
    model = PerfectModel()
    ids, _, conditioning = perfect_inputs(1)
    images = np.full((1, 8, 8, 3), 200, dtype=np.uint8)
    reconstruct(model, ids, images, conditioning, **KEY, sampling=Sampling(start=start))
    generator = torch.Generator().manual_seed(integer_seed(4, "subj02", 10, 0, "stage2-start"))
    noise = torch.randn((3, 8, 8), generator=generator)
    a = model.alpha_bar[timestep]
    expected = a.sqrt() * to_pixels(images, 8)[0] + (1 - a).sqrt() * noise
    torch.testing.assert_close(model.first_latents[0], expected)
    assert [call[1] for call in model.calls] == list(range(721, 0, -20))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_an_image_is_the_same_in_any_batch_order_and_shard(backbone, sampler):
    images, conditioning = inputs(backbone.spec)
    settings = {**KEY, "sampling": Sampling(sampler, encoding="sample", **SHORT), "samples": 2}
    whole = reconstruct(backbone, IDS, images, conditioning, batch_size=4, **settings)
    assert whole.shape == (5, 2, 32, 32, 3)
    order = np.array([3, 0, 4, 2, 1])
    single = reconstruct(
        backbone, IDS[order], images[order], rows(conditioning, order), batch_size=1, **settings
    )
    assert_same_pictures(single, whole[order])
    shard = np.array([1, 3])
    part = reconstruct(
        backbone, IDS[shard], images[shard], rows(conditioning, shard), batch_size=3, **settings
    )
    assert_same_pictures(part, whole[shard])


def test_noise_depends_on_seed_subject_and_sample(sd):
    images, conditioning = inputs(sd.spec)
    arguments = (sd, IDS[:1], images[:1], rows(conditioning, np.array([0])))
    sampling = Sampling(**SHORT)
    first = reconstruct(*arguments, subject="subj01", seed=1, sampling=sampling, samples=2)
    for other in (
        first[:, 1],
        reconstruct(*arguments, subject="subj01", seed=2, sampling=sampling)[:, 0],
        reconstruct(*arguments, subject="subj02", seed=1, sampling=sampling)[:, 0],
    ):
        assert np.abs(first[:, 0].astype(int) - other).mean() > 5


def test_sampled_first_latents_differ_from_their_mean(sd):
    images, conditioning = inputs(sd.spec)
    mean, sample = (
        reconstruct(
            sd, IDS, images, conditioning, **KEY, sampling=Sampling(encoding=encoding, **SHORT)
        )
        for encoding in ("mean", "sample")
    )
    assert (mean != sample).mean() > 0.5


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_stable_diffusion_equals_the_diffusers_pipeline_with_the_same_noise(
    sd, sd_folder, sampler, monkeypatch
):
    images, conditioning = inputs(sd.spec)
    sampling = Sampling(sampler, **SHORT)
    found = reconstruct(sd, IDS, images, conditioning, **KEY, sampling=sampling)

    pipeline = StableDiffusionImg2ImgPipeline(
        vae=sd.vae,
        unet=sd.unet,
        scheduler=build_scheduler(sd.spec.scheduler, sampling),
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    keyed = {
        stage: [
            torch.Generator().manual_seed(integer_seed(4, "subj02", int(identity), 0, stage))
            for identity in IDS
        ]
        for stage in ("stage2-start", "stage2-steps")
    }
    start = torch.stack([torch.randn((4, 16, 16), generator=row) for row in keyed["stage2-start"]])
    monkeypatch.setattr(pipeline_stable_diffusion_img2img, "randn_tensor", lambda *_, **__: start)
    posterior = sd.vae.encode(to_pixels(images, 32)).latent_dist
    empty = TextEncoder(sd_folder, projected=False).encode([""])
    expected = pipeline(
        image=posterior.mean * sd.vae.config.scaling_factor,
        prompt_embeds=torch.from_numpy(conditioning["text"]),
        negative_prompt_embeds=empty.expand(len(IDS), -1, -1),
        num_inference_steps=sampling.steps,
        strength=sampling.strength,
        guidance_scale=sampling.guidance,
        generator=keyed["stage2-steps"],
        output_type="np",
    ).images
    assert_same_pictures(found[:, 0], np.rint(expected * 255).astype(np.uint8))


def test_out_of_memory_halves_the_batch_and_goes_on(caplog):
    ids, targets, conditioning = perfect_inputs(7)
    expected = reconstruct(PerfectModel(), ids, targets, conditioning, **KEY)
    model = PerfectModel()
    model.largest = 2
    with caplog.at_level(logging.WARNING):
        found = reconstruct(model, ids, targets, conditioning, **KEY, batch_size=7)
    np.testing.assert_array_equal(found, expected)
    # 7 fail at once, then 4, then 2 fit; the size does not change again, the last batch is filled.
    sizes = [size for size, timestep in model.calls if timestep == 721]
    assert sizes == [7, 4, 2, 2, 2, 2]
    assert "out of memory with 7 images, on with 4" in caplog.text


class LosingMemory(PerfectModel):
    """One that another program takes memory from after the first batch."""

    def predict(self, latents, timestep, condition):
        if self.calls and timestep == self.calls[0][1]:
            self.largest = 2
        return super().predict(latents, timestep, condition)


def test_a_last_batch_that_was_filled_is_halved_by_its_rows(caplog):
    ids, targets, conditioning = perfect_inputs(5)
    expected = reconstruct(PerfectModel(), ids, targets, conditioning, **KEY)
    model = LosingMemory()
    with caplog.at_level(logging.WARNING):
        found = reconstruct(model, ids, targets, conditioning, **KEY, batch_size=4)
    np.testing.assert_array_equal(found, expected)
    assert [size for size, timestep in model.calls if timestep == 721] == [4, 4, 2]
    assert "out of memory with 4 images, on with 2" in caplog.text


def test_out_of_memory_with_one_image_is_an_error():
    model = PerfectModel()
    model.largest = 0
    ids, targets, conditioning = perfect_inputs(2)
    with pytest.raises(torch.OutOfMemoryError):
        reconstruct(model, ids, targets, conditioning, **KEY)


def test_images_that_fail_in_half_precision_are_made_in_float32(caplog):
    model = PerfectModel(torch.bfloat16)
    model.broken = {torch.bfloat16}
    ids, targets, conditioning = perfect_inputs(2)
    with caplog.at_level(logging.WARNING):
        found = reconstruct(model, ids, targets, conditioning, **KEY)
    assert np.abs(found[:, 0].astype(int) - targets).max() <= 2  # bfloat16 context
    assert model.dtype is torch.bfloat16
    assert "nsd_id 10 sample 0, nsd_id 11 sample 0" in caplog.text


@pytest.mark.parametrize("fault", ["flat", "not finite"])
def test_images_that_fail_in_float32_too_are_named_and_never_returned(fault):
    model = PerfectModel(torch.bfloat16)
    model.flat = fault == "flat"
    model.broken = {torch.bfloat16, torch.float32} if fault == "not finite" else set()
    ids, targets, conditioning = perfect_inputs(2)
    with pytest.raises(ReconstructionError, match="nsd_id 10 sample 0, nsd_id 11 sample 0"):
        reconstruct(model, ids, targets, conditioning, **KEY)


# Precision


def test_half_precision_is_close_to_float32(sd_folder, sd):
    images, conditioning = inputs(sd.spec)
    half = StableDiffusion.load(sd_folder, dtype=torch.bfloat16)
    settings = {**KEY, "sampling": Sampling(guidance=2.0, **SHORT)}
    found = reconstruct(half, IDS, images, conditioning, **settings)
    expected = reconstruct(sd, IDS, images, conditioning, **settings)
    assert np.abs(found.astype(int) - expected).mean() < 4


def test_the_autoencoder_decodes_in_float32_what_overflows_in_half_precision(
    sd_folder, sd, monkeypatch, caplog
):
    half = StableDiffusion.load(sd_folder, dtype=torch.bfloat16)
    decode = half.vae.decode

    def overflowing(latents: torch.Tensor):
        output = decode(latents)
        if latents.dtype is torch.bfloat16:
            output.sample[1] = float("inf")
        return output

    monkeypatch.setattr(half.vae, "decode", overflowing)
    latents = torch.randn((3, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    found = half.decode(latents)
    assert "1 images decoded again in float32" in caplog.text
    assert half.vae.dtype is torch.bfloat16
    torch.testing.assert_close(found, sd.decode(latents), rtol=0, atol=0.05)


def test_the_compiled_unet_is_used_after_a_warm_up_that_is_logged(
    sd_folder, sd, monkeypatch, caplog
):
    sizes = []

    def compile_module(module: torch.nn.Module):
        def compiled(sample, *arguments, **keywords):
            sizes.append(len(sample))
            return module(sample, *arguments, **keywords)

        return compiled

    monkeypatch.setattr(torch, "compile", compile_module)
    model = StableDiffusion.load(sd_folder, compile_unet=True)
    images, conditioning = inputs(sd.spec)
    settings = {**KEY, "sampling": Sampling(**SHORT), "batch_size": 4}
    with caplog.at_level(logging.INFO):
        found = reconstruct(model, IDS, images, conditioning, **settings)
    np.testing.assert_array_equal(found, reconstruct(sd, IDS, images, conditioning, **settings))
    # Guidance doubles the batch: warm-up and 3 steps with 4 images, then 3 steps with the last one.
    assert sizes == [8] * 7
    assert "torch.compile warm-up" in caplog.text


# Versatile Diffusion


def test_dual_transformer_equals_that_of_diffusers():
    torch.manual_seed(0)
    settings = {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "in_channels": 16,
        "norm_num_groups": 4,
        "cross_attention_dim": 32,
    }
    reference = DualTransformer2DModel(**settings).eval()
    assert all(isinstance(part, Transformer2DModel) for part in reference.transformers)
    reference.mix_ratio = 0.4
    reference.condition_lengths = [12, 17]
    vision, text = reference.transformers
    dual = DualTransformer(vision, text, text_tokens=12, text_weight=0.4)
    hidden, context = torch.randn(2, 16, 8, 8), torch.randn(2, 29, 32)
    with torch.inference_mode():
        found = dual(hidden, context, encoder_attention_mask=None, return_dict=False)[0]
        expected = reference(hidden, context, return_dict=False)[0]
    torch.testing.assert_close(found, expected)


def test_unconditional_is_the_empty_text_and_a_grey_image(vd, vd_folder):
    grey = np.full((1, 40, 40, 3), 127, dtype=np.uint8)
    torch.testing.assert_close(vd.unconditional["vision"], VisionEncoder(vd_folder).encode(grey))
    torch.testing.assert_close(
        vd.unconditional["text"], TextEncoder(vd_folder, projected=True).encode([""])
    )


@pytest.mark.parametrize(
    ("weight", "used", "unused"), [(1.0, "text", "vision"), (0.0, "vision", "text")]
)
def test_the_text_weight_mixes_text_and_vision(vd_folder, weight, used, unused):
    model = VersatileDiffusion.load(vd_folder, text_weight=weight)
    images, conditioning = inputs(model.spec)
    settings = {**KEY, "sampling": Sampling(**SHORT)}
    first = reconstruct(model, IDS, images, conditioning, **settings)
    for name, equal in ((unused, True), (used, False)):
        changed = conditioning | {name: conditioning[name][::-1].copy()}
        second = reconstruct(model, IDS, images, changed, **settings)
        assert np.array_equal(first[:2], second[:2]) == equal


def test_text_weight_outside_0_to_1_is_refused(vd_folder):
    with pytest.raises(InputError, match="text_weight"):
        VersatileDiffusion.load(vd_folder, text_weight=1.5)
