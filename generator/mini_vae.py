"""MiniVAE: the bundled model's autoencoder. Pixels to latents 32 times smaller, and back.

A linear path (one 32x32 block at a time) carries colour and rough shape; a convolutional one beside it does the rest.
It works on 4x4 pixel blocks from its first layer on: layers at full resolution are bound by memory on a CPU.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.config import MiniVAEConfig
from generator.latents import restore, standardise
from generator.smooth import REACH_PX, smooth


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
        out: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(x))))
        return out


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
        factor = config.spatial_factor
        self.encode_linear = nn.Conv2d(3, config.latent_channels, factor, stride=factor)
        self.decode_linear = nn.ConvTranspose2d(config.latent_channels, 3, factor, stride=factor)
        for layer in (*encoder, *decoder):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")

    def encode(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] in -1..1 to normalised latents [B, C, H/32, W/32]. H, W: multiples of 32."""
        return self.encode_tail(self.encode_head(pixels))

    def encode_head(self, pixels: Tensor) -> Tensor:
        """All of it but normalisation."""
        return self.compress(pixels)

    def encode_tail(self, features: Tensor) -> Tensor:
        """Nothing looks at the whole picture: normalisation."""
        return standardise(features, self.config)

    @property
    def encode_halo(self) -> int:
        """How many latent positions to each side one depends on, as `decode_halo`."""
        blocks = sum(2.0 * self.config.encoder_blocks * 4 * 2.0**scale for scale in range(len(self.config.widths)))
        return math.ceil((4 + blocks) / self.config.spatial_factor + 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, h, w] to pixels [B, 3, 32h, 32w], about -1..1 (not clamped)."""
        return self.decode_tail(self.decode_head(latents))

    def decode_head(self, latents: Tensor) -> Tensor:
        """Nothing here looks at the whole picture: the latents before normalisation."""
        return restore(latents, self.config)

    def decode_tail(self, features: Tensor) -> Tensor:
        """Pixels of what `decode_head` made, smoothed as the configuration says."""
        pixels = self.expand(features)
        levels = self.config.smooth_levels
        return smooth(pixels, self.config.spatial_factor, levels) if levels else pixels

    @property
    def decode_halo(self) -> int:
        """How many latent positions to each side a pixel depends on: 3x3 convolutions, fewer positions at each scale."""
        reach = [2.0 * self.config.decoder_blocks * 0.5**scale for scale in range(len(self.config.widths))]
        smoothed = REACH_PX / self.config.spatial_factor if self.config.smooth_levels else 0
        return math.ceil(1 + sum(reach) + 0.5 ** (len(reach) - 1) + smoothed)

    def compress(self, pixels: Tensor) -> Tensor:
        """As `encode`, before normalisation."""
        latents: Tensor = self.encode_linear(pixels) + self.encoder(pixels)
        return latents

    def expand(self, latents: Tensor) -> Tensor:
        """As `decode`, from latents before normalisation."""
        pixels: Tensor = self.decode_linear(latents) + self.decoder(latents)
        return pixels

    @torch.no_grad()
    def start_from_components(self, blocks: Tensor) -> None:
        """Set the linear path to the principal components of blocks [N, 3, 32, 32], and silence the rest.

        Training then starts from a good linear autoencoder instead of from noise. Half of the channels take part; the
        other half starts empty and is free for what a linear map cannot see.
        """
        flat = blocks.flatten(1)
        centre = flat.mean(0)
        half = self.config.latent_channels // 2
        _, scale, axes = torch.pca_lowrank(flat, q=half, niter=4)
        deviation = scale / len(flat) ** 0.5
        for layer in (self.encode_linear, self.decode_linear):
            layer.weight.zero_()
            layer.bias.zero_()  # type: ignore[union-attr]
        self.encode_linear.weight[:half] = (axes / deviation).T.unflatten(1, blocks.shape[1:])
        self.encode_linear.bias[:half] = -(centre @ axes) / deviation  # type: ignore[index]
        self.decode_linear.weight[:half] = (axes * deviation).T.unflatten(1, blocks.shape[1:])
        self.decode_linear.bias.copy_(centre.unflatten(0, blocks.shape[1:]).mean((1, 2)))  # type: ignore[union-attr]
        for quiet, share in ((self.encoder[-1], 0.3), (self.decoder[-2], 0.02)):
            quiet.weight.mul_(share)  # type: ignore[operator]
            quiet.bias.zero_()  # type: ignore[operator]
