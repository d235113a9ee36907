"""Measures what a brand LoRA does: trains one on the example brand, and paints the same prompts without and with it.

`python -m generator.training.measure_brand --minutes 25 --folder build/brand` prints a table; the folder gets the LoRA, the
measures and a sheet. The third column is the brand itself: the same motifs drawn in its look by hand.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from generator.evaluation.colours import palette_distance as asked_distance
from generator.evaluation.judge import Judge, find, load_judge
from generator.options import LoraFile, ModelOptions
from generator.pipeline import BUNDLED_FOLDER, CoverPainter
from generator.request import CoverImage, CoverRequest
from generator.studio.palettes import PALETTES, RGB, format_hex
from generator.training.brand import BrandPlan, Learned, Standing, learn_brand
from generator.training.brand_distance import Features, describe, palette_distance, style_distance, take_view
from generator.training.brand_example import PLACES, choose_motifs, draw_brand, draw_cover, write_topic
from generator.training.brand_house import find_house, find_palette
from generator.training.brand_lessons import make_lesson, make_sketch, paint_priors

SIZE = (1200, 630)
STEPS, GUIDANCE = 8, 1.0
PRIOR_SHARE = 0.1
SAID_MATERIALS = {"zh": "玻璃质感", "en": "brushed metal"}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A prompt to paint. group: "known" (a motif that the brand's covers show), "new" (none does), "said" (a new one, whose
    prompt names colours and a material).
    """

    group: str
    motif: str
    prompt: str
    colours: tuple[RGB, ...] = ()


def write_probes(count: int, seed: int = 3) -> list[Probe]:
    """`count` probes of each group, in turn in zh and en."""
    rng, probes = Random(seed), []
    known, new = choose_motifs()
    for group, motifs in (("known", known), ("new", new), ("said", new)):
        for number, motif in enumerate(motifs[:count]):
            language = ("zh", "en")[number % 2]
            prompt = write_topic(motif, language, rng)
            colours: tuple[RGB, ...] = ()
            if group == "said":
                colours = rng.choice(PALETTES).colours[:3]
                codes = ("、" if language == "zh" else ", ").join(map(format_hex, colours))
                prompt = (f"{prompt}，{SAID_MATERIALS['zh']}，配色：{codes}" if language == "zh"
                          else f"{prompt}, {SAID_MATERIALS['en']}, palette {codes}")
            probes.append(Probe(group=group, motif=motif, prompt=prompt, colours=colours))
    return probes


def paint_probes(painter: CoverPainter, probes: Sequence[Probe]) -> list[CoverImage]:
    """One picture of each."""
    return [painter.generate(CoverRequest(prompt=probe.prompt, negative="", width=SIZE[0], height=SIZE[1], steps=STEPS,
                                          guidance=GUIDANCE, seed=number, checkpoint=painter.checkpoint))
            for number, probe in enumerate(probes)]


def draw_by_hand(probes: Sequence[Probe]) -> list[CoverImage]:
    """The probes' motifs in the brand's look."""
    places = Random(7)
    return [CoverImage(width=SIZE[0], height=SIZE[1],
                       rgb=draw_cover(probe.motif, places.choice(PLACES[:3]), *SIZE).tobytes()) for probe in probes]


def measure(pictures: Sequence[CoverImage], probes: Sequence[Probe], brand: Sequence[CoverImage],
            judge: Judge | None) -> dict[str, float]:
    """All measures of one column."""
    found: dict[str, float] = {}
    asked = [row for row, probe in enumerate(probes) if probe.group != "said"]
    banks: dict[str, Features | None] = {"style distance, filter bank": None}
    if judge is not None:
        banks["style distance, judge's features"] = fine_features(judge)
    for name, features in banks.items():
        own, goal = (describe([take_view(picture) for picture in some], features)
                     for some in ([pictures[row] for row in asked], brand))
        found["palette distance"] = palette_distance(own, goal)
        found[name] = style_distance(own, goal)
    said = [(pictures[row], probe) for row, probe in enumerate(probes) if probe.colours]
    found["colours said, distance"] = float(np.mean([asked_distance(to_array(picture), list(probe.colours))
                                                     for picture, probe in said]))
    for group in ("known", "new", "said") if judge is not None else ():
        rows = [row for row, probe in enumerate(probes) if probe.group == group]
        found[f"motif found, {group}"] = float(np.mean([shows(judge, pictures[row], probes[row].motif) for row in rows]))
    return found


def fine_features(judge: Judge) -> Features:
    """The judge's first layers."""
    def features(view: Tensor) -> Tensor:
        out: Tensor = judge.fine(view)
        return out

    return features


