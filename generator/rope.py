"""Rotary positions for the joint sequence of text and image tokens."""

from functools import lru_cache

import torch
from torch import Tensor

CPU = torch.device("cpu")
Rope = tuple[Tensor, Tensor]
"""(cos, sin), [T, D] each."""


def rope_angles(positions: Tensor, axes: tuple[int, int, int], theta: float) -> Tensor:
    """Angles [T, sum(axes)/2] in radians for positions [T, 3] (frame, row, column).

    Source: Su et al. 2021 (RoFormer); one band of frequencies per axis.
    """
    bands = []
    for axis, width in enumerate(axes):
        frequencies = 1.0 / torch.pow(theta, torch.arange(0, width, 2, dtype=torch.float32) / width)
        bands.append(torch.outer(positions[:, axis].float(), frequencies))
    return torch.cat(bands, dim=1)


def joint_positions(rows: int, columns: int, text_tokens: int) -> Tensor:
    """Positions [text_tokens + rows*columns, 3], text first, as Qwen-Image counts them.

    The picture is centred on (0, 0); text runs along the diagonal, outwards from the picture's longer half side.
    """
    text = (max(rows // 2, columns // 2) + torch.arange(text_tokens))[:, None].expand(-1, 3)
    row = torch.arange(rows) - (rows - rows // 2)
    column = torch.arange(columns) - (columns - columns // 2)
    grid = torch.stack(torch.meshgrid(torch.zeros(1, dtype=torch.long), row, column, indexing="ij"), dim=-1)
    return torch.cat([text, grid.reshape(-1, 3)])


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # a table first made while painting also serves training
def joint_rope(rows: int, columns: int, text_tokens: int, axes: tuple[int, int, int], theta: float,
               device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> Rope:
    """(cos, sin), each [T, D]: the tables that `rotate` takes, every value twice, the sine with the sign of its place.

    Computed in float32 on the CPU, once for a size.
    """
    angles = rope_angles(joint_positions(rows, columns, text_tokens), axes, theta)
    sine = angles.sin()
    cos, sin = angles.cos().repeat_interleave(2, dim=1), torch.stack([-sine, sine], dim=-1).flatten(1)
    return cos.to(device, dtype), sin.to(device, dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn adjacent pairs (2k, 2k+1) of x [..., T, H, D] by the angles in cos, sin [T, D]."""
    return torch.addcmul(x * cos[:, None], swap_pairs(x), sin[:, None])


def swap_pairs(x: Tensor) -> Tensor:
    """x [..., D] with the values 2k and 2k+1 in each other's place."""
    swapped: Tensor = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return swapped
