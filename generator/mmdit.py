"""MMDiT: the dual-stream diffusion transformer of Qwen-Image (Wu et al. 2025), for any MMDiTConfig."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.config import MMDiTConfig
from generator.packed import GeluLinear
from generator.rope import joint_rope, rotate, swap_pairs

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

    def modulate(self, cond: Tensor) -> tuple[Tensor, ...]:
        """Six tensors [B, 1, D] from cond [B, D]: shift, scale, gate for attention, then for the MLP."""
        six: tuple[Tensor, ...] = self.modulation(cond)[:, None].chunk(6, dim=-1)
        return six

    def project(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """q, k and v in one, [B, T, 3D], of x [B, T, D]."""
        out: Tensor = self.qkv(normalise(x, shift, scale))
        return out

    def feed_forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """The MLP, [B, T, D] in and out."""
        out: Tensor = self.mlp_out(self.mlp_in(normalise(x, shift, scale)))
        return out


def normalise(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights, then shift and scale: [B, T, D] with [B, 1, D]."""
    if x.shape[0] == 1:
        return F.layer_norm(x, x.shape[-1:], (1 + scale).flatten(), shift.flatten(), EPS)
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=EPS), 1 + scale)


class Block(nn.Module):
    """One dual-stream block: both streams meet only in the joint attention."""

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        self.img, self.txt, self.heads = Stream(config), Stream(config), config.num_attention_heads

    def _place(self, x: Tensor, norm: str, rope: tuple[Tensor, Tensor], text_tokens: int) -> Tensor:
        """RMSNorm with each stream's weights, then rotation, of x [B, T+I, H, D/H].

        The weights go into the rotation's tables, which are small.
        """
        weights = torch.cat([getattr(self.txt, norm).weight.expand(text_tokens, -1),
                             getattr(self.img, norm).weight.expand(x.shape[1] - text_tokens, -1)])
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        return rotate(x, rope[0] * weights, rope[1] * swap_pairs(weights)).mul_(torch.rsqrt(size.square() / x.shape[-1] + EPS))

    def forward(self, img: Tensor, txt: Tensor, cond: Tensor, rope: tuple[Tensor, Tensor],
                mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """img [B, I, D], txt [B, T, D], cond [B, D], rope over T+I tokens, mask [B, 1, 1, T+I] bool or None."""
        img_mod, txt_mod = self.img.modulate(cond), self.txt.modulate(cond)
        qkv = torch.cat([self.txt.project(txt, *txt_mod[:2]), self.img.project(img, *img_mod[:2])], dim=1)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(2)                          # [B, T+I, H, D/H]
        q, k = (self._place(x, name, rope, txt.shape[1]) for x, name in ((q, "q_norm"), (k, "k_norm")))
        joint = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask)
        txt_out, img_out = joint.transpose(1, 2).flatten(2).split([txt.shape[1], img.shape[1]], dim=1)
        img = torch.addcmul(img, img_mod[2], self.img.out(img_out))
        txt = torch.addcmul(txt, txt_mod[2], self.txt.out(txt_out))
        img = torch.addcmul(img, img_mod[5], self.img.feed_forward(img, *img_mod[3:5]))
        txt = torch.addcmul(txt, txt_mod[5], self.txt.feed_forward(txt, *txt_mod[3:5]))
        return img, txt


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
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.out_modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, config.in_channels)

    def forward(self, img: Tensor, txt: Tensor, sigma: Tensor, *, grid: tuple[int, int],
                txt_mask: Tensor | None = None) -> Tensor:
        """Velocity [B, h*w, C*4] of img [B, h*w, C*4]; txt [B, T, W]; sigma [B] in 0..1; grid = (h, w).

        txt_mask: [B, T] bool, True for real text tokens; masked ones change nothing. Raises ValueError on shapes
        that do not fit.
        """
        self._check(img, txt, sigma, grid, txt_mask)
        cond = F.silu(self.time_out(F.silu(self.time_in(time_features(sigma).to(img.dtype)))))   # [B, D]
        tables = joint_rope(*grid, txt.shape[1], self.config.axes_dims_rope, self.config.theta)
        rope = (tables[0].to(img), tables[1].to(img))
        mask = None
        if txt_mask is not None and not bool(txt_mask.all()):
            everything = torch.ones(img.shape[:2], dtype=torch.bool, device=img.device)
            mask = torch.cat([txt_mask, everything], dim=1)[:, None, None]                 # [B, 1, 1, T+I]
        img, txt = self.img_in(img), self.txt_in(self.txt_norm(txt))
        for block in self.blocks:
            img, txt = block(img, txt, cond, rope, mask)
        scale, shift = self.out_modulation(cond)[:, None].chunk(2, dim=-1)
        velocity: Tensor = self.out(normalise(img, shift, scale))
        return velocity

    def _check(self, img: Tensor, txt: Tensor, sigma: Tensor, grid: tuple[int, int], txt_mask: Tensor | None) -> None:
        rows, columns = grid
        if img.ndim != 3 or img.shape[1:] != (rows * columns, self.config.in_channels):
            raise ValueError(f"img is {list(img.shape)}; with grid {grid} it must be [B, {rows * columns}, "
                             f"{self.config.in_channels}]")
        if txt.ndim != 3 or txt.shape[0] != img.shape[0] or txt.shape[2] != self.config.joint_attention_dim:
            raise ValueError(f"txt is {list(txt.shape)}; it must be [{img.shape[0]}, T, {self.config.joint_attention_dim}]")
        if sigma.shape != img.shape[:1]:
            raise ValueError(f"sigma is {list(sigma.shape)}; it must be [{img.shape[0]}]")
        if txt_mask is not None and (txt_mask.shape != txt.shape[:2] or txt_mask.dtype != torch.bool):
            raise ValueError(f"txt_mask is {list(txt_mask.shape)} {txt_mask.dtype}; it must be {list(txt.shape[:2])} bool")
