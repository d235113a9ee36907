"""The whole recipe at toy size, from nothing to a painted picture, in under three minutes. `python -m generator.training.smoke`.

It proves that the recipe runs and learns: every loss falls, and the pictures come closer to the colours asked for than what the
same networks make of plain noise. Nothing of it ships.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from generator.config import MMDiTConfig
from generator.evaluation.colours import palette_distance
from generator.latents import draw_noise, unpack
from generator.pipeline import CoverPainter, to_bytes
from generator.request import CoverRequest
from generator.studio.palettes import PALETTES, format_hex
from generator.training import train_text, train_vae
from generator.training.curves import PARTS, read_points
from generator.training.prepare import prepare_shard
from generator.training.train_mmdit import Plan, train

CONFIG = MMDiTConfig(num_layers=2, attention_head_dim=32, num_attention_heads=4, in_channels=128, out_channels=32,
                     joint_attention_dim=256, axes_dims_rope=(8, 12, 12), pooled_projection_dim=256,
                     shown_dim=1652, shown_rank=128)
CANVAS = (20, 10)
MINUTES = {"vae": 0.4, "text": 0.5, "mmdit": 0.8}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """losses: (first, last) of each part. painted, noise: mean Delta E 2000 to the colours asked for."""

    losses: dict[str, tuple[float, float]]
    painted: float
    noise: float

    @property
    def has_learned(self) -> bool:
        """Whether every loss fell and the pictures beat noise clearly."""
        return all(last < 0.8 * first for first, last in self.losses.values()) and self.painted < 0.7 * self.noise


def run(folder: Path) -> Outcome:
    """Train all three parts in `folder`, and measure."""
    train_vae.train(MINUTES["vae"], folder, pool_size=24)
    train_text.train(MINUTES["text"], folder, words_share=0)
    (folder / "latents").mkdir()
    for kind, count in (("window", 5), ("whole", 2)):
        for number in range(count):
            prepare_shard(kind, CANVAS, number, folder / "vae", folder / "latents")
    train(Plan(minutes=MINUTES["mmdit"], compile=False, config=CONFIG), folder)
    points = {part: [point["loss"] for point in read_points(folder / f"{part}_curve.jsonl")] for part in PARTS}
    painted, noise = measure(CoverPainter(folder / "mini"))
    ends = {part: (sum(losses[:2]) / 2, sum(losses[-2:]) / 2) for part, losses in points.items()}
    return Outcome(losses=ends, painted=painted, noise=noise)


def measure(painter: CoverPainter) -> tuple[float, float]:
    """Mean palette distance of pictures of eight palettes, and of decoded noise."""
    painted, noise = [], []
    for seed, palette in enumerate(PALETTES[::3]):
        prompt = "云，配色：" + "、".join(format_hex(colour) for colour in palette.colours)
        request = CoverRequest(prompt=prompt, negative="", width=1280, height=640, steps=8, guidance=1.0, seed=seed,
                               checkpoint=painter.checkpoint)
        picture = np.frombuffer(painter.generate(request).rgb, np.uint8).reshape(640, 1280, 3)
        asked = list(palette.colours[:2])
        painted.append(palette_distance(picture, asked))
        latents = draw_noise(CANVAS[::-1], CONFIG.out_channels, seed)
        noise.append(palette_distance(to_bytes(painter.decode(unpack(latents, CANVAS[::-1]))).numpy(), asked))
    return float(np.mean(painted)), float(np.mean(noise))


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
