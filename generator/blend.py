"""Blending what was painted into what stays: nothing outside the mask changes, and inside light and colour continue.

The difference between the master and the decoded picture along the seam is spread over the painted region as a membrane
(Pérez, Gangnet and Blake 2003, "Poisson Image Editing", in its membrane form), coarse to fine.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SEAM_PX = 2
"""How far into what stays the seam is looked at."""
SWEEPS = 24
BAND_PX = 16
"""How far from the seam the picture's own gradients are looked at."""


def blend(painted: Tensor, master: Tensor, alpha: Tensor) -> Tensor:
    """[3, H, W] in 8-bit levels: `master` where alpha [H, W] is 0, to the bit; `painted` where it is 1, joined at the seam."""
    mask = (alpha > 0).float()[None, None]
    if bool(mask.all()):
        return painted
    seam = (1 - mask) * _grow(mask, SEAM_PX)
    joined = painted + spread(master - painted, seam[0, 0], mask[0, 0])
    mixed = master + alpha * (joined - master)
    return torch.where(mask[0, 0] > 0, mixed, master)


def spread(values: Tensor, known: Tensor, region: Tensor) -> Tensor:
    """A smooth [C, H, W] over `region` [H, W] (1 or 0) that meets `values` where `known` [H, W] is 1; 0 elsewhere.

    Solves Laplace's equation, from a sixteenth-sized picture of the problem up to the whole.
    """
    smooth = _solve(values[None] * known, known[None, None], region[None, None])
    return (smooth * region)[0]


def _solve(values: Tensor, known: Tensor, region: Tensor) -> Tensor:
    height, width = region.shape[2:]
    if min(height, width) <= 4:
        start = (values.sum((2, 3), keepdim=True) / known.sum().clamp_min(1)).expand_as(values)
    else:
        size = ((height + 1) // 2, (width + 1) // 2)
        weight = F.adaptive_avg_pool2d(known, size)
        coarse = F.adaptive_avg_pool2d(values, size) / weight.clamp_min(1e-6) * (weight > 0)
        solved = _solve(coarse, (weight > 0).float(), F.adaptive_max_pool2d(region, size))
        start = F.interpolate(solved, (height, width), mode="bilinear", align_corners=False)
    return _relax(start, values, known, torch.maximum(region, known))


def _relax(start: Tensor, values: Tensor, known: Tensor, active: Tensor) -> Tensor:
    """Jacobi sweeps: every unknown place becomes the mean of its active neighbours."""
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]], device=start.device).view(1, 1, 3, 3)
    count = F.conv2d(active, kernel, padding=1).clamp_min(1)
    channels = start.shape[1]
    smooth = torch.where(known > 0, values, start)
    for _ in range(SWEEPS):
        around = F.conv2d(smooth * active, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels) / count
        smooth = torch.where(known > 0, values, around)
    return smooth


def feather(alpha: Tensor, width_px: int) -> Tensor:
    """alpha [H, W], rising from the seam to its full value over `width_px` pixels inwards; the picture's border is no seam."""
    if not width_px:
        return alpha
    inside = (alpha > 0).float()
    depth = torch.zeros_like(alpha)
    for step in range(width_px):
        depth += inside
        inside = _shrink(inside, is_square=bool(step % 2))
    return alpha * (depth / width_px)


def _shrink(mask: Tensor, *, is_square: bool) -> Tensor:
    """One pixel less on every side that is not the picture's border; square and cross in turn are nearly round."""
    padded = F.pad(mask[None, None], (1, 1, 1, 1), value=1.0)
    if is_square:
        return -F.max_pool2d(-padded, 3, stride=1)[0, 0]
    across = -F.max_pool2d(-padded[:, :, 1:-1], (1, 3), stride=1)
    down = -F.max_pool2d(-padded[:, :, :, 1:-1], (3, 1), stride=1)
    return torch.minimum(across, down)[0, 0]


def _grow(mask: Tensor, distance_px: int) -> Tensor:
    return F.max_pool2d(mask, 2 * distance_px + 1, stride=1, padding=distance_px)


def seam_gradient_ratio(picture: Tensor, alpha: Tensor) -> float | None:
    """How much the picture changes across the seam, against how much it changes near it anyway; 1 is invisible.

    picture: [3, H, W] in 8-bit levels. Mean absolute steps between neighbouring pixels, one level added to both, so that a
    flat picture has a ratio. None where there is no seam.
    """
    mask = (alpha > 0).float()
    near = (_grow(mask[None, None], BAND_PX) * _grow(1 - mask[None, None], BAND_PX))[0, 0]
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
