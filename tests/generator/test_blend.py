"""Blending: what stays stays to the bit, offsets vanish, steps at the seam show in the report."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.blend import blend, feather, seam_gradient_ratio


def noise(seed, height=40, width=56):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)) * 255


def box(height=40, width=56, top=10, left=16, rows=20, columns=24):
    alpha = torch.zeros(height, width)
    alpha[top:top + rows, left:left + columns] = 1
    return alpha


NOTHING = torch.zeros(40, 56)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 1), st.sampled_from(["hard", "soft"]), st.booleans())
def test_outside_is_the_master_to_the_bit(seed, share, kind, is_added):
    generator = torch.Generator().manual_seed(seed)
    alpha = (torch.rand(40, 56, generator=generator) < share).float()
    if kind == "soft":
        alpha = alpha * torch.rand(40, 56, generator=generator)
    master, painted = noise(1), noise(2)
    final = blend(painted, master, alpha, torch.full((40, 56), float(is_added)))
    assert torch.equal(final[:, alpha == 0], master[:, alpha == 0])
    assert bool(final.isfinite().all())


def test_all_of_it_is_what_was_painted():
    assert torch.equal(blend(noise(1), noise(2), torch.ones(40, 56), NOTHING), noise(1))


def test_half_painted_everywhere_is_halfway():
    torch.testing.assert_close(blend(noise(1), noise(2), torch.full((40, 56), 0.5), NOTHING), (noise(1) + noise(2)) / 2)


def ramp(across, down, offset):
    return torch.arange(56) * across + torch.arange(40)[:, None] * down + offset


@pytest.mark.parametrize("offset", [ramp(0, 0, 25.0), ramp(0, 0, -70.0), ramp(0.7, -0.4, 3.0)])
@pytest.mark.parametrize("is_added", [False, True])
def test_offsets_of_light_and_colour_vanish(offset, is_added):
    """The same scene, painted too light or tinted towards one side, becomes the scene."""
    master = (ramp(1.5, 0.5, 40.0)).expand(3, -1, -1)
    final = blend(master + offset * torch.tensor([1.0, 0.5, -1]).view(3, 1, 1), master, box(), NOTHING)
    torch.testing.assert_close(final, master.contiguous(), atol=0.05, rtol=0)


def test_painted_detail_stays():
    """Within the region gradients are the painter's: only what is smooth is taken from the seam."""
    master = torch.full((3, 40, 56), 200.0)
    painted = torch.full((3, 40, 56), 120.0)
    painted[:, 18:22, 26:30] += 60
    final = blend(painted, master, box(), NOTHING)
    assert float(final[:, 19, 27].mean()) == pytest.approx(260, abs=0.1)
    assert float(final[:, 14, 20].mean()) == pytest.approx(200, abs=0.1)


def step_at(left):
    painted = torch.full((3, 40, 56), 200.0)
    painted[:, :, left:] = 80
    return painted


def test_a_step_just_at_the_seam_stays_within_a_picture():
    """A mask may follow the outline of what is painted."""
    master, alpha = torch.full((3, 40, 56), 200.0), box(top=0, left=30, rows=40, columns=26)
    final = blend(step_at(30), master, alpha, NOTHING)
    assert torch.equal(final, step_at(30))


def test_a_step_just_at_the_seam_is_taken_out_where_the_picture_had_ended():
    master, alpha = torch.full((3, 40, 56), 200.0), box(top=0, left=30, rows=40, columns=26)
    torch.testing.assert_close(blend(step_at(30), master, alpha, alpha), master, atol=0.05, rtol=0)


def depth(alpha, width):
    """How many pixels from the nearest that stays, in steps that go to four and to eight neighbours in turn."""
    inside, found = alpha > 0, np.zeros(alpha.shape)
    for turn in range(width):
        found += inside
        reach = [(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)] if turn % 2 == 0 else list(itertools.product((-1, 0, 1), repeat=2))
        before, inside = inside, inside.copy()
        for row, column in zip(*np.nonzero(before), strict=True):
            for down, right in reach:
                y, x = row + down, column + right
                if 0 <= y < alpha.shape[0] and 0 <= x < alpha.shape[1] and not before[y, x]:
                    inside[row, column] = False
    return found


