"""Smoothing after a decoder of blocks: seams between its blocks, and ripples on ground that is nearly flat.

Neither looks across an edge, so that shapes stay as sharp as they were decoded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVEL = 1 / 127.5
"""One of 255, in pixels of -1..1."""
EDGE = 10 * LEVEL
"""Steps at a seam well above this are the picture's own."""
ALONG_PX = 5
SCALE, RADIUS = 4, 2
"""The filter is computed at a quarter of the size, over 5x5 there."""
REACH_PX = SCALE * (RADIUS + 2) + 16
"""How far a pixel looks, at most."""


def smooth(pixels: Tensor, block_px: int, levels: float) -> Tensor:
    """Pixels [B, 3, H, W] in -1..1, decoded in blocks of block_px (H and W are multiples of it), without seams and ripples.

    levels: deviation of ripples that are taken away, of 255.
    """
    pixels = _join_blocks(pixels, block_px)
    pixels = _join_blocks(pixels.transpose(2, 3), block_px).transpose(2, 3)
    return _calm(pixels, levels * LEVEL)


def _join_blocks(pixels: Tensor, block_px: int) -> Tensor:
    """Spread the step between two blocks of a row over half of each, where it is no edge."""
    blocks = pixels.unflatten(3, (-1, block_px))                                       # [B, 3, H, n, block]
    left, right = blocks[..., :-1, :], blocks[..., 1:, :]
    before, after = left[..., -1] - left[..., -2], right[..., 1] - right[..., 0]       # [B, 3, H, n - 1]
    step = right[..., 0] - left[..., -1] - (before + after) / 2
    height = torch.maximum(before.abs(), after.abs()).amax(1, keepdim=True) + step.abs().amax(1, keepdim=True)
    trust = torch.exp(-(height / EDGE).square())
    step = _along(step * trust) / (_along(trust) + 1e-3) * trust
    half = block_px // 2
    ramp = (torch.arange(half, dtype=pixels.dtype, device=pixels.device) + 0.5) / half
    mended = blocks.clone()
    mended[..., :-1, half:] += step[..., None] / 2 * ramp
    mended[..., 1:, :half] -= step[..., None] / 2 * ramp.flip(0)
    joined: Tensor = mended.flatten(3)
    return joined


def _along(values: Tensor) -> Tensor:
    """Means over ALONG_PX rows."""
    return F.avg_pool2d(values, (ALONG_PX, 1), 1, (ALONG_PX // 2, 0), count_include_pad=False)


def _calm(pixels: Tensor, deviation: float) -> Tensor:
    """Towards the local mean where the picture hardly deviates from it.

    Source: He and Sun 2015, "Fast Guided Filter", with the picture as its own guide and the most varied channel deciding; but
    without averaging over windows, which at an edge would mix what its two sides are drawn towards.
    """
    mean = _box(F.avg_pool2d(pixels, SCALE))
    variance = (_box(F.avg_pool2d(pixels.square(), SCALE)) - mean.square()).amax(1, keepdim=True).clamp_min(0)
    share: Tensor = variance / (variance + deviation**2)
    return _grown(share) * pixels + _grown((1 - share) * mean)


def _box(values: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(values, (RADIUS,) * 4, mode="replicate"), 2 * RADIUS + 1, 1)


def _grown(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=SCALE, mode="bilinear")
