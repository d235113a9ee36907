"""Distils the transformer to few steps without guidance. `python -m generator.training.distil --help`.

Rectified flow (Liu et al. 2022): the student learns the straight way from each noise to the very picture that the teacher
painted from it, at the noise levels that it will be asked at. Studio pictures are mixed in, so that it stays on firm ground.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.checkpoint import load_transformer
from generator.mmdit import MMDiT
from generator.schedule import noise_levels
from generator.training.average import WeightAverage
from generator.training.curves import write_point
from generator.training.optimizers import Optimizers
from generator.training.paint_shards import draw_noise, read_schedule
from generator.training.train_mmdit import Shard, Told, export, flow_loss, load_shards, run

STEPS = 8
RATE = 4e-4
STUDIO_SHARE = 0.35
"""Share of the batches that come from the studio's pictures."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What a teacher painted. tokens, noise: [N, T, C*4]; told and seen as in training."""

    tokens: Tensor
    noise: Tensor
    told: Told
    grid: tuple[int, int]
    seen: Tensor | None


def load_pairs(folder: Path) -> list[Pair]:
    """All pairs in a folder. Raises FileNotFoundError where there are none."""
    pairs = []
    for file in sorted(folder.glob("*.pt")):
        content = torch.load(file, weights_only=True)
        tokens = content["tokens"].float()
        told = Told(content["states"].to_dense().float(), content["shown"])
        pairs.append(Pair(tokens=tokens, noise=draw_noise(tokens, content["noise_seed"]), told=told,
                          grid=content["canvas"][::-1], seen=content["seen"]))
    if not pairs:
        raise FileNotFoundError(f"{folder}: no pairs; run generator.training.paint_shards first")
    return pairs


def pair_loss(network: nn.Module, pair: Pair, sigmas: Tensor) -> Tensor:
    """Mean squared error of the velocity along the straight way, at noise levels drawn from sigmas [S]."""
    sigma = sigmas[torch.randint(0, len(sigmas), (len(pair.tokens),))]
    noisy = torch.lerp(pair.tokens, pair.noise, sigma[:, None, None])
    return F.mse_loss(run(network, noisy, pair.told, sigma, pair.grid, pair.seen), pair.noise - pair.tokens)


def distil(minutes: float, folder: Path, seed: int = 0) -> MMDiT:
    """Train the checkpoint in folder/mini against folder/pairs, and write it back."""
    torch.manual_seed(seed)
    checkpoint = folder / "mini"
    network = load_transformer(checkpoint / "transformer", is_compiled=True).train().requires_grad_(True)
    network.prior.requires_grad_(False)
    optimizer, average = Optimizers(network, RATE, muon="blocks."), WeightAverage(network, decay=0.995)
    schedule, rng = read_schedule(checkpoint), Random(seed)
    pairs: list[Pair] = load_pairs(folder / "pairs")
    shards: list[Shard] = [*load_shards(folder / "latents", "whole"), *load_shards(folder / "latents", "window")]
    step, share, losses, started = 0, 0.0, [], time.monotonic()
    while share < 1:
        optimizer.set_rate(RATE * min(1, (step + 1) / 20) * max(1 - share, 0.02))
        if rng.random() < STUDIO_SHARE:
            shard = rng.choice(shards)
            loss = flow_loss(network, shard)
        else:
            pair = rng.choice(pairs)
            loss = pair_loss(network, pair, noise_levels(STEPS, pair.grid[0] * pair.grid[1], schedule)[:-1])
            losses.append(loss.item())
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network)
        step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
        if step % 50 == 0:
            line = {"step": step, "spent_s": round(time.monotonic() - started), "loss": round(sum(losses) / len(losses), 5)}
            losses.clear()
            write_point(folder / "distil_curve.jsonl", line)
            print(line, flush=True)
    average.copy_to(network)
    export(network, folder)
    return network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    chosen = parser.parse_args()
    distil(chosen.minutes, chosen.folder)


if __name__ == "__main__":
    main()