@pytest.mark.parametrize("width", [1, 2, 7, 40])
def test_feathers_rise_with_the_distance_from_the_seam(width):
    alpha = (torch.rand(40, 56, generator=torch.Generator().manual_seed(0)) > 0.02).float()
    alpha[8:30, 8:40] = 1
    alpha[30:, :3] = 0.5
    np.testing.assert_allclose(feather(alpha, width).numpy(), alpha.numpy() * depth(alpha.numpy(), width) / width, atol=1e-6)


def test_a_feather_is_nearly_round():
    alpha = torch.ones(201, 201)
    alpha[100, 100] = 0
    rows, columns = np.mgrid[-100:101, -100:101]
    distance = np.hypot(rows, columns)
    found = feather(alpha, 64).numpy() * 64
    inside = (distance > 0) & (distance < 60)
    assert np.abs(found[inside] / distance[inside] - 1)[distance[inside] > 8].max() < 0.25


def test_a_feather_starts_at_one_step_and_the_pictures_border_is_no_seam():
    faded = feather(box(top=0, left=20, rows=40, columns=36), 8)
    assert faded[20].tolist() == pytest.approx([0] * 20 + [step / 8 for step in range(1, 9)] + [1] * 28)
    assert torch.equal(faded[0], faded[20])
    assert torch.equal(feather(torch.ones(40, 56), 8), torch.ones(40, 56))


def natural(seed=0, height=200, width=300):
    """Noise of all scales, as in pictures: amplitude falls as one over frequency."""
    spectrum = torch.fft.rfft2(torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed)))
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]).clamp_min(1 / width)
    picture = torch.fft.irfft2(spectrum / frequency, s=(height, width))
    return ((picture - picture.mean()) / picture.std() * 45 + 128).clamp(0, 255)


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_that_nobody_edited_has_a_seam_ratio_near_one(seed):
    at = torch.randint(10, 60, (4,), generator=torch.Generator().manual_seed(seed)).tolist()
    alpha = box(200, 300, at[0], at[1], 60 + at[2], 120 + at[3])
    assert seam_gradient_ratio(natural(seed), alpha) == pytest.approx(1, abs=0.1)


def test_a_pasted_box_has_a_large_seam_ratio_and_a_blended_one_a_small_one():
    master, other, alpha = natural(0), 255 - natural(1) / 3, box(200, 300, 50, 60, 100, 150)
    pasted = torch.where(alpha > 0, other, master)
    assert seam_gradient_ratio(pasted, alpha) > 3
    assert seam_gradient_ratio(blend(other, master, alpha, torch.zeros_like(alpha)), alpha) < 1.2


def test_the_seam_ratio_by_a_loop():
    picture, alpha = noise(3, 40, 44).numpy(), box(40, 44, 3, 17, 5, 9).numpy()

    def is_near(row, column):
        window = alpha[max(0, row - 16):row + 17, max(0, column - 16):column + 17]
        return window.min() < window.max()

    across, own = [], []
    for row, column, (down, right) in itertools.product(range(40), range(44), ((0, 1), (1, 0))):
        y, x = row + down, column + right
        if y < 40 and x < 44:
            step = np.abs(picture[:, y, x] - picture[:, row, column]).mean()
            if alpha[y, x] != alpha[row, column]:
                across.append(step)
            elif is_near(row, column) and is_near(y, x):
                own.append(step)
    found = seam_gradient_ratio(torch.from_numpy(picture), torch.from_numpy(alpha))
    assert found == pytest.approx((np.mean(across) + 1) / (np.mean(own) + 1), rel=1e-5)


def test_where_there_is_no_seam_there_is_no_ratio():
    assert seam_gradient_ratio(noise(1), torch.ones(40, 56)) is None
    assert seam_gradient_ratio(noise(1), torch.zeros(40, 56)) is None
    assert seam_gradient_ratio(torch.full((3, 40, 56), 99.0), box()) == 1