def shows(judge: Judge | None, picture: CoverImage, motif: str) -> bool:
    """Whether the judge's largest finding is the motif."""
    findings = find(judge, to_array(picture)) if judge is not None else []
    return bool(findings) and findings[0].motif == motif


def to_array(picture: CoverImage) -> NDArray[np.uint8]:
    """[H, W, 3]."""
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


def place_pairs(columns: Sequence[Sequence[CoverImage]], file: Path) -> None:
    """A sheet: one row a probe, one column a kind."""
    rows = [np.concatenate([to_array(picture) for picture in row], axis=1) for row in zip(*columns, strict=True)]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width // 4, sheet.height // 4), Image.Resampling.LANCZOS).save(file)


def print_table(columns: dict[str, dict[str, float]]) -> None:
    """As Markdown."""
    print("| measure | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for name in next(iter(columns.values())):
        print(f"| {name} | " + " | ".join(f"{column[name]:.2f}" for column in columns.values()) + " |")


def tell(standing: Standing) -> None:
    """A line every 20 steps."""
    if standing.step % 20 == 0:
        print(f"{standing.share:4.0%} step {standing.step} loss {standing.loss:.4f} held out {standing.held_out:.4f}", flush=True)


def run(checkpoint: Path, folder: Path, plan: BrandPlan, count: int) -> tuple[Learned, dict[str, dict[str, float]]]:
    """Train, paint, measure; the LoRA and the sheet go into `folder`."""
    covers, probes = draw_brand(), write_probes(count)
    brand = [cover.picture for cover in covers]
    painter = CoverPainter(checkpoint, ModelOptions())
    before = paint_probes(painter, probes)
    sketches = [make_sketch(painter, cover) for cover in covers]
    house = find_house(painter.parts, sketches, find_palette([take_view(cover) for cover in brand]))
    print(house, flush=True)
    lessons = [make_lesson(painter, sketch, house) for sketch in sketches]
    started = time.monotonic()
    priors = paint_priors(painter, lessons, PRIOR_SHARE * plan.minutes * 60, plan.seed)
    spent = (time.monotonic() - started) / 60
    print(f"{len(lessons)} covers, {len(priors)} of the checkpoint's own pictures in {spent:.1f} minutes", flush=True)
    learned = learn_brand(checkpoint, painter.options, lessons, priors,
                          replace(plan, minutes=max(plan.minutes - spent, plan.minutes / 2)), tell, house)
    if not learned.file:
        raise SystemExit(f"the held-out loss did not fall below {learned.held_out_before:.4f} in {learned.steps} steps")
    file = folder / "brand.safetensors"
    file.write_bytes(learned.file)
    after = paint_probes(CoverPainter(checkpoint, ModelOptions(loras=(LoraFile(file=file),))), probes)
    try:
        judge: Judge | None = load_judge()
    except FileNotFoundError:
        judge = None
    hand = draw_by_hand(probes)
    place_pairs((before, after, hand), folder / "sheet.png")
    return learned, {name: measure(pictures, probes, brand, judge)
                     for name, pictures in (("before", before), ("after", after), ("the brand itself", hand))}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--folder", type=Path, default=Path("build/brand"))
    parser.add_argument("--checkpoint", type=Path, default=BUNDLED_FOLDER)
    parser.add_argument("--rank", type=int, default=BrandPlan.rank)
    parser.add_argument("--batch", type=int, default=BrandPlan.batch)
    parser.add_argument("--rate", type=float, help="learning rate, if not the one made for the width")
    parser.add_argument("--slack", type=float, default=BrandPlan.slack, help="see BrandPlan")
    parser.add_argument("--seed", type=int, default=BrandPlan.seed)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--probes", type=int, default=12, help="prompts of each of the three groups")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    plan = BrandPlan(minutes=chosen.minutes, rank=chosen.rank, batch=chosen.batch, rate=chosen.rate, seed=chosen.seed,
                     slack=chosen.slack)
    learned, columns = run(chosen.checkpoint, chosen.folder, plan, chosen.probes)
    print(f"\n{learned.steps} steps; loss {learned.loss_first:.4f} -> {learned.loss_last:.4f}; held out "
          f"{learned.held_out_before:.4f} -> {learned.held_out_after:.4f}\n")
    print_table(columns)
    told = {name: value for name, value in vars(learned).items() if name != "file"}
    (chosen.folder / "measures.json").write_text(json.dumps({"plan": vars(plan), **told, "columns": columns}, indent=1) + "\n")


if __name__ == "__main__":
    main()
