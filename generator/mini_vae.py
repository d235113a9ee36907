"""MiniVAE: the bundled model's autoencoder. Pixels to latents 32 times smaller, and back.

Works on 4x4 pixel blocks from the first layer on: layers at full resolution are bound by memory on a CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.config import MiniVAEConfig


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))); the second convolution starts at zero. No norm: it would lose global colour."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in and out."""
        return x + self.conv2(F.silu(self.conv1(F.silu(x))))


class MiniVAE(nn.Module):
    """Deterministic autoencoder. Pixels are in -1..1; latents are normalised to mean 0 and deviation 1 a channel."""

    def __init__(self, config: MiniVAEConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1]
        encoder: list[nn.Module] = [nn.PixelUnshuffle(4), nn.Conv2d(48, first, 3, padding=1)]
        decoder: list[nn.Module] = [nn.Conv2d(config.latent_channels, last, 3, padding=1)]
        for index, width in enumerate(config.widths):
            if index:
                encoder += [nn.PixelUnshuffle(2), nn.Conv2d(config.widths[index - 1] * 4, width, 1)]
            encoder += [ResidualBlock(width) for _ in range(config.encoder_blocks)]
        for index, width in reversed(list(enumerate(config.widths))):
            decoder += [ResidualBlock(width) for _ in range(config.decoder_blocks)]
            if index:
                decoder += [nn.Conv2d(width, config.widths[index - 1] * 4, 1), nn.PixelShuffle(2)]
        encoder += [nn.SiLU(), nn.Conv2d(last, config.latent_channels, 3, padding=1)]
        decoder += [nn.SiLU(), nn.Conv2d(first, 48, 3, padding=1), nn.PixelShuffle(4)]
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        channels = config.latent_channels
        self.register_buffer("mean", torch.tensor(config.latents_mean or [0.0] * channels).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.latents_std or [1.0] * channels).view(1, -1, 1, 1), persistent=False)

    def encode(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] in -1..1 to normalised latents [B, C, H/32, W/32]. H, W: multiples of 32."""
        latents: Tensor = self.encoder(pixels)
        return (latents - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, h, w] to pixels [B, 3, 32h, 32w], about -1..1 (not clamped)."""
        pixels: Tensor = self.decoder(latents * self.std + self.mean)
        return pixels
