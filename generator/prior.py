"""Prior: what is known of every token before any noise is removed, as a Gaussian, for networks that are told what tokens show.

The prompt and the tables of what a token shows give the mean and the spread of its latents. From those follows the best guess of
the velocity in closed form, and the transformer has only the rest to predict, scaled to unit size: the preconditioning of
Karras et al. 2022 around a mean that depends on the prompt.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generator.config import MMDiTConfig
from generator.scene_code import GROUND_STEPS, MOOD, SHOWN_ROWS, read_mood

NO_OFFSET = (0.0,) * len(SHOWN_ROWS)


@dataclass(frozen=True)
class Belief:
    """Latents of B pictures of N tokens before any noise is seen. mean: [B, N, C*4]; variance: the same, above 0."""

    mean: Tensor
    variance: Tensor

    def meet(self, noisy: Tensor, sigma: Tensor) -> "Met":
        """What follows for noisy tokens [B, N, C*4] at noise levels [1 or B] in 0..1."""
        level = sigma.view(-1, 1, 1).to(self.mean)
        apart = noisy - (1 - level) * self.mean
        total = (level.square() + (1 - level).square() * self.variance).clamp_min(1e-8)
        velocity = apart * ((level - (1 - level) * self.variance) / total) - self.mean
        return Met(apart * total.rsqrt(), velocity, (self.variance / total).sqrt())


@dataclass(frozen=True)
class Met:
    """whitened: noisy tokens as far as they are a surprise, of unit size. velocity: its mean, and left: how far off it is."""

    whitened: Tensor
    velocity: Tensor
    left: Tensor


class Table(nn.Module):
    """One of the things that a token shows, by row, in the colours, material and light asked for: a product, entry by entry."""

    def __init__(self, rows: int, rank: int, channels: int) -> None:
        super().__init__()
        self.rows, self.spread = nn.Embedding(rows, rank), nn.Embedding(rows, 1)
        self.gate, self.out = nn.Linear(MOOD, rank), nn.Linear(rank, channels, bias=False)

    def forward(self, numbers: Tensor, share: Tensor | None, mood: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [B, N, C*4] and log variance [B, N, 1] of row numbers [B, N]. share: how far on to the next row, or None."""
        rows, spread = self.rows(numbers), self.spread(numbers)
        if share is not None:
            after = (numbers + 1).clamp_max(self.rows.num_embeddings - 1)
            rows, spread = torch.lerp(rows, self.rows(after), share), torch.lerp(spread, self.spread(after), share)
        return self.out(rows * self.gate(mood)[:, None]), spread


class Prior(nn.Module):
    """The sum of the ground, the stage and the motif (scene_code.SHOWN_ROWS), as sure as the last of them that is there. Row 0 of
    the last two is nothing. log_variance: of the channels, beside that of the rows. offset: see generator.house.
    """

    def __init__(self, config: MMDiTConfig) -> None:
        super().__init__()
        self.tables = nn.ModuleList(Table(rows, rank, config.in_channels)
                                    for rows, rank in zip(config.shown_rows, config.shown_ranks, strict=True))
        self.log_variance = nn.Parameter(torch.zeros(config.in_channels))
        self.offset: tuple[float, ...] = NO_OFFSET

    def forward(self, shown: Tensor, pooled: Tensor) -> Belief:
        """shown: [B, N, 3]; pooled: [B, W], the sum of a prompt's completed states."""
        mood = read_mood(pooled)
        mean, spread = mood.new_zeros(()), mood.new_zeros(())
        for column, table in enumerate(self.tables):
            numbers, share = shown[..., column], None
            if column == 0:
                share = (numbers % GROUND_STEPS / GROUND_STEPS)[..., None].to(pooled)
                numbers = numbers // GROUND_STEPS
            part, part_spread = table(numbers, share, mood)
            there = (numbers > 0)[..., None] if column > 0 else torch.ones_like(numbers, dtype=torch.bool)[..., None]
            mean, spread = mean + part * there, torch.where(there, part_spread + self.offset[column], spread)
        return Belief(mean, (spread + self.log_variance).exp())
