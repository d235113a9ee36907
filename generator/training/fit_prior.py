"""Fits the bundled transformer's prior: what every token's latents are, before any noise is seen, by plain regression.

It needs no attention and no noise, and so learns from a shard in a fiftieth of the time that the transformer takes.
"""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.prior import Prior
from generator.scene_code import GROUND_STEPS

if TYPE_CHECKING:
    from generator.training.train_mmdit import Shard

BATCH = 4
"""Shards a step."""
FEW, LEAST, CAUTION = 8, 1e-3, 1.5
"""Of the spread: so many errors of the table's mean beside a row's own; the least variance; and how much larger errors are on
scenes that were not fitted.
"""
RATE, ROWS_RATE = 0.04, 1.0
"""A row moves only when its token is there; and a product of small entries is slow to grow."""


def start_prior(prior: Prior) -> None:
    """Rows of unit size; products that the prompt bends a little."""
    for name, parameter in prior.named_parameters():
        if name.endswith("rows.weight"):
            nn.init.normal_(parameter)
        elif name.endswith(".gate.weight"):
            nn.init.normal_(parameter, std=0.3)
        elif name.endswith(".out.weight"):
            nn.init.normal_(parameter, std=0.5 * parameter.shape[1] ** -0.5)
        else:
            nn.init.zeros_(parameter)


def fit_prior(prior: Prior, shards: Sequence["Shard"], steps: int, seed: int = 0) -> Prior:
    """The mean by squared error, in `steps` of a rate that falls to nothing, with a line every 50; then the spread."""
    start_prior(prior)
    rows = [parameter for name, parameter in prior.named_parameters() if ".rows." in name]
    rest = [parameter for name, parameter in prior.named_parameters() if ".gate." in name or ".out." in name]
    optimizer = torch.optim.Adam([{"params": rows, "rate": ROWS_RATE}, {"params": rest, "rate": RATE}], betas=(0.9, 0.98))
    rng, errors = Random(seed), []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * min(1, step / 20) * max(0.01, 1 - step / steps)
        for shard in rng.sample(shards, min(BATCH, len(shards))):
            error = F.mse_loss(prior(shard.told.shown, shard.told.states.sum(1)).mean, shard.tokens.float())
            (error / BATCH).backward()
            errors.append(error.item())
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print({"prior": step, "error": round(sum(errors) / len(errors), 4)}, flush=True)
            errors.clear()
    return set_spread(prior, shards)


@torch.no_grad()
def set_spread(prior: Prior, shards: Sequence["Shard"]) -> Prior:
    """Every row's variance: the squared errors where it is the last thing that is shown, and a few of the table's mean. All of
    the ground is as sure.
    """
    width = len(prior.log_variance)
    sums = [torch.zeros(2, len(prior.get_parameter(f"tables.{column}.rows.weight"))) for column in range(len(prior.tables))]
    channels, count = torch.zeros(width), 0
    for is_second in (False, True):  # first the rows, then the channels beside them
        for shard in shards:
            belief = prior(shard.told.shown, shard.told.states.sum(1))
            off, shown = (shard.tokens.float() - belief.mean).square(), shard.told.shown.long()
            if is_second:
                channels += (off / belief.variance).sum((0, 1))
                count += off[..., 0].numel()
                continue
            last = torch.where(shown[..., 2] > 0, 2, (shown[..., 1] > 0).long())
            for column, found in enumerate(sums):
                where, numbers = last == column, shown[..., column] if column else shown[..., column] // GROUND_STEPS
                found[0].index_add_(0, numbers[where], off.mean(-1)[where])
                found[1].index_add_(0, numbers[where], torch.ones(int(where.sum())))
        if not is_second:
            for column, (total, times) in enumerate(sums):
                mean = total.sum() / times.sum().clamp_min(1)
                variance = (total + FEW * mean) / (times + FEW) if column else mean.expand_as(total)
                prior.get_parameter(f"tables.{column}.spread.weight").copy_((CAUTION * variance.clamp_min(LEAST)).log()[:, None])
    prior.log_variance.copy_((channels / max(count, 1) * CAUTION).clamp_min(0.1).log())
    return prior


@torch.no_grad()
def measure_prior(prior: Prior, shards: Sequence["Shard"]) -> dict[str, float]:
    """Mean squared error of the ground, of the stage and of the motifs on shards that it was not fitted on, and `without` it."""
    found: dict[str, list[Tensor]] = {}
    for shard in shards:
        shown, clean = shard.told.shown, shard.tokens.float()
        off = F.mse_loss(prior(shown, shard.told.states.sum(1)).mean, clean, reduction="none").mean(-1)
        kinds = {"motif": shown[..., 2] > 0, "stage": (shown[..., 1] > 0) & (shown[..., 2] == 0),
                 "ground": (shown[..., 1] == 0) & (shown[..., 2] == 0)}
        for name, where in kinds.items():
            found.setdefault(name, []).append(off[where])
            found.setdefault(f"{name} without", []).append(clean.square().mean(-1)[where])
    return {name: round(float(torch.cat(values).mean()), 4) for name, values in found.items()}
