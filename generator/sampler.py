"""The sampler: Euler steps along a velocity field, with true classifier-free guidance. Knows no text and no VAE."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Velocity = Callable[[list[int], Tensor, int], Tensor]
"""(rows, tokens [B, T, C] of those rows, step) to their velocity [B, T, C]."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What of a picture stays as it is. mask: 1 where it is painted anew, 0 where it stays, and all between; clean: its
    tokens. [1, T, C] each.
    """

    mask: Tensor
    clean: Tensor

    def hold(self, tokens: Tensor, noise: Tensor, sigma: float) -> Tensor:
        """tokens, but what stays is at this noise level what it must be (Lugmayr et al. 2022, RePaint, without its loops)."""
        known = torch.lerp(self.clean, noise, sigma)
        return known + self.mask * (tokens - known)


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """One picture on its way. start: [1, T, C] at the first noise level; noise: [1, T, C], what it is made of there.

    progress(step, steps) after each step; cancelled() is asked before each.
    """

    start: Tensor
    noise: Tensor
    keep: Keep | None = None
    progress: Callable[[int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None


def sample(velocity: Velocity, pictures: Sequence[Trajectory], sigmas: Tensor) -> list[Tensor | None]:
    """Follow `velocity` from each start at sigmas[0] down to sigmas[-1] (flow matching, Lipman et al. 2022).

    sigmas: [N + 1] falling. The end of each picture, [1, T, C]; None for one that was cancelled, which leaves the others.
    """
    steps, levels = len(sigmas) - 1, [float(sigma) for sigma in sigmas]
    tokens: list[Tensor | None] = [picture.start for picture in pictures]
    for step in range(steps):
        for row, picture in enumerate(pictures):
            if picture.cancelled is not None and picture.cancelled():
                tokens[row] = None
        rows = [row for row, picture_tokens in enumerate(tokens) if picture_tokens is not None]
        if not rows:
            break
        together = torch.cat([part for part in tokens if part is not None])
        moved = torch.add(together, velocity(rows, together, step), alpha=levels[step + 1] - levels[step])
        for row, part in zip(rows, moved.split(1), strict=True):
            picture = pictures[row]
            tokens[row] = picture.keep.hold(part, picture.noise, levels[step + 1]) if picture.keep else part
            if picture.progress is not None:
                picture.progress(step + 1, steps)
    return tokens


def begin(noise: Tensor, sigma: float, clean: Tensor | None) -> Tensor:
    """Where a picture starts, [1, T, C]: at noise level `sigma` of the picture `clean`, or in plain noise."""
    return noise if clean is None else torch.lerp(clean, noise, sigma)


def guide(conditional: Tensor, unconditional: Tensor, scale: float | Tensor) -> Tensor:
    """True classifier-free guidance, [B, T, C] each, rescaled to the conditional prediction's norm per token.

    scale: one number, or [B, 1, 1]. Source: Ho and Salimans 2022; the rescale is Qwen-Image's. scale 1 gives the
    conditional prediction.
    """
    combined = unconditional + scale * (conditional - unconditional)
    length = torch.linalg.vector_norm(combined, dim=-1, keepdim=True).clamp_min(1e-12)
    guided: Tensor = combined * (torch.linalg.vector_norm(conditional, dim=-1, keepdim=True) / length)
    return guided
