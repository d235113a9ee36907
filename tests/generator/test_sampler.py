"""Schedules against the reference scheduler; the sampler and guidance against their definitions."""

import pytest
import torch

from generator.latents import draw_noise, pack, token_grid, unpack
from generator.sampler import Keep, Trajectory, guide, sample
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


def trajectory(noise, **options):
    return Trajectory(start=noise, noise=noise, **options)


def test_a_straight_field_is_followed_exactly():
    noise, target = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    ends = sample(lambda rows, tokens, step: (noise - target)[rows], [trajectory(part) for part in noise.split(1)],
                  noise_levels(7, 256, QWEN_SCHEDULE))
    torch.testing.assert_close(torch.cat(ends), target, atol=1e-5, rtol=0)


def test_progress_is_told_after_each_step_and_cancelling_one_leaves_the_others():
    seen, rows_seen = {0: [], 1: []}, []

    def velocity(rows, tokens, step):
        rows_seen.append(rows)
        return tokens

    pictures = [trajectory(torch.randn(1, 2, 4), progress=lambda step, steps, row=row: seen[row].append((step, steps)),
                           cancelled=lambda row=row: row == 0 and len(seen[0]) == 2) for row in (0, 1)]
    ends = sample(velocity, pictures, noise_levels(4, 256, QWEN_SCHEDULE))
    assert ends[0] is None
    assert ends[1].shape == (1, 2, 4)
    assert seen == {0: [(1, 4), (2, 4)], 1: [(step, 4) for step in (1, 2, 3, 4)]}
    assert rows_seen == [[0, 1], [0, 1], [1], [1]]


def test_when_all_are_cancelled_nothing_is_computed():
    ends = sample(lambda rows, tokens, step: pytest.fail("called"), [trajectory(torch.randn(1, 2, 4), cancelled=lambda: True)],
                  noise_levels(4, 256, QWEN_SCHEDULE))
    assert ends == [None]


def test_what_is_kept_ends_as_it_was():
    noise, clean = torch.randn(1, 6, 4), torch.randn(1, 6, 4)
    mask = torch.zeros(1, 6, 4)
    mask[:, :2] = 1
    keep = Keep(mask=mask, clean=clean)
    end, = sample(lambda rows, tokens, step: torch.ones_like(tokens), [trajectory(noise, keep=keep)],
                  noise_levels(5, 256, QWEN_SCHEDULE))
    assert torch.equal(end[:, 2:], clean[:, 2:])
    torch.testing.assert_close(end[:, :2], noise[:, :2] - 1)


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


@pytest.mark.parametrize("content", [
    {"use_dynamic_shifting": True}, {"use_dynamic_shifting": False, "shift": 3.0}, {},
    {"use_dynamic_shifting": True, "shift_terminal": 0.02, "max_shift": 0.9, "max_image_seq_len": 8192},
    {"shift": 2.0, "shift_terminal": 0.1}])
def test_a_published_schedule_means_what_it_means_to_the_reference(content):
    import numpy as np
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift

    scheduler = FlowMatchEulerDiscreteScheduler(**content)
    told = scheduler.config
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 9, 9), mu=calculate_shift(
        1024, told.base_image_seq_len, told.max_image_seq_len, told.base_shift, told.max_shift))
    torch.testing.assert_close(noise_levels(9, 1024, ScheduleConfig.read(content)), scheduler.sigmas, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("content", "rule"), [
    ({"time_shift_type": "linear"}, "time_shift_type 'linear'"), ({"use_karras_sigmas": True}, "use_karras_sigmas"),
    ({"max_shift": "big"}, "max_shift 'big' is not a number"), ({"shift": None}, "shift None"),
    ({"use_dynamic_shifting": True, "max_image_seq_len": 256}, "max_image_seq_len")])
def test_a_schedule_of_another_kind_is_refused(content, rule):
    with pytest.raises(ValueError, match=rule):
        ScheduleConfig.read(content)
