"""Smoothing after a decoder of blocks: what it takes away, and what it must leave."""

import torch

from generator.config import MiniVAEConfig
from generator.mini_vae import MiniVAE
from generator.smooth import LEVEL, REACH_PX, smooth

BLOCK = 32


def ground(height=128, width=192):
    """A slow gradient, in -1..1."""
    x, y = torch.arange(width) / width, torch.arange(height) / height
    return (0.4 * x + 0.2 * y[:, None] - 0.3).expand(1, 3, height, width).clone()


def steps(pixels, axis):
    return pixels.diff(dim=axis).abs().max() / LEVEL


def with_seams(pixels, levels=0.8, seed=1):
    offsets = torch.randn(1, 3, pixels.shape[2] // BLOCK, pixels.shape[3] // BLOCK, generator=torch.Generator().manual_seed(seed))
    return pixels + levels * LEVEL * offsets.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)


def test_seams_between_blocks_disappear():
    clean, seamed = ground(), with_seams(ground())
    mended = smooth(seamed, BLOCK, levels=2)
    for axis in (2, 3):
        assert steps(seamed, axis) > 2.5
        assert steps(mended, axis) < 1  # no file of 8 bits shows it
    assert (mended - clean).std() < (seamed - clean).std()


def test_ripples_on_flat_ground_become_a_quarter():
    ripples = LEVEL * torch.randn(1, 3, 128, 192, generator=torch.Generator().manual_seed(2))
    left = smooth(ground() + ripples, BLOCK, levels=4) - smooth(ground(), BLOCK, levels=4)
    assert left.std() < ripples.std() / 4


def test_an_edge_keeps_its_height_wherever_it_lies():
    for at in (96, 90, 100):  # on a seam, and beside one
        picture = torch.full((1, 3, 128, 192), -0.5)
        picture[..., at:] = 0.5
        assert (smooth(picture, BLOCK, levels=2) - picture).abs().max() < 0.5 * LEVEL


def test_what_lies_further_than_the_reach_changes_nothing():
    picture = with_seams(ground(192, 256))
    other = picture.clone()
    other[..., 96 + REACH_PX:] = 0.9
    assert torch.equal(smooth(picture, BLOCK, 2)[..., :96], smooth(other, BLOCK, 2)[..., :96])


def test_only_a_configuration_that_asks_for_it_is_smoothed():
    torch.manual_seed(0)
    told = {"latent_channels": 4, "widths": (8, 8, 8, 8), "decoder_blocks": 1,
            "latents_mean": (0.0,) * 4, "latents_std": (1.0,) * 4}
    plain, smoothed = MiniVAE(MiniVAEConfig(**told)), MiniVAE(MiniVAEConfig(**told, smooth_levels=2))
    smoothed.load_state_dict(plain.state_dict())
    latents = torch.randn(1, 4, 3, 4)
    assert torch.equal(smooth(plain.decode(latents), BLOCK, 2), smoothed.decode(latents))
    assert smoothed.decode_halo > plain.decode_halo
