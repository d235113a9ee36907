"""Lets the transformer paint what prepared shards of whole canvases ask for, and stores its latents in the same form: they show
the scorer what the generator does wrong. `python -m generator.training.paint_shards --help`.
"""

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor

from generator.checkpoint import load_transformer
from generator.mmdit import MMDiT
from generator.schedule import ScheduleConfig, noise_levels
from generator.shards import read_json
from generator.training.train_mmdit import Shard, Told, load_shards, run


def draw_noise(tokens: Tensor, seed: int) -> Tensor:
    """Noise in the shape of tokens."""
    return torch.randn(tokens.shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def paint(network: MMDiT, shard: Shard, told: Told, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Tokens [N, T, C*4] at the end of Euler steps from `noise` along sigmas [steps + 1]."""
    tokens = noise
    for step in range(len(sigmas) - 1):
        level = sigmas[step].expand(len(tokens))
        velocity = run(network, tokens, told, level, shard.grid, shard.seen)
        tokens = tokens + float(sigmas[step + 1] - sigmas[step]) * velocity
    return tokens


def read_schedule(checkpoint: Path) -> ScheduleConfig:
    """The noise schedule of a checkpoint folder."""
    return ScheduleConfig.read(read_json(checkpoint / "scheduler" / "scheduler_config.json"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--out", default="generated", help="folder in the training folder")
    parser.add_argument("--most", type=int, default=1000, help="shards")
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    checkpoint, target = chosen.folder / "mini", chosen.folder / chosen.out
    target.mkdir(parents=True, exist_ok=True)
    network = load_transformer(checkpoint / "transformer", is_compiled=True)
    shards = load_shards(chosen.folder / "latents", "whole")
    for number, shard in enumerate(shards[:: max(1, len(shards) // chosen.most)][:chosen.most]):
        file = target / f"whole-{number:04d}.pt"
        if file.exists():
            continue
        sigmas = noise_levels(chosen.steps, shard.grid[0] * shard.grid[1], read_schedule(checkpoint))
        tokens = paint(network, shard, shard.told, draw_noise(shard.tokens, number), sigmas)
        torch.save({"tokens": tokens.to(torch.bfloat16), "states": shard.told.states.to(torch.bfloat16).to_sparse(),
                    "shown": shard.told.shown, "canvas": shard.grid[::-1], "seen": shard.seen}, file.with_suffix(".partial"))
        os.replace(file.with_suffix(".partial"), file)
        print(f"{file.name}", flush=True)


if __name__ == "__main__":
    main()
