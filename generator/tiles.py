"""Decoding a big picture in tiles, with no seams: what looks at the whole picture runs once on all of it, and every tile
sees as many neighbours as the rest can look at.
"""

from typing import Protocol

import torch
from torch import Tensor


class Decoder(Protocol):
    """An autoencoder's second half, parted in two."""

    @property
    def tail_halo(self) -> int:
        """How many latent positions to each side a pixel of the tail depends on."""
        ...

    def decode_head(self, latents: Tensor) -> Tensor:
        """What looks at the whole picture: [B, C, h, w] to features [B, D, h, w]."""
        ...

    def decode_tail(self, features: Tensor) -> Tensor:
        """What looks at neighbours only: features to pixels [B, 3, H, W]."""
        ...


def decode(vae: Decoder, latents: Tensor, tile: int) -> Tensor:
    """Pixels [B, 3, H, W] of latents [B, C, h, w], in tiles of at most `tile` positions a side where it is larger."""
    features = vae.decode_head(latents)
    height, width = features.shape[2:]
    if max(height, width) <= tile:
        return vae.decode_tail(features)
    rows = [torch.cat([_decode_part(vae, features, (top, min(top + tile, height)), (left, min(left + tile, width)))
                       for left in range(0, width, tile)], dim=3) for top in range(0, height, tile)]
    return torch.cat(rows, dim=2)


def _decode_part(vae: Decoder, features: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    halo, (height, width) = vae.tail_halo, features.shape[2:]
    top, left = max(rows[0] - halo, 0), max(columns[0] - halo, 0)
    bottom, right = min(rows[1] + halo, height), min(columns[1] + halo, width)
    pixels = vae.decode_tail(features[:, :, top:bottom, left:right])
    scale = pixels.shape[2] // (bottom - top)
    return pixels[:, :, (rows[0] - top) * scale:(rows[1] - top) * scale,
                  (columns[0] - left) * scale:(columns[1] - left) * scale].clone()
