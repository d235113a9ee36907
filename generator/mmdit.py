"""MMDiT: the dual-stream diffusion transformer of Qwen-Image (Wu et al. 2025), for any MMDiTConfig."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.config import MMDiTConfig
from generator.packed import GeluLinear
from generator.prior import Prior
from generator.rope import Rope, joint_rope, rotate, swap_pairs
from generator.step_cache import StepCache

EPS = 1e-6
TIME_CHANNELS = 256


def time_features(sigma: Tensor) -> Tensor:
    """Sinusoids [B, 256] of noise levels [B] in 0..1, cosines first, in float32. Source: Vaswani et al. 2017, scale 1000."""
    half = TIME_CHANNELS // 2
    rates = torch.exp(-torch.log(torch.tensor(10000.0)) * torch.arange(half, dtype=torch.float32) / half)
    angles = 1000.0 * (sigma.float()[:, None] * rates.to(sigma.device))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Stream(nn.Module):
    """The half of a block that belongs to one stream (text or image): its modulation, projections and MLP."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.num_attention_heads
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(config.attention_head_dim, eps=EPS)
        self.k_norm = nn.RMSNorm(config.attention_head_dim, eps=EPS)
        self.out = nn.Linear(width, width)
        self.mlp_in = GeluLinear(width, 4 * width)
        self.mlp_out = nn.Linear(4 * width, width)

    def project(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """q, k and v in one, [B, T, 3D], of x [B, T, D]."""
        out: Tensor = self.qkv(normalise(x, shift, scale))
        return out

    def feed_forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """The MLP, [B, T, D] in and out."""
        out: Tensor = self.mlp_out(self.mlp_in(normalise(x, shift, scale)))
        return out


def normalise(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights, then shift and scale: [B, T, D] with [1 or B, 1, D]."""
    if shift.numel() == x.shape[-1]:
        return F.layer_norm(x, x.shape[-1:], (1 + scale).flatten(), shift.flatten(), EPS)
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=EPS), 1 + scale)


class Block(nn.Module):
    """One dual-stream block: both streams meet only in the joint attention."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        self.img, self.txt, self.heads = Stream(config), Stream(config), config.num_attention_heads

    def _place(self, x: Tensor, norm: str, rope: Rope, text_tokens: int) -> Tensor:
        """RMSNorm with each stream's weights, then rotation, of x [B, T+I, H, D/H].

        The weights go into the rotation's tables, which are small.
        """
        weights = torch.cat([getattr(self.txt, norm).weight.expand(text_tokens, -1),
                             getattr(self.img, norm).weight.expand(x.shape[1] - text_tokens, -1)])
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        return rotate(x, rope[0] * weights, rope[1] * swap_pairs(weights)).mul_(torch.rsqrt(size.square() / x.shape[-1] + EPS))

    def _attend(self, txt: Tensor, img: Tensor, rope: Rope) -> tuple[Tensor, Tensor]:
        """Joint attention of projected streams [B, T, 3D] and [B, I, 3D]; each as wide as D again."""
        q, k, v = torch.cat([txt, img], dim=1).unflatten(-1, (3, self.heads, -1)).unbind(2)  # [B, T+I, H, D/H]
        q, k = (self._place(x, name, rope, txt.shape[1]) for x, name in ((q, "q_norm"), (k, "k_norm")))
        joint = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        txt_out, img_out = joint.transpose(1, 2).flatten(2).split([txt.shape[1], img.shape[1]], dim=1)
        return txt_out, img_out

    def forward(self, img: Tensor, txt: Tensor, mods: tuple[Tensor, Tensor], ropes: list[Rope],
                lengths: tuple[int, ...] | None) -> tuple[Tensor, Tensor]:
        """img [B, I, D]; txt [B, T, D], or [1, sum of lengths, D] where the prompts differ in length.

        mods: of the image and of the text, [1 or B, 1, 6D]. ropes: one over T+I tokens, or one for each length.
        """
        img_mod, txt_mod = mods[0].chunk(6, dim=-1), mods[1].chunk(6, dim=-1)
        txt_qkv, img_qkv = self.txt.project(txt, *txt_mod[:2]), self.img.project(img, *img_mod[:2])
        if lengths is None:
            txt_out, img_out = self._attend(txt_qkv, img_qkv, ropes[0])
        else:
            pairs = [self._attend(*streams) for streams in
                     zip(txt_qkv.split(lengths, dim=1), img_qkv.split(1), ropes, strict=True)]
            txt_out, img_out = torch.cat([txt for txt, _ in pairs], dim=1), torch.cat([img for _, img in pairs])
        img = torch.addcmul(img, img_mod[2], self.img.out(img_out))
        txt = torch.addcmul(txt, txt_mod[2], self.txt.out(txt_out))
        img = torch.addcmul(img, img_mod[5], self.img.feed_forward(img, *img_mod[3:5]))
        txt = torch.addcmul(txt, txt_mod[5], self.txt.feed_forward(txt, *txt_mod[3:5]))
        return img, txt


@dataclass(frozen=True)
class Modulation:
    """What one noise level, or each of B, does to every layer. blocks: (image, text) a block, [B, 1, 6D]; out: [B, 1, 2D]."""

    blocks: list[tuple[Tensor, Tensor]]
    out: Tensor

    def at(self, row: int) -> "Modulation":
        """One level alone."""
        return Modulation([(img[row:row + 1], txt[row:row + 1]) for img, txt in self.blocks], self.out[row:row + 1])


class MMDiT(nn.Module):
    """Predicts the velocity of every image token from noisy tokens, text states and the noise level."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.img_in = nn.Linear(config.in_channels, width)
        self.txt_norm = nn.RMSNorm(config.joint_attention_dim, eps=EPS)
        self.txt_in = nn.Linear(config.joint_attention_dim, width)
        self.time_in = nn.Linear(TIME_CHANNELS, width)
        self.time_out = nn.Linear(width, width)
        if config.pooled_projection_dim:
            self.pooled_in = nn.Linear(config.pooled_projection_dim, width)
            self.pooled_out = nn.Linear(width, width)
        if config.shown_rows:
            self.prior = Prior(config)
            self.mean_in = nn.Linear(config.in_channels, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.out_modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, config.in_channels)

    def modulate(self, sigma: Tensor, pooled: Tensor | None = None) -> Modulation:
        """The modulation of every layer at noise levels sigma [B] in 0..1: all steps of a picture in one go.

        pooled: the sum of each prompt's states, [B, W], for networks that are modulated by it.
        """
        weights = self.txt_norm.weight                                                     # of the device and dtype of all
        cond = self.time_out(F.silu(self.time_in(time_features(sigma.to(weights.device)).to(weights.dtype))))
        if pooled is not None:
            cond = cond + self.pooled_out(F.silu(self.pooled_in(pooled)))
        rows = F.silu(cond)[:, None]                                                       # [B, 1, D]
        blocks: list[Any] = list(self.blocks)
        return Modulation([(block.img.modulation(rows), block.txt.modulation(rows)) for block in blocks],
                          self.out_modulation(rows))

    def forward(self, img: Tensor, txt: Tensor | Sequence[Tensor], sigma: Tensor | Modulation, *, grid: tuple[int, int],
                cache: StepCache | None = None, seen: Tensor | None = None, shown: Tensor | None = None) -> Tensor:
        """Velocity [B, h*w, C*4] of img [B, h*w, C*4], with grid = (h, w); or of the N tokens of it numbered in seen [N].

        txt: [B, T, W], or B tensors [T, W] of any lengths, which do not touch each other. sigma: [B] or [1] in 0..1, or
        what `modulate` made of it (which networks with pooled states do not take). shown: [B, N, 3], for every token of img what
        it is to show. Raises ValueError on shapes that do not fit.
        """
        txt, lengths = _line_up(txt)
        self._check(img, txt, lengths, grid, seen)
        self._check_conditions(img, sigma, shown)
        pooled = self._pool(txt, lengths)
        mods = sigma if isinstance(sigma, Modulation) else self.modulate(sigma, pooled)
        if len(mods.out) not in (1, len(img)):
            raise ValueError(f"sigma has {len(mods.out)} values; it must have 1 or {len(img)}")
        ropes = [joint_rope(*grid, tokens, self.config.axes_dims_rope, self.config.theta, img.device, img.dtype)
                 for tokens in lengths or (txt.shape[1],)]
        if seen is not None:
            ropes = [_choose(rope, seen, grid) for rope in ropes]
        met = None
        if shown is not None and pooled is not None and isinstance(sigma, Tensor):
            belief = self.prior(shown, pooled)
            met = belief.meet(img, sigma.to(img.device))
            img = self.img_in(met.whitened) + self.mean_in(belief.mean)
        else:
            img = self.img_in(img)
        txt = self.txt_in(self.txt_norm(txt))
        start = img
        for number, (block, (img_mod, txt_mod)) in enumerate(zip(self.blocks, mods.blocks, strict=True)):
            if lengths is not None and len(txt_mod) > 1:
                txt_mod = txt_mod.transpose(0, 1).repeat_interleave(torch.tensor(lengths, device=img.device), dim=1)
            img, txt = block(img, txt, (img_mod, txt_mod), ropes, lengths)
            if number == 0 and cache is not None:
                if (rest := cache.recall(img - start)) is not None:
                    img = img + rest
                    break
                start = img
        else:
            if cache is not None:
                cache.keep(img - start)
        scale, shift = mods.out.chunk(2, dim=-1)
        out: Tensor = self.out(normalise(img, shift, scale))
        return out if met is None else torch.addcmul(met.velocity, met.left, out)

    def _pool(self, txt: Tensor, lengths: tuple[int, ...] | None) -> Tensor | None:
        if not self.config.pooled_projection_dim:
            return None
        return txt.sum(1) if lengths is None else torch.cat([one.sum(1) for one in txt.split(lengths, dim=1)])

    def _check(self, img: Tensor, txt: Tensor, lengths: tuple[int, ...] | None, grid: tuple[int, int],
               seen: Tensor | None) -> None:
        tokens = grid[0] * grid[1] if seen is None else len(seen)
        if img.ndim != 3 or img.shape[1:] != (tokens, self.config.in_channels):
            raise ValueError(f"img is {list(img.shape)}; with grid {grid} it must be [B, {tokens}, {self.config.in_channels}]")
        batch = txt.shape[0] if lengths is None else len(lengths)
        if txt.ndim != 3 or batch != img.shape[0] or txt.shape[2] != self.config.joint_attention_dim:
            raise ValueError(f"txt is {list(txt.shape)} for {batch} prompts; it must be [{img.shape[0]}, T, "
                             f"{self.config.joint_attention_dim}]")

    def _check_conditions(self, img: Tensor, sigma: Tensor | Modulation, shown: Tensor | None) -> None:
        if self.config.pooled_projection_dim and isinstance(sigma, Modulation):
            raise ValueError("sigma is a modulation; this network's depends on the prompt too, so it takes noise levels")
        wanted = [*img.shape[:2], len(self.config.shown_rows)] if self.config.shown_rows else None
        given = None if shown is None else list(shown.shape)
        if given != wanted:
            raise ValueError(f"shown is {given}; it must be {wanted}")


def _choose(rope: Rope, seen: Tensor, grid: tuple[int, int]) -> Rope:
    """The tables of the text and of the picture's tokens `seen` alone."""
    text = len(rope[0]) - grid[0] * grid[1]
    rows = torch.cat([torch.arange(text), text + seen])
    return rope[0][rows], rope[1][rows]


def _line_up(txt: Tensor | Sequence[Tensor]) -> tuple[Tensor, tuple[int, ...] | None]:
    """Prompts as one batch [B, T, W] with None, or, of different lengths, one after another: [1, T1+T2+..., W] with those."""
    if isinstance(txt, Tensor):
        return txt, None
    lengths = tuple(len(states) for states in txt)
    if len(set(lengths)) <= 1:
        return torch.stack(list(txt)), None
    return torch.cat(list(txt))[None], lengths
