"""Latents: their scale, their patches, and which latent grid a size in pixels needs."""

import math
from typing import Protocol

import torch
from torch import Tensor

PATCH = 2


class LatentScale(Protocol):
    """The mean and deviation of each latent channel over the training pictures; empty means 0 and 1."""

    @property
    def latents_mean(self) -> tuple[float, ...]:
        """[C]."""
        ...

    @property
    def latents_std(self) -> tuple[float, ...]:
        """[C]."""
        ...


def _channels(values: tuple[float, ...], like: Tensor, default: float) -> Tensor:
    return torch.tensor(values or [default], dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


def standardise(latents: Tensor, scale: LatentScale) -> Tensor:
    """Raw latents [B, C, h, w] to mean 0 and deviation 1 a channel."""
    return (latents - _channels(scale.latents_mean, latents, 0.0)) / _channels(scale.latents_std, latents, 1.0)


def restore(latents: Tensor, scale: LatentScale) -> Tensor:
    """The inverse of `standardise`."""
    return latents * _channels(scale.latents_std, latents, 1.0) + _channels(scale.latents_mean, latents, 0.0)


def pack(latents: Tensor) -> Tensor:
    """[B, C, 2h, 2w] to tokens [B, h*w, C*4], row by row, channels first within a token (as Qwen-Image does)."""
    batch, _, height, width = latents.shape
    patches = latents.unflatten(3, (width // PATCH, PATCH)).unflatten(2, (height // PATCH, PATCH))
    tokens: Tensor = patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, (height // PATCH) * (width // PATCH), -1)
    return tokens


def unpack(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of `pack`: [B, h*w, C*4] with grid = (h, w) to [B, C, 2h, 2w]."""
    rows, columns = grid
    patches = tokens.unflatten(2, (-1, PATCH, PATCH)).unflatten(1, (rows, columns))
    latents: Tensor = patches.permute(0, 3, 1, 4, 2, 5).reshape(tokens.shape[0], -1, rows * PATCH, columns * PATCH)
    return latents


def token_grid(width_px: int, height_px: int, spatial_factor: int) -> tuple[int, int]:
    """(rows, columns) of tokens that cover a picture of this size; what they paint too much is cropped."""
    token_px = spatial_factor * PATCH
    return math.ceil(height_px / token_px), math.ceil(width_px / token_px)


def draw_noise(grid: tuple[int, int], channels: int, seed: int) -> Tensor:
    """Noise tokens [1, h*w, channels*4] in float32 from a generator on the CPU: a seed means the same everywhere."""
    rows, columns = grid
    generator = torch.Generator("cpu").manual_seed(seed)
    return pack(torch.randn(1, channels, rows * PATCH, columns * PATCH, generator=generator))
