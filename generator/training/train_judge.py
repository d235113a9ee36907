"""Trains the judge of generator.evaluation on studio pictures. `python -m generator.training.train_judge --help`."""

import argparse
import json
import time
from random import Random

import skia
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from generator.evaluation.judge import BACKGROUND, CELL_PX, FILE, FOLDER, MOTIF_COUNT, SIZES, Judge, find, load_judge
from generator.layout import COUNTS, RELATIONS
from generator.native import CANVASES, TOKEN_PX
from generator.studio.scene import MOTIFS, Scene, lay_out, paint, paint_part, sample_scene
from generator.training.narrow import narrow

BATCH = 48
LEARNING_RATE = 3e-3
SIDE = 10
"""Tokens along a side of the windows that are learned from: most of a canvas is ground."""
GROUND_WEIGHT = 0.15
"""Of a token without a motif in the loss."""
NOT_JUDGED = -100
"""Of the size of tokens without a motif."""


def draw_windows(rng: Random, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views [N, 3, 120, 120] uint8 of windows around subjects, and of every token its motif and its box's size, [N, 10, 10]."""
    views, motifs = [], torch.full((count, SIDE, SIDE), BACKGROUND)
    sizes = torch.full((count, SIDE, SIDE), NOT_JUDGED)
    for number in range(count):
        scene, canvas = sample_crowded(rng), rng.choice(CANVASES)
        boxes = lay_out(scene, *canvas)
        about = rng.choice(boxes)
        left, top = (min(max(place + about.size // 2 - rng.randint(2, 8), 0), limit - SIDE)
                     for place, limit in ((about.column, canvas[0]), (about.row, canvas[1])))
        area = skia.IRect.MakeXYWH(left * TOKEN_PX, top * TOKEN_PX, SIDE * TOKEN_PX, SIDE * TOKEN_PX)
        views.append(torch.from_numpy(paint_part(scene, *canvas, area, CELL_PX / TOKEN_PX)).permute(2, 0, 1))
        for box in boxes:
            there = (number, slice(max(box.row - top, 0), max(box.row + box.size - top, 0)),
                     slice(max(box.column - left, 0), max(box.column + box.size - left, 0)))
            motifs[there], sizes[there] = list(MOTIFS).index(box.motif), SIZES.index(box.size)
    return torch.stack(views), motifs, sizes


def sample_crowded(rng: Random) -> Scene:
    """A scene: of one subject, of several and of pairs in turn. Small motifs and covered ones are the hard ones to judge."""
    wanted = rng.choice((COUNTS[:1], COUNTS[1:], RELATIONS))
    while (scene := sample_scene(rng)).arrangement not in wanted:
        pass
    return scene


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


def train(minutes: float, pool: int = 600, seed: int = 5, *, go_on: bool = False) -> Judge:
    """Train for `minutes`, with `pool` fresh windows at a time, and write the judge's file. go_on: from the one that is there."""
    torch.manual_seed(seed)
    judge, rng, started, step, share = Judge(list(MOTIFS)), Random(seed), time.monotonic(), 0, 0.0
    if go_on:
        judge, rng = load_judge().train().requires_grad_(True), Random(seed + 1)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=0.02)
    weights = torch.ones(MOTIF_COUNT + 1)
    weights[BACKGROUND] = GROUND_WEIGHT
    while share < 1:
        views, motifs, sizes = draw_windows(rng, pool)
        for _ in range(3 * pool // BATCH):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(1, (step + 1) / 50) * max(1 - share, 0.02)
            rows = torch.randint(0, pool, (BATCH,))
            with narrow():
                logits = judge(disturb(views[rows], rng).to(memory_format=torch.channels_last))
            logits = logits.float()
            loss = F.cross_entropy(logits[:, :BACKGROUND + 1], motifs[rows], weight=weights, label_smoothing=0.02)
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
    parser.add_argument("--go-on", action="store_true", help="start from the judge that is there")
    chosen = parser.parse_args()
    print(f"motif right: {measure(train(chosen.minutes, go_on=chosen.go_on)):.3f}")


if __name__ == "__main__":
    main()
