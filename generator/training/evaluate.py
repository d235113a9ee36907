"""Evaluates a checkpoint on held-out captions. `python -m generator.training.evaluate --help`.

Motif and place are judged by a classifier that has only seen studio pictures; the same scores are given for the studio's
own pictures of the same scenes, as the ceiling.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from generator.pipeline import BUNDLED_FOLDER, CoverPainter
from generator.request import CoverRequest
from generator.studio.scene import MOTIFS, PLACES, Scene, paint, sample_scene
from generator.training.captions import Caption, Tongue, write_caption
from generator.training.colours import palette_distance
from generator.training.judge import Judge, make_view, train_judge

SIZES = ((1200, 630), (1024, 1024))
TONGUES: tuple[Tongue, ...] = ("zh", "en", "mixed")
HELD_OUT_SEED = 424_242
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A held-out caption, the scene behind it, and the picture painted from the caption."""

    scene: Scene
    caption: Caption
    picture: Picture


def paint_samples(painter: CoverPainter, count: int, steps: int, guidance: float) -> list[Sample]:
    """`count` pictures of long captions, tongues and sizes in turn."""
    rng = Random(HELD_OUT_SEED)
    samples: list[Sample] = []
    while len(samples) < count:
        scene = sample_scene(rng)
        caption = write_caption(scene, rng, TONGUES[len(samples) % 3])
        if caption.place is None or not caption.colours:
            continue
        width, height = SIZES[len(samples) % 2]
        image = painter.generate(CoverRequest(prompt=caption.text, negative="", width=width, height=height, steps=steps,
                                              guidance=guidance, seed=len(samples), checkpoint=painter.checkpoint))
        samples.append(Sample(scene=scene, caption=caption, picture=np.frombuffer(image.rgb, np.uint8).reshape(height, width, 3)))
        if len(samples) % 20 == 0:
            print(f"{len(samples)}/{count}", flush=True)
    return samples


def score(judge: Judge, samples: list[Sample], pictures: list[Picture]) -> dict[str, float]:
    """Motif and place accuracy, palette distance (Delta E 2000) and edge energy (mean absolute difference of neighbours)."""
    with torch.no_grad():
        motif, place = judge(torch.stack([make_view(picture) for picture in pictures]))
    motifs = torch.tensor([list(MOTIFS).index(sample.scene.motif) for sample in samples])
    places = torch.tensor([PLACES.index(sample.scene.place) for sample in samples])
    distances = [palette_distance(picture, list(sample.scene.palette.colours[:2]))
                 for picture, sample in zip(pictures, samples, strict=True)]
    edges = [np.abs(np.diff(picture.astype(np.int16), axis=axis)).mean() for picture in pictures for axis in (0, 1)]
    return {"pictures": len(pictures), "motif": round((motif.argmax(1) == motifs).float().mean().item(), 4),
            "place": round((place.argmax(1) == places).float().mean().item(), 4),
            "palette_delta_e": round(float(np.mean(distances)), 2), "edge_energy": round(float(np.mean(edges)), 3)}


def evaluate(painter: CoverPainter, count: int, steps: int, guidance: float, sheet: Path | None) -> dict[str, dict[str, float]]:
    """Scores of the painter by tongue and in all, and of the studio itself on the same scenes."""
    judge = train_judge()
    samples = paint_samples(painter, count, steps, guidance)
    report = {"all": score(judge, samples, [sample.picture for sample in samples])}
    for tongue in TONGUES:
        part = [sample for sample in samples if sample.caption.tongue == tongue]
        report[tongue] = score(judge, part, [sample.picture for sample in part])
    own = [paint(sample.scene, sample.picture.shape[1], sample.picture.shape[0]) for sample in samples]
    report["studio"] = score(judge, samples, own)
    if sheet:
        write_sheet(samples[:48], sheet)
    return report


def write_sheet(samples: list[Sample], file: Path) -> None:
    """A PNG of the first samples, wide and square in turn, in rows of six."""
    cell = (280, 160)
    sheet = Image.new("RGB", (6 * cell[0], -(-len(samples) // 6) * cell[1]), "#FFFFFF")
    for number, sample in enumerate(samples):
        picture = Image.fromarray(sample.picture)
        picture.thumbnail((cell[0] - 6, cell[1] - 6), Image.Resampling.LANCZOS)
        sheet.paste(picture, (number % 6 * cell[0] + (cell[0] - picture.width) // 2, number // 6 * cell[1] + 3))
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=BUNDLED_FOLDER)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--sheet", type=Path)
    chosen = parser.parse_args()
    print(json.dumps(evaluate(CoverPainter(chosen.folder), chosen.count, chosen.steps, chosen.guidance, chosen.sheet), indent=1))


if __name__ == "__main__":
    main()
