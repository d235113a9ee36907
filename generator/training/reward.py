"""Fine-tunes the transformer against the scorer of professional feel. `python -m generator.training.reward --help`.

The reward is the scorer's logit of the picture that the transformer expects from where it stands (its estimate of the clean
latents, decoded). Two things keep it from painting only what the scorer likes: it goes on learning the studio's pictures, and
it is held to the velocities of its frozen self.
"""

import argparse
import time
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generator.checkpoint import Autoencoder, load_transformer, load_vae
from generator.evaluation.aesthetic import Scorer, load_scorer, pool
from generator.evaluation.judge import CELL_PX
from generator.latents import unpack
from generator.mmdit import MMDiT
from generator.training.average import WeightAverage
from generator.training.curves import write_point
from generator.training.narrow import narrow
from generator.training.optimizers import Optimizers
from generator.training.prepare import Window
from generator.training.train_mmdit import Shard, export, flow_loss, load_shards, run

RATE = 1.5e-4
LIKED, HELD = 0.02, 1.0
"""Weights of the reward and of the frozen reference, beside the flow loss."""
BATCH = 6
"""Pictures a step that are decoded and scored."""
VIEW = 6
"""Tokens along a side of the part that is decoded."""


def choose_part(window: Window, rng: Random) -> Tensor:
    """[T']: numbers, within the window's tokens, of a part of at most 6x6."""
    rows, columns = min(VIEW, window.rows), min(VIEW, window.columns)
    return Window(rng.randint(0, window.rows - rows), rng.randint(0, window.columns - columns), rows, columns).numbers(
        window.columns)


def rate_pictures(scorer: Scorer, vae: Autoencoder, tokens: Tensor, part: Tensor, grid: tuple[int, int]) -> Tensor:
    """Logits [B] of the decoded part of tokens [B, T, C*4], seen as the scorer sees; grid: (rows, columns) of the part."""
    with narrow():
        pixels = vae.decode(unpack(tokens[:, part], grid)).clamp(-1, 1)
        size = [CELL_PX * side for side in grid]
        views = F.interpolate(pixels.float(), size=size, mode="bilinear", antialias=True, align_corners=False)
        return pool(scorer(views).float())


def reward_loss(network: nn.Module, frozen: nn.Module, scorer: Scorer, vae: Autoencoder, shard: Shard, window: Window,
                rng: Random) -> tuple[Tensor, float]:
    """(loss, mean logit) of a few pictures of a window, at high and middle noise, where shapes are decided."""
    rows = torch.randperm(len(shard.tokens))[:BATCH]
    clean, told = shard.tokens[rows].float(), shard.told[rows]
    sigma = torch.empty(len(rows)).uniform_(0.4, 1.0)
    noise = torch.randn_like(clean)
    noisy = torch.lerp(clean, noise, sigma[:, None, None])
    velocity = run(network, noisy, told, sigma, shard.grid, shard.seen)
    with torch.no_grad():
        reference = run(frozen, noisy, told, sigma, shard.grid, shard.seen)
    expected = noisy - sigma[:, None, None] * velocity
    part = choose_part(window, rng)
    side = min(VIEW, window.rows), min(VIEW, window.columns)
    logits = rate_pictures(scorer, vae, expected, part, side)
    return LIKED * F.softplus(-logits).mean() + HELD * F.mse_loss(velocity, reference), float(logits.detach().mean())


def train(minutes: float, folder: Path, seed: int = 0) -> MMDiT:
    """Fine-tune the checkpoint in folder/mini and write it back; a line and a point every 20 steps."""
    torch.manual_seed(seed)
    source = folder / "mini" / "transformer"
    network = load_transformer(source, is_compiled=True).train().requires_grad_(True)
    network.prior.requires_grad_(False)
    frozen, scorer, vae = load_transformer(source, is_compiled=True), load_scorer(), load_vae(folder / "vae")
    optimizer, average = Optimizers(network, RATE, muon="blocks."), WeightAverage(network, decay=0.99)
    shards, rng = load_shards(folder / "latents", "window"), Random(seed)
    step, share, rewards, started = 0, 0.0, [], time.monotonic()
    while share < 1:
        optimizer.set_rate(RATE * min(1, (step + 1) / 20) * max(1 - share, 0.02))
        shard = rng.choice(shards)
        flow_loss(network, shard).backward()
        shard = rng.choice(shards)
        loss, reward = reward_loss(network, frozen, scorer, vae, shard, window_of(shard), rng)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network)
        rewards.append(reward)
        step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
        if step % 20 == 0:
            line = {"step": step, "spent_s": round(time.monotonic() - started), "reward": round(sum(rewards) / len(rewards), 4)}
            rewards.clear()
            write_point(folder / "reward_curve.jsonl", line)
            print(line, flush=True)
    average.copy_to(network)
    export(network, folder)
    return network


def window_of(shard: Shard) -> Window:
    """The window that the shard shows, from the numbers of its tokens."""
    if shard.seen is None:
        return Window(0, 0, *shard.grid)
    rows, columns = shard.seen // shard.grid[1], shard.seen % shard.grid[1]
    return Window(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    chosen = parser.parse_args()
    train(chosen.minutes, chosen.folder)


if __name__ == "__main__":
    main()
