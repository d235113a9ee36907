"""Big pictures through an autoencoder in tiles, with no seams: what looks at the whole picture runs once on all of it, and
every tile sees as many neighbours as the rest can look at.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Halves(Protocol):
    """An autoencoder, each half parted in what looks at neighbours only and what looks at the whole picture.

    decode_halo, encode_halo: how many latent positions to each side the neighbours reach.
    """

    @property
    def decode_halo(self) -> int:
        """Of `decode_tail`."""
        ...

    @property
    def encode_halo(self) -> int:
        """Of `encode_head`."""
        ...

    def decode_head(self, latents: Tensor) -> Tensor:
        """Looks at the whole: latents [B, C, h, w] to features [B, D, h, w]."""
        ...

    def decode_tail(self, features: Tensor) -> Tensor:
        """Looks at neighbours: features to pixels [B, 3, H, W]."""
        ...

    def encode_head(self, pixels: Tensor) -> Tensor:
        """Looks at neighbours: pixels to features [B, D, h, w]."""
        ...

    def encode_tail(self, features: Tensor) -> Tensor:
        """Looks at the whole: features to latents."""
        ...


def decode(vae: Halves, latents: Tensor, tile: int) -> Tensor:
    """Pixels [B, 3, H, W] of latents [B, C, h, w], in tiles of at most `tile` positions a side where it is larger."""
    return _in_tiles(vae.decode_tail, vae.decode_head(latents), 1, tile, vae.decode_halo)


def encode(vae: Halves, pixels: Tensor, factor: int, tile: int) -> Tensor:
    """Latents of pixels [B, 3, H, W], whose sides are multiples of `factor`, the pixels a latent position."""
    return vae.encode_tail(_in_tiles(vae.encode_head, pixels, factor, tile, vae.encode_halo))


def _in_tiles(layers: Callable[[Tensor], Tensor], x: Tensor, cell: int, tile: int, halo: int) -> Tensor:
    """layers(x) for x [B, C, H, W]; tile and halo are counted in cells of `cell` positions of x."""
    height, width = x.shape[2] // cell, x.shape[3] // cell
    if max(height, width) <= tile:
        return layers(x)

    def part(first_row: int, first_column: int) -> Tensor:
        end_row, end_column = min(first_row + tile, height), min(first_column + tile, width)
        top, left = max(first_row - halo, 0), max(first_column - halo, 0)
        bottom, right = min(end_row + halo, height), min(end_column + halo, width)
        out = layers(x[:, :, top * cell:bottom * cell, left * cell:right * cell])
        scale = out.shape[2] // (bottom - top)
        return out[:, :, (first_row - top) * scale:(end_row - top) * scale,
                   (first_column - left) * scale:(end_column - left) * scale].clone()

    rows = [torch.cat([part(row, column) for column in range(0, width, tile)], dim=3) for row in range(0, height, tile)]
    return torch.cat(rows, dim=2)
