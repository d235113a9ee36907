"""Blending what was painted into what stays: nothing outside the mask changes, and inside light and colour continue.

The difference between the master and the decoded picture along the seam is spread over the painted region as a membrane
(Pérez, Gangnet and Blake 2003, "Poisson Image Editing", in its membrane form).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.membrane import spread

BAND_PX = 16
"""How far from the seam the picture's own gradients are looked at."""


def blend(painted: Tensor, master: Tensor, alpha: Tensor, added: Tensor) -> Tensor:
    """[3, H, W] in 8-bit levels: `master` where alpha [H, W] is 0, to the bit; `painted` where it is 1, joined at the seam.

    A step that the painter made just at the seam is its intention within the picture, where a mask may follow an outline.
    Where added [H, W] is 1, beside what was the picture's border, it is no more than a fault, and taken out.
    """
    mask = (alpha > 0).float()
    seam = (1 - mask) * _grow(mask, 1)
    joined = painted + spread(master - _look_across(painted, mask * added), seam, mask)
    return torch.where(mask > 0, torch.lerp(master, joined, alpha), master)


def _look_across(painted: Tensor, side: Tensor) -> Tensor:
    """`painted`, but beside `side` [H, W] the mean of its neighbours there."""
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]], device=side.device).view(1, 1, 3, 3)
    count = F.conv2d(side[None, None], kernel, padding=1)[0]
    across = F.conv2d((painted * side)[:, None], kernel, padding=1)[:, 0]
    return torch.where(count > 0, across / count.clamp_min(1), painted)


def feather(alpha: Tensor, width_px: int) -> Tensor:
    """alpha [H, W], rising from the seam to its full value over `width_px` pixels inwards; the picture's border is no seam."""
    if not width_px:
        return alpha
    inside = alpha > 0
    depth = torch.zeros_like(alpha)
    for step in range(width_px):
        depth += inside
        inside = _shrink(inside, is_square=bool(step % 2))
    return alpha * (depth / width_px)


def _shrink(inside: Tensor, *, is_square: bool) -> Tensor:
    """One pixel less on every side that is not the picture's border; square and cross in turn are nearly round."""
    across = inside.clone()
    across[:, 1:] &= inside[:, :-1]
    across[:, :-1] &= inside[:, 1:]
    rows, shrunk = (across if is_square else inside), across.clone()
    shrunk[1:] &= rows[:-1]
    shrunk[:-1] &= rows[1:]
    return shrunk


def _grow(mask: Tensor, distance_px: int) -> Tensor:
    """[H, W], and everything within that distance along both axes."""
    size = 2 * distance_px + 1
    wide = F.max_pool2d(mask[None, None], (1, size), stride=1, padding=(0, distance_px))
    return F.max_pool2d(wide, (size, 1), stride=1, padding=(distance_px, 0))[0, 0]


def seam_gradient_ratio(picture: Tensor, alpha: Tensor) -> float | None:
    """How much the picture changes across the seam, against how much it changes near it anyway; 1 is invisible.

    picture: [3, H, W] in 8-bit levels. Mean absolute steps between neighbouring pixels, one level added to both, so that a
    flat picture has a ratio. None where there is no seam.
    """
    mask = (alpha > 0).float()
    near = _grow(mask, BAND_PX) * _grow(1 - mask, BAND_PX)
    across, own = [], []
    for axis in (1, 2):
        steps = picture.diff(dim=axis).abs().mean(0)
        length = mask.shape[axis - 1] - 1
        first, second = mask.narrow(axis - 1, 0, length), mask.narrow(axis - 1, 1, length)
        is_near = (near.narrow(axis - 1, 0, length) * near.narrow(axis - 1, 1, length)) > 0
        across.append(steps[first != second])
        own.append(steps[(first == second) & is_near])
    at_seam, around = torch.cat(across), torch.cat(own)
    if not len(at_seam) or not len(around):
        return None
    return float((at_seam.mean() + 1) / (around.mean() + 1))
