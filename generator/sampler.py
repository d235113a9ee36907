"""The sampler: Euler steps along a velocity field, with true classifier-free guidance. Knows no text and no VAE."""

from collections.abc import Callable

import torch
from torch import Tensor

from generator.errors import Cancelled

Velocity = Callable[[Tensor, float], Tensor]
"""(tokens [B, T, C], sigma) to the velocity [B, T, C]."""


def sample(velocity: Velocity, noise: Tensor, sigmas: Tensor, *, progress: Callable[[int, int], None] | None = None,
           cancelled: Callable[[], bool] | None = None) -> Tensor:
    """Follow `velocity` from noise [B, T, C] at sigmas[0] down to sigmas[-1] (flow matching, Lipman et al. 2022).

    sigmas: [N + 1] falling. progress(step, N) after each step. Raises Cancelled when `cancelled()` turns true.
    """
    steps, tokens = len(sigmas) - 1, noise
    for step in range(steps):
        if cancelled is not None and cancelled():
            raise Cancelled(f"cancelled before step {step + 1} of {steps}")
        now, then = float(sigmas[step]), float(sigmas[step + 1])
        tokens = torch.add(tokens, velocity(tokens, now), alpha=then - now)
        if progress is not None:
            progress(step + 1, steps)
    return tokens


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """True classifier-free guidance, [B, T, C] each, rescaled to the conditional prediction's norm per token.

    Source: Ho and Salimans 2022; the rescale is Qwen-Image's. scale 1 gives the conditional prediction.
    """
    combined = unconditional + scale * (conditional - unconditional)
    length = torch.linalg.vector_norm(combined, dim=-1, keepdim=True).clamp_min(1e-12)
    guided: Tensor = combined * (torch.linalg.vector_norm(conditional, dim=-1, keepdim=True) / length)
    return guided
