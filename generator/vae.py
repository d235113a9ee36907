"""QwenVAE: the published Qwen-Image autoencoder for single pictures.

The published network is a causal 3D one; with a single frame only the last temporal slice of every kernel meets
anything but zeros, so the kernels are folded to 2D when loading (checkpoint.py). Exact, and twice as fast.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.config import QwenVAEConfig
from generator.latents import restore, standardise


class ChannelNorm(nn.Module):
    """RMS norm over channels, [B, C, H, W] in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Computed in float32 where x is narrower: the sum of squares would overflow or lose digits."""
        wide = x.float()
        length = torch.linalg.vector_norm(wide, dim=1, keepdim=True).clamp_min(1e-12)
        scale = self.gamma.float().view(1, -1, 1, 1) * x.shape[1] ** 0.5
        out: Tensor = (wide / length * scale).to(x.dtype)
        return out


class ResidualBlock(nn.Module):
    """shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = ChannelNorm(width_in), nn.Conv2d(width_in, width_out, 3, padding=1)
        self.norm2, self.conv2 = ChannelNorm(width_out), nn.Conv2d(width_out, width_out, 3, padding=1)
        self.shortcut = nn.Conv2d(width_in, width_out, 1) if width_in != width_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H, W]."""
        hidden = self.conv1(F.silu(self.norm1(x), inplace=not torch.is_grad_enabled()))
        hidden = self.conv2(F.silu(self.norm2(hidden), inplace=not torch.is_grad_enabled()))
        out: Tensor = self.shortcut(x) + hidden
        return out


class AttentionBlock(nn.Module):
    """Single-head self-attention over all positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.qkv, self.out = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in and out."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=-1)       # [B, H*W, C]
        joint = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        out: Tensor = x + self.out(joint.transpose(1, 2).unflatten(2, x.shape[2:]))
        return out


class Downsample(nn.Module):
    """Halves both sides: padded on the right and below, as published."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H/2, W/2]."""
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Doubles both sides by repeating pixels, then halves the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C/2, 2H, 2W]."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest-exact"))
        return out


def _middle(width: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(width, width), AttentionBlock(width), ResidualBlock(width, width))


class QwenVAE(nn.Module):
    """Pixels [B, 3, H, W] in -1..1 to normalised latents [B, 16, H/8, W/8], and back."""

    def __init__(self, config: QwenVAEConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_dim * mult for mult in config.dim_mult]
        self.encoder = self._build_encoder(config, widths)
        self.quantise = nn.Conv2d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.dequantise = nn.Conv2d(config.z_dim, config.z_dim, 1)
        self.decoder = self._build_decoder(config, widths[::-1])

    @staticmethod
    def _build_encoder(config: QwenVAEConfig, widths: list[int]) -> nn.ModuleDict:
        down: list[nn.Module] = []
        before = config.base_dim
        for index, width in enumerate(widths):
            down += [ResidualBlock(before if first == 0 else width, width) for first in range(config.num_res_blocks)]
            down += [Downsample(width)] if index < len(widths) - 1 else []
            before = width
        return nn.ModuleDict({
            "conv_in": nn.Conv2d(config.input_channels, config.base_dim, 3, padding=1), "down": nn.Sequential(*down),
            "middle": _middle(before), "norm_out": ChannelNorm(before),
            "conv_out": nn.Conv2d(before, 2 * config.z_dim, 3, padding=1)})

    @staticmethod
    def _build_decoder(config: QwenVAEConfig, widths: list[int]) -> nn.ModuleDict:
        up, before = [], widths[0]
        for index, width in enumerate(widths):
            stage: list[nn.Module] = [ResidualBlock(before if first == 0 else width, width)
                                      for first in range(config.num_res_blocks + 1)]
            stage += [Upsample(width)] if index < len(widths) - 1 else []
            up.append(nn.Sequential(*stage))
            before = width // 2
        return nn.ModuleDict({
            "conv_in": nn.Conv2d(config.z_dim, widths[0], 3, padding=1), "middle": _middle(widths[0]),
            "up": nn.Sequential(*up), "norm_out": ChannelNorm(widths[-1]),
            "conv_out": nn.Conv2d(widths[-1], config.input_channels, 3, padding=1)})

    def encode(self, pixels: Tensor) -> Tensor:
        """The mean of the posterior, normalised: [B, 3, H, W] in -1..1 to [B, C, H/8, W/8]."""
        return self.encode_tail(self.encode_head(pixels))

    def encode_head(self, pixels: Tensor) -> Tensor:
        """Convolutions alone, norms being a position's own: [B, D, H/8, W/8]."""
        features: Tensor = self.encoder["down"](self.encoder["conv_in"](pixels))
        return features

    def encode_tail(self, features: Tensor) -> Tensor:
        """The layers that look at the whole picture, and the mean."""
        layers = self.encoder
        x = layers["conv_out"](F.silu(layers["norm_out"](layers["middle"](features))))
        mean = self.quantise(x).chunk(2, dim=1)[0]
        return standardise(mean, self.config)

    @property
    def encode_halo(self) -> int:
        """How many latent positions to each side the head depends on: 3x3 convolutions at 1, 2, 4... pixels."""
        scales = len(self.config.dim_mult)
        blocks = sum(2.0 * self.config.num_res_blocks * 2.0**scale for scale in range(scales))
        downsampling = sum(2.0**scale for scale in range(1, scales))
        return math.ceil((1 + blocks + downsampling) / 2.0 ** (scales - 1))

    def decode(self, latents: Tensor) -> Tensor:
        """Normalised latents [B, C, h, w] to pixels [B, 3, 8h, 8w], clamped to -1..1."""
        return self.decode_tail(self.decode_head(latents))

    def decode_head(self, latents: Tensor) -> Tensor:
        """The layers that look at the whole picture, [B, D, h, w]."""
        x: Tensor = self.decoder["middle"](self.decoder["conv_in"](self.dequantise(restore(latents, self.config))))
        return x

    def decode_tail(self, features: Tensor) -> Tensor:
        """Pixels of what `decode_head` made: convolutions alone, norms being a position's own."""
        layers = self.decoder
        pixels: Tensor = layers["conv_out"](F.silu(layers["norm_out"](layers["up"](features))))
        return pixels.clamp(-1, 1)

    @property
    def decode_halo(self) -> int:
        """How many latent positions to each side a pixel of the tail depends on: 3x3 convolutions at 1, 2, 4... times."""
        scales = len(self.config.dim_mult)
        blocks = sum(2.0 * (self.config.num_res_blocks + 1) * 0.5**scale for scale in range(scales))
        upsampling = sum(0.5**scale for scale in range(1, scales))
        return math.ceil(blocks + upsampling + 0.5 ** (scales - 1))
