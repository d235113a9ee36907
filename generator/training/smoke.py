"""The whole recipe at toy size, from nothing to a painted picture, in under three minutes. `python -m generator.training.smoke`.

It proves that the recipe runs and learns: every loss falls, and the pictures come closer to the studio's than what the
same networks make of plain noise. Nothing of it ships.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from generator.checkpoint import Autoencoder, load_vae
from generator.config import MMDiTConfig
from generator.latents import unpack
from generator.mmdit import MMDiT
from generator.scene_code import SHOWN_ROWS
from generator.schedule import noise_levels
from generator.training import train_text, train_vae
from generator.training.budget import Budget
from generator.training.curves import PARTS, read_points
from generator.training.paint_shards import draw_noise, paint, read_schedule
from generator.training.prepare import prepare_shard
from generator.training.train_mmdit import Plan, Shard, load_shards, train

CONFIG = MMDiTConfig(num_layers=2, attention_head_dim=32, num_attention_heads=4, in_channels=128, out_channels=32,
                     joint_attention_dim=256, axes_dims_rope=(8, 12, 12), pooled_projection_dim=256,
                     shown_rows=SHOWN_ROWS, shown_ranks=(8, 32, 128))
CANVAS = (20, 10)
STEPS = {"vae": 100, "text": 30, "mmdit": 140}
PRIOR_STEPS = 100
"""Not minutes: a busy machine takes longer, and learns the same."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """losses: (first, last) of each part. painted, noise: mean absolute difference, of 255, from the studio's pictures of
    held-out scenes.
    """

    losses: dict[str, tuple[float, float]]
    painted: float
    noise: float

    @property
    def has_learned(self) -> bool:
        """Whether every loss fell and the pictures beat noise clearly."""
        return all(last < 0.8 * first for first, last in self.losses.values()) and self.painted < 0.7 * self.noise


def run(folder: Path) -> Outcome:
    """Train all three parts in `folder`, and measure."""
    train_vae.train(Budget(steps=STEPS["vae"]), folder, pool_size=24)
    train_text.train(Budget(steps=STEPS["text"]), folder, words_share=0)
    for name in ("latents", "held_out"):
        (folder / name).mkdir()
    for kind, count in (("window", 5), ("whole", 2)):
        for number in range(count):
            prepare_shard(kind, CANVAS, number, folder / "vae", folder / "latents")
    prepare_shard("whole", CANVAS, 7, folder / "vae", folder / "held_out")
    network = train(Plan(budget=Budget(steps=STEPS["mmdit"]), compile=False, config=CONFIG, prior_steps=PRIOR_STEPS), folder)
    points = {part: [point["loss"] for point in read_points(folder / f"{part}_curve.jsonl")] for part in PARTS}
    ends = {part: (sum(losses[:2]) / 2, sum(losses[-2:]) / 2) for part, losses in points.items()}
    painted, noise = measure(network, load_vae(folder / "vae"), load_shards(folder / "held_out", "whole")[0], folder / "mini")
    return Outcome(losses=ends, painted=painted, noise=noise)


@torch.inference_mode()
def measure(network: MMDiT, vae: Autoencoder, shard: Shard, checkpoint: Path) -> tuple[float, float]:
    """How far the network's pictures of the shard's scenes, and decoded noise, are from the studio's own."""
    noise = draw_noise(shard.tokens, 0)
    sigmas = noise_levels(8, shard.grid[0] * shard.grid[1], read_schedule(checkpoint))
    tokens = paint(network, shard, shard.told, noise, sigmas)
    own, painted, plain = (vae.decode(unpack(each.float()[:6], shard.grid)).clamp(-1, 1)
                           for each in (shard.tokens, tokens, noise))
    return tuple(127.5 * float((each - own).abs().mean()) for each in (painted, plain))  # type: ignore[return-value]


def main() -> None:
    """Command line. Exits with 1 where nothing was learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep what was trained here; by default it is thrown away")
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as passing:
        outcome = run(chosen.folder or Path(passing))
    print(json.dumps({"losses": outcome.losses, "painted": outcome.painted, "noise": outcome.noise}))
    if not outcome.has_learned:
        raise SystemExit("train-smoke: nothing was learned: a loss did not fall by a fifth, or the pictures are like noise")


if __name__ == "__main__":
    main()
