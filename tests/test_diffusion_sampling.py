"""Schedulers: the right timesteps, the right posterior, and nothing clipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import assume, given
from hypothesis import strategies as st

from nsdrecon.diffusion.sampling import Sampling, add_noise, build_scheduler, plan, step
from nsdrecon.errors import InputError

# What the published Stable Diffusion 1.x folders hold (the class there is PNDMScheduler).
CONFIG = {
    "_class_name": "PNDMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
SHAPE = (2, 4, 8, 8)


def alpha_bar() -> np.ndarray:
    """Products of the alphas in float64, from the definition of the schedule."""
    betas = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), 1000) ** 2
    return np.cumprod(1 - betas)


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(SHAPE[0])]


def noise_of(rows: list[torch.Generator]) -> torch.Tensor:
    return torch.stack([torch.randn(SHAPE[1:], generator=row) for row in rows])


def prediction(latents: torch.Tensor, timestep: int) -> torch.Tensor:
    """Stands for a U-Net: depends on latents and timestep, and not linearly."""
    return torch.sin(3 * latents + timestep / 100)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_noise_level_and_first_step_are_at_the_same_timestep(sampler):
    sampling = Sampling(sampler, steps=50, strength=0.75)
    run = plan(build_scheduler(CONFIG, sampling), sampling)
    assert run.start == run.timesteps[0] == 721
    assert run.timesteps == tuple(range(721, 0, -20))
    assert len(run.timesteps) == 37


def test_brain_diffuser_start_is_one_timestep_noisier():
    sampling = Sampling(start="brain-diffuser")
    scheduler = build_scheduler(CONFIG, sampling)
    run = plan(scheduler, sampling)
    assert (run.start, run.timesteps[0], len(run.timesteps)) == (741, 721, 37)
    ones, none = torch.ones(1, 1), torch.zeros(1, 1)
    for timestep, expected in ((741, 0.0604), (721, 0.0705)):
        assert add_noise(scheduler, ones, none, timestep).item() ** 2 == pytest.approx(
            expected, abs=5e-5
        )


@given(
    steps=st.integers(1, 1000),
    strength=st.floats(0.001, 1),
    sampler=st.sampled_from(["ddim", "ddpm"]),
)
def test_every_valid_setting_runs_a_descending_part_of_the_trained_chain(steps, strength, sampler):
    assume(steps * strength >= 1)
    sampling = Sampling(sampler, steps=steps, strength=strength)
    run = plan(build_scheduler(CONFIG, sampling), sampling)
    assert len(run.timesteps) == sampling.steps_run
    assert abs(sampling.steps_run - steps * strength) < 1
    assert run.start == run.timesteps[0] < 1000
    assert list(run.timesteps) == sorted(set(run.timesteps), reverse=True)
    assert run.timesteps[-1] >= 0


@pytest.mark.parametrize(
    ("steps", "last"), [(1000, 0), (999, 1), (500, 1), (50, 1)], ids=["all", "but one", "500", "50"]
)
def test_the_offset_is_used_where_the_chain_has_room_for_it(steps, last):
    stride = 1000 // steps
    found = build_scheduler(CONFIG, Sampling(steps=steps)).timesteps.tolist()
    assert found == [last + stride * number for number in reversed(range(steps))]


def test_a_folder_that_leaves_out_what_published_ones_say_is_taken_as_they_are():
    left_out = {key: CONFIG[key] for key in set(CONFIG) - {"steps_offset", "set_alpha_to_one"}}
    said, unsaid = (build_scheduler(config, Sampling("ddim")) for config in (CONFIG, left_out))
    assert unsaid.timesteps.tolist() == said.timesteps.tolist()
    assert unsaid.final_alpha_cumprod == said.final_alpha_cumprod


def test_steps_are_counted_without_floating_point_loss():
    assert 50 * 0.58 < 29
    assert Sampling(steps=50, strength=0.58).steps_run == 29


def test_ddpm_equals_ddim_with_eta_1():
    sampling = Sampling("ddpm", steps=50, strength=1.0)
    ddpm = build_scheduler(CONFIG, sampling)
    # DDPM ends at x_0, so its counterpart takes the last alpha-bar as 1.
    ddim = DDIMScheduler(
        **{key: CONFIG[key] for key in ("beta_start", "beta_end", "beta_schedule", "steps_offset")},
        clip_sample=False,
        set_alpha_to_one=True,
    )
    ddim.set_timesteps(50)
    # In float64, so that the formulas are compared and not the rounding of the tables.
    ddpm.alphas_cumprod = ddim.alphas_cumprod = ddim.alphas_cumprod.double()
    ancestral, other = generators(), generators()
    x = y = noise_of(generators()).double()
    for timestep in plan(ddpm, sampling).timesteps:
        x = step(ddpm, prediction(x, timestep), timestep, x, ancestral)
        # The draws of DDPM are of the type of the prediction, float64 here.
        noise = torch.stack(
            [torch.randn(SHAPE[1:], generator=row, dtype=torch.float64) for row in other]
        )
        y = ddim.step(
            prediction(y, timestep), timestep, y, eta=1.0, variance_noise=noise
        ).prev_sample
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_ddpm_at_1000_steps_is_the_textbook_posterior(variance):
    """Ho et al. 2020, eq. 6 and 7, written out in float64."""
    scheduler = build_scheduler(CONFIG, Sampling("ddpm", steps=1000, variance=variance))
    a_bar = alpha_bar()
    x = noise_of(generators())
    for t in (1, 2, 37, 500, 750, 999):
        e = prediction(x, t)
        a, a_previous = a_bar[t], a_bar[t - 1]
        beta = 1 - a / a_previous
        x0 = (x - math.sqrt(1 - a) * e) / math.sqrt(a)
        mean = (
            math.sqrt(a_previous) * beta / (1 - a) * x0
            + math.sqrt(1 - beta) * (1 - a_previous) / (1 - a) * x
        )
        posterior = beta * (1 - a_previous) / (1 - a)
        deviation = math.sqrt(posterior if variance == "fixed_small" else beta)
        expected = mean + deviation * noise_of(generators())
        found = step(scheduler, e, t, x, generators())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_ddim_follows_its_equation():
    """Song et al. 2021, eq. 12 with sigma 0; the last step goes to the first alpha-bar."""
    scheduler = build_scheduler(CONFIG, Sampling("ddim", steps=50))
    a_bar = alpha_bar()
    x = noise_of(generators())
    for t, previous in ((721, 701), (21, 1), (1, 0)):
        e = prediction(x, t)
        x0 = (x - math.sqrt(1 - a_bar[t]) * e) / math.sqrt(a_bar[t])
        expected = math.sqrt(a_bar[previous]) * x0 + math.sqrt(1 - a_bar[previous]) * e
        torch.testing.assert_close(step(scheduler, e, t, x, []), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_ddpm_adds_no_noise_on_the_last_step(variance):
    scheduler = build_scheduler(CONFIG, Sampling("ddpm", variance=variance))
    x = noise_of(generators())
    e = prediction(x, 1)
    a = alpha_bar()[1]
    x0 = (x - math.sqrt(1 - a) * e) / math.sqrt(a)
    torch.testing.assert_close(step(scheduler, e, 1, x, generators()), x0, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_latents_are_not_clipped_even_if_the_configuration_says_so(sampler):
    scheduler = build_scheduler(CONFIG | {"clip_sample": True}, Sampling(sampler))
    large = torch.full(SHAPE, 14.5)
    found = step(scheduler, torch.zeros(SHAPE), 1, large, generators())
    assert found.min() > 14


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"sampler": "pndm"}, "sampler"),
        ({"variance": "learned"}, "variance"),
        ({"start": "late"}, "start"),
        ({"encoding": "mode"}, "encoding"),
        ({"steps": 0}, "steps"),
        ({"strength": 0.0}, "strength"),
        ({"strength": 1.1}, "strength"),
        ({"steps": 5, "strength": 0.19}, "strength"),
        ({"guidance": float("nan")}, "guidance"),
        ({"strength": 1.0, "start": "brain-diffuser"}, "start"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, name):
    with pytest.raises(InputError) as caught:
        Sampling(**settings)
    assert caught.value.source == name


def test_a_schedule_is_never_guessed():
    without = {key: value for key, value in CONFIG.items() if key != "beta_end"}
    with pytest.raises(InputError, match="beta_end"):
        build_scheduler(without, Sampling())


def test_more_steps_than_the_model_has_timesteps_are_refused():
    with pytest.raises(InputError, match="at least 1001"):
        build_scheduler(CONFIG, Sampling(steps=1001))
