"""Trains the judge of generator.evaluation on studio pictures. `python -m generator.training.train_judge --help`."""

import argparse
import json
import time
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generator.evaluation.judge import BACKGROUND, CELL_PX, FILE, FOLDER, SIZES, Judge, find
from generator.native import CANVASES
from generator.studio.scene import MOTIFS, lay_out, paint, sample_scene

BATCH = 24
NOT_JUDGED = -100
"""Of the size of tokens without a motif."""


def draw_pictures(rng: Random, canvas: tuple[int, int], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views [N, 3, 12h, 12w] uint8 of fresh scenes, and of every token its motif and its box's size, [N, h, w] each."""
    columns, rows = canvas
    views, motifs = [], torch.full((count, rows, columns), BACKGROUND)
    sizes = torch.full((count, rows, columns), NOT_JUDGED)
    for number in range(count):
        scene = sample_scene(rng)
        views.append(torch.from_numpy(paint(scene, columns * CELL_PX, rows * CELL_PX)).permute(2, 0, 1))
        for box in lay_out(scene, columns, rows):
            area = (number, slice(box.row, box.row + box.size), slice(box.column, box.column + box.size))
            motifs[area], sizes[area] = list(MOTIFS).index(box.motif), SIZES.index(box.size)
    return torch.stack(views), motifs, sizes


def disturb(views: Tensor, rng: Random) -> Tensor:
    """Views in -1..1 as a picture might look that was not drawn: softer, noisier, of another contrast."""
    pixels = views.float() / 127.5 - 1
    if rng.random() < 0.5:
        share = rng.uniform(0.35, 1)
        size = [round(side * share) for side in pixels.shape[2:]]
        small = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
        pixels = F.interpolate(small, size=list(pixels.shape[2:]), mode="bilinear", align_corners=False)
    pixels = pixels * rng.uniform(0.85, 1.1) + rng.uniform(-0.06, 0.06)
    return pixels + rng.uniform(0, 0.08) * torch.randn_like(pixels)


def train(minutes: float, pool: int = 420, seed: int = 5) -> Judge:
    """Train for `minutes`, `pool` fresh pictures of a canvas at a time, and write the judge's file."""
    torch.manual_seed(seed)
    judge, rng, started, step, share = Judge(list(MOTIFS)), Random(seed), time.monotonic(), 0, 0.0
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.02)
    while share < 1:
        views, motifs, sizes = draw_pictures(rng, rng.choice(CANVASES), pool)
        for _ in range(2 * pool // BATCH):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1, (step + 1) / 50) * max(1 - share, 0.02)
            rows = torch.randint(0, pool, (BATCH,))
            with torch.autocast("cpu", torch.bfloat16):
                logits = judge(disturb(views[rows], rng))
            logits = logits.float()
            loss = F.cross_entropy(logits[:, :BACKGROUND + 1], motifs[rows], label_smoothing=0.02)
            loss = loss + 0.3 * F.cross_entropy(logits[:, BACKGROUND + 1:], sizes[rows], ignore_index=NOT_JUDGED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
        print(f"step {step} · {time.monotonic() - started:.0f} s · loss {loss.item():.3f}", flush=True)
    judge.eval()
    FOLDER.mkdir(exist_ok=True)
    save_file({name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
               for name, tensor in judge.state_dict().items()}, FILE, metadata={"motifs": json.dumps(judge.motifs)})
    return judge


def measure(judge: Judge, count: int = 200, seed: int = 77) -> float:
    """Share of fresh studio pictures of one motif at 1200x630 of which the judge finds the motif."""
    rng, right, seen = Random(seed), 0, 0
    while seen < count:
        scene = sample_scene(rng)
        if scene.arrangement == "one":
            found = find(judge, paint(scene, 1200, 630))
            right += bool(found) and found[0].motif == scene.motif
            seen += 1
    return right / count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6)
    print(f"motif right: {measure(train(parser.parse_args().minutes)):.3f}")


if __name__ == "__main__":
    main()
