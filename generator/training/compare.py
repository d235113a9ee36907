"""Compares two checkpoints on the same held-out prompts and seeds: scores, the scorer's opinion, diversity, and a blind sheet.

`python -m generator.training.compare BEFORE AFTER --limit 360 --out build/compare` prints a table; the folder gets `sheet.png`,
pairs in an order that chance decides, and `key.json`, which of each pair is the one after.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from generator.curation.instruments import embed
from generator.evaluation.aesthetic import load_scorer
from generator.evaluation.judge import load_judge
from generator.evaluation.report import Prompt, as_array, make_request, paint_prompts, read_prompts, score_picture, tabulate
from generator.evaluation.scores import Picture
from generator.pipeline import CoverPainter

STEPS, GUIDANCE = 8, 1.0
PAIRS, PAIRS_A_ROW = 32, 2
CELL_PX, GAP_PX = 360, 12
VARIED, SEEDS = 12, 6
"""Prompts that are painted with several seeds, and how many."""


def measure(painter: CoverPainter, prompts: Sequence[Prompt], steps: int) -> tuple[dict[str, float], list[Picture]]:
    """Mean of every score, with the diversity of pictures; and the pictures."""
    pictures = paint_prompts(painter, prompts, steps, GUIDANCE)
    judge, scorer = load_judge(), load_scorer()
    rows = [score_picture(judge, scorer, prompt, picture) for prompt, picture in zip(prompts, pictures, strict=True)]
    means = {name: score["all"]["mean"] for name, score in tabulate(prompts, rows).items()}
    varied = prompts[:: max(1, len(prompts) // VARIED)][:VARIED]
    return {**means, "diversity": measure_diversity(painter, varied, steps)}, pictures


def measure_diversity(painter: CoverPainter, prompts: Sequence[Prompt], steps: int) -> float:
    """Mean distance (1 - cosine of what the judge sees) between pictures of one prompt with different seeds."""
    apart = []
    for prompt in prompts:
        seen = [embed(as_array(painter.generate(make_request(painter, prompt, seed, steps, GUIDANCE)))) for seed in range(SEEDS)]
        apart += [1 - float(np.dot(one, other)) for one, other in combinations([each for each in seen if each is not None], 2)]
    return float(np.mean(apart))


def lay_pairs(before: Sequence[Picture], after: Sequence[Picture], rng: Random) -> tuple[Image.Image, list[str]]:
    """(sheet, which side is the one after, pair for pair)."""
    key, rows, row = [], list[list[Image.Image]](), list[Image.Image]()
    for one, other in zip(before, after, strict=True):
        is_right = rng.random() < 0.5
        key.append("right" if is_right else "left")
        for picture in (one, other) if is_right else (other, one):
            row.append(Image.fromarray(picture))
            row[-1].thumbnail((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
        if len(row) == 2 * PAIRS_A_ROW:
            rows, row = [*rows, row], []
    rows += [row] if row else []
    heights = [max(picture.height for picture in row) + GAP_PX for row in rows]
    sheet = Image.new("RGB", ((CELL_PX + GAP_PX) * 2 * PAIRS_A_ROW, sum(heights)), "white")
    for number, row in enumerate(rows):
        for place, small in enumerate(row):
            sheet.paste(small, (place * (CELL_PX + GAP_PX) + place // 2 * GAP_PX, sum(heights[:number])))
    return sheet, key


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--limit", type=int, default=360)
    parser.add_argument("--steps", type=int, nargs=2, default=(STEPS, STEPS), metavar=("BEFORE", "AFTER"))
    parser.add_argument("--out", type=Path, default=Path("build/compare"))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    prompts = read_prompts(chosen.limit)
    found, pictures = zip(*(measure(CoverPainter(folder), prompts, steps)
                            for folder, steps in zip((chosen.before, chosen.after), chosen.steps, strict=True)), strict=True)
    print("| score | before | after |\n|---|---:|---:|")
    for name in found[0]:
        print(f"| {name} | {found[0][name]:.4f} | {found[1][name]:.4f} |")
    every = max(1, len(prompts) // PAIRS)
    sheet, key = lay_pairs(pictures[0][::every][:PAIRS], pictures[1][::every][:PAIRS], Random(0))
    sheet.save(chosen.out / "sheet.png")
    (chosen.out / "key.json").write_text(json.dumps(key) + "\n")


if __name__ == "__main__":
    main()
