"""Membrane: values known along a line, spread smoothly over the region beside it. Solves Laplace's equation on the pixels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PRECISION = 0.02
"""How far from the exact solution it may be, by the solver's own estimate, in the unit of the values."""
MAX_ROUNDS = 60
SWEEPS = 2
DAMPING = 0.8
OVERSHOOT = 0.5
"""Cells joined in squares are twice as stiff as the membrane (Braess 1995): their ties count half."""


def spread(values: Tensor, known: Tensor, region: Tensor) -> Tensor:
    """A smooth [C, H, W] over `region` [H, W] (1 or 0) that meets `values` where `known` [H, W] is 1; 0 elsewhere.

    Nothing flows over the picture's border, or through places that are neither known nor in the region; what no known
    place reaches is 0. Conjugate gradients, preconditioned by a multigrid cycle, within PRECISION.
    """
    unknown = (region > 0) & (known == 0)
    if not bool(unknown.any()):
        return values * known * region
    rows, columns = (_around(unknown.any(dim=axis)) for axis in (1, 0))
    parts = [part[..., rows, columns] for part in (values, known, unknown.float())]
    whole = torch.zeros_like(values)
    whole[..., rows, columns] = _solve(*parts)
    return (whole + values * known) * region


def _around(is_there: Tensor) -> slice:
    """From one before the first to one behind the last."""
    places = is_there.nonzero()
    return slice(max(0, int(places[0]) - 1), int(places[-1]) + 2)


@dataclass(frozen=True)
class _Level:
    """The equations of one scale: diagonal * x - across * neighbours beside - down * neighbours above and below.

    diagonal: [H, W]; across: [H, W - 1]; down: [H - 1, W].
    """

    diagonal: Tensor
    across: Tensor
    down: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """[C, H, W] in and out."""
        out = self.diagonal * x
        out[:, :, 1:] -= self.across * x[:, :, :-1]
        out[:, :, :-1] -= self.across * x[:, :, 1:]
        out[:, 1:] -= self.down * x[:, :-1]
        out[:, :-1] -= self.down * x[:, 1:]
        return out

    def relax(self, x: Tensor, right: Tensor) -> Tensor:
        """Damped Jacobi sweeps."""
        for _ in range(SWEEPS):
            x = x + DAMPING * (right - self.apply(x)) / self.diagonal
        return x

    def coarsen(self) -> "_Level":
        """The same of cells of 2x2 (Galerkin)."""
        ties = torch.zeros_like(self.diagonal)
        ties[:, 1:] += self.across
        ties[:, :-1] += self.across
        ties[1:] += self.down
        ties[:-1] += self.down
        across = _gather(self.across[:, 1::2], rows=2)
        down = _gather(self.down[1::2], columns=2)
        diagonal = _gather(self.diagonal - ties, rows=2, columns=2)
        diagonal[:, 1:] += across
        diagonal[:, :-1] += across
        diagonal[1:] += down
        diagonal[:-1] += down
        return _Level(*(OVERSHOOT * part for part in (diagonal, across, down)))


def _gather(x: Tensor, rows: int = 1, columns: int = 1) -> Tensor:
    """[..., H, W] summed over so many rows and columns at a time."""
    padded = F.pad(x, (0, x.shape[-1] % columns, 0, x.shape[-2] % rows))
    summed: Tensor = padded.unflatten(-1, (-1, columns)).sum(-1).unflatten(-2, (-1, rows)).sum(-2)
    return summed


def _cycle(levels: list[_Level], right: Tensor) -> Tensor:
    """About the solution for `right`: down to the coarsest scale and back. Symmetric, as conjugate gradients need it."""
    level, coarser = levels[0], levels[1:]
    x = level.relax(torch.zeros_like(right), right)
    if coarser:
        rough = _cycle(coarser, _gather(right - level.apply(x), rows=2, columns=2))
        x = x + rough.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :x.shape[1], :x.shape[2]]
    return level.relax(x, right)


def _build(known: Tensor, unknown: Tensor) -> list[_Level]:
    active = ((known + unknown) > 0).float()
    across, down = unknown[:, 1:] * unknown[:, :-1], unknown[1:] * unknown[:-1]
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]], device=known.device).view(1, 1, 3, 3)
    count = F.conv2d(active[None, None], kernel, padding=1)[0, 0] * unknown
    levels = [_Level(count, across, down)]
    while max(levels[-1].diagonal.shape) > 2:
        levels.append(levels[-1].coarsen())
    return [_Level(torch.where(level.diagonal > 0, level.diagonal, 1.0), level.across, level.down) for level in levels]


def _solve(values: Tensor, known: Tensor, unknown: Tensor) -> Tensor:
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]], device=values.device).view(1, 1, 3, 3)
    levels = _build(known, unknown)
    left = F.conv2d((values * known)[:, None], kernel, padding=1)[:, 0] * unknown
    x = torch.zeros_like(values)
    direction, scale = torch.zeros_like(values), None
    for _ in range(MAX_ROUNDS):
        step = _cycle(levels, left) * unknown
        if float(step.abs().max()) <= PRECISION:
            break
        product = (left * step).sum((1, 2), keepdim=True)
        direction = step if scale is None else step + product / scale.clamp_min(1e-30) * direction
        scale = product
        pushed = levels[0].apply(direction)
        length = product / (direction * pushed).sum((1, 2), keepdim=True).clamp_min(1e-30)
        x = x + length * direction
        left = left - length * pushed
    return x
