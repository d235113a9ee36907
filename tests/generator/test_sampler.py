"""Schedules against the reference scheduler; the sampler and guidance against their definitions."""

import pytest
import torch

from generator.errors import Cancelled
from generator.latents import draw_noise, pack, token_grid, unpack
from generator.sampler import guide, sample
from generator.schedule import QWEN_SCHEDULE, ScheduleConfig, noise_levels


@pytest.mark.parametrize("steps", [2, 4, 8, 25, 50])
@pytest.mark.parametrize("tokens", [16, 256, 1024, 4096, 6889])
@pytest.mark.parametrize("terminal", [0.02, None])
def test_noise_levels_equal_the_reference(steps, tokens, terminal):
    import numpy as np
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift

    config = ScheduleConfig(shift_terminal=terminal)
    scheduler = FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256, base_shift=0.5, max_image_seq_len=8192, max_shift=0.9, use_dynamic_shifting=True,
        shift_terminal=terminal, time_shift_type="exponential")
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=calculate_shift(tokens, 256, 8192, 0.5, 0.9))
    torch.testing.assert_close(noise_levels(steps, tokens, config), scheduler.sigmas, atol=1e-5, rtol=0)


def test_one_step_goes_from_noise_to_picture():
    assert noise_levels(1, 256, QWEN_SCHEDULE).tolist() == [1.0, 0.0]


def test_no_steps_is_refused():
    with pytest.raises(ValueError, match="steps: 0"):
        noise_levels(0, 256, QWEN_SCHEDULE)


def test_a_straight_field_is_followed_exactly():
    noise, target = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    out = sample(lambda tokens, sigma: noise - target, noise, noise_levels(7, 256, QWEN_SCHEDULE))
    torch.testing.assert_close(out, target, atol=1e-5, rtol=0)


def test_progress_is_told_after_each_step_and_cancel_stops_between_steps():
    seen = []
    with pytest.raises(Cancelled, match="step 3 of 9"):
        sample(lambda tokens, sigma: tokens, torch.randn(1, 2, 4), noise_levels(9, 256, QWEN_SCHEDULE),
               progress=lambda step, steps: seen.append((step, steps)), cancelled=lambda: len(seen) == 2)
    assert seen == [(1, 9), (2, 9)]


def test_guidance_keeps_the_conditional_norm_of_each_token():
    conditional, unconditional = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    combined = unconditional + 4.0 * (conditional - unconditional)
    expected = combined * (conditional.norm(dim=-1, keepdim=True) / combined.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(guide(conditional, unconditional, 4.0), expected)
    torch.testing.assert_close(guide(conditional, unconditional, 1.0), conditional)


def test_pack_is_the_published_order_and_unpack_undoes_it():
    from diffusers import QwenImagePipeline

    latents = torch.randn(2, 16, 6, 10)
    tokens = QwenImagePipeline._pack_latents(latents[:, None], 2, 16, 6, 10)
    assert torch.equal(pack(latents), tokens)
    assert torch.equal(unpack(pack(latents), (3, 5)), latents)


@pytest.mark.parametrize(("size", "grid"), [((1024, 1024), (64, 64)), ((1200, 630), (40, 75)), ((1201, 631), (40, 76)),
                                            ((1, 1), (1, 1)), ((16, 17), (2, 1))])
def test_the_token_grid_covers_every_size(size, grid):
    assert token_grid(*size, 8) == grid


def test_a_seed_is_the_same_noise_every_time():
    assert torch.equal(draw_noise((3, 5), 16, 42), draw_noise((3, 5), 16, 42))
    assert not torch.equal(draw_noise((3, 5), 16, 42), draw_noise((3, 5), 16, 43))
