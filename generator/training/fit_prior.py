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

if TYPE_CHECKING:
    from generator.training.train_mmdit import Shard

BATCH = 4
"""Shards a step."""
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
    """Mean by squared error, and spread by likelihood, in `steps` of a rate that falls to nothing; a line every 50."""
    start_prior(prior)
    rows = [parameter for name, parameter in prior.named_parameters() if ".rows." in name or ".spread." in name]
    rest = [parameter for name, parameter in prior.named_parameters() if not (".rows." in name or ".spread." in name)]
    optimizer = torch.optim.Adam([{"params": rows, "rate": ROWS_RATE}, {"params": rest, "rate": RATE}], betas=(0.9, 0.98))
    rng, errors = Random(seed), []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * min(1, step / 20) * max(0.01, 1 - step / steps)
        for shard in rng.sample(shards, min(BATCH, len(shards))):
            error, surprise = weigh_prior(prior, shard)
            ((error + surprise) / BATCH).backward()
            errors.append(error.item())
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print({"prior": step, "error": round(sum(errors) / len(errors), 4)}, flush=True)
            errors.clear()
    return prior


def weigh_prior(prior: Prior, shard: "Shard") -> tuple[Tensor, Tensor]:
    """(mean squared error, negative log likelihood of the spread) of a shard's latents."""
    belief = prior(shard.told.shown, shard.told.states.sum(1))
    off = (shard.tokens.float() - belief.mean).square()
    return off.mean(), 0.5 * (off.detach() / belief.variance + belief.variance.log()).mean()


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
