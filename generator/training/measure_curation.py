"""Measures curation on the studio's corpus with planted faults. `python -m generator.training.measure_curation --help`.

Bounds were set on seeds 1 and 3; docs/curation.md reports seed 5.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.curation.duplicates import Print, compare, is_same, take_print
from generator.curation.examine import Examined, examine, find_duplicates
from generator.curation.instruments import Instruments, load_instruments
from generator.curation.rules import Policy
from generator.evaluation.colours import ciede2000, to_lab
from generator.layout import DENSITIES, LIGHTS
from generator.native import CANVASES, TOKEN_PX
from generator.studio.palettes import Palette, sample_palette
from generator.studio.scene import Scene, paint, sample_scene
from generator.training.flaws import FLAWS

Picture = NDArray[np.uint8]
SIZES = ((1200, 630), (900, 383), (1024, 1024), (1280, 720), *((c * TOKEN_PX, r * TOKEN_PX) for c, r in CANVASES))
OWN_CHECK = {"noise": "grain", "washed": "contrast", "smear": "aesthetic", "broken": "aesthetic"}
"""The check that must find a flaw, where its name is another."""
WRONG_FROM = 20.0
"""Mean Delta E between two palettes from which one is wrong where the other was asked for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. found: dropped for any reason; own: by the check that is for this fault."""

    name: str
    count: int
    found: int
    own: int


def paint_fresh(rng: Random) -> tuple[Scene, Picture]:
    """A scene on a canvas of chance."""
    scene = sample_scene(rng)
    return scene, paint(scene, *rng.choice(SIZES))


def copy_loosely(picture: Picture, rng: Random) -> Picture:
    """The same picture from elsewhere: cropped by up to 3 %, smaller, brighter or darker by up to 6 %, as JPEG."""
    high, wide = picture.shape[:2]
    left, top = (round(side * rng.uniform(0, 0.015)) for side in (wide, high))
    crop = Image.fromarray(picture[top:high - top, left:wide - left])
    share = rng.uniform(0.65, 0.95)
    small = crop.resize((round(crop.width * share), round(crop.height * share)), Image.Resampling.LANCZOS)
    lit = Image.fromarray(np.clip(np.asarray(small) * rng.uniform(0.94, 1.06), 0, 255).astype(np.uint8))
    file = BytesIO()
    lit.save(file, "JPEG", quality=rng.randint(60, 90))
    return np.asarray(Image.open(file).convert("RGB"))


def sample_wrong_palette(right: Palette, rng: Random) -> Palette:
    """A palette whose colours are far from `right`."""
    there = to_lab(np.array(right.colours, dtype=np.float64))
    while True:
        palette = sample_palette(rng)
        asked = to_lab(np.array(palette.colours, dtype=np.float64))
        if ciede2000(asked[:, None], there[None]).min(1).mean() >= WRONG_FROM:
            return palette


def plant(name: str, count: int, rng: Random, instruments: Instruments, policy: Policy) -> Row:
    """`count` fresh pictures with the fault `name`, examined."""
    looking = instruments if name == "text" else replace(instruments, text=None)
    check, examined = OWN_CHECK.get(name, name), []
    for _ in range(count):
        scene, picture = paint_fresh(rng)
        if name in FLAWS:
            picture = FLAWS[name](picture, rng)
        palette = sample_wrong_palette(scene.palette, rng) if name == "palette" else scene.palette
        examined.append(examine(picture, "" if name == "licence" else "own", palette.colours, looking, policy))
    return Row(name=name, count=count, found=sum(bool(one.reasons) for one in examined),
               own=sum(any(reason.startswith(f"{check}:") for reason in one.reasons) for one in examined))


def examine_good(count: int, copies: int, rng: Random, instruments: Instruments,
                 policy: Policy) -> tuple[list[Examined], list[Print]]:
    """(good pictures, prints of loose copies of the first of them). Reading is slow: text is looked for in those first ones."""
    good: list[Examined] = []
    copied: list[Print] = []
    for number in range(count):
        scene, picture = paint_fresh(rng)
        looking = instruments if number < copies else replace(instruments, text=None)
        good.append(examine(picture, "own", scene.palette.colours, looking, policy))
        if number < copies:
            copied.append(take_print(copy_loosely(picture, rng)))
        tell(f"good {number + 1}/{count}")
    return good, copied


def pair_scenes(count: int, rng: Random) -> Iterator[tuple[Picture, Picture]]:
    """Pairs of one motif, place and palette on one canvas, which differ in stage, light or material, or in how many there are."""
    for _ in range(count):
        scene, size = sample_scene(rng), rng.choice(SIZES)
        other = sample_scene(rng, [scene.motif, scene.second or "tree"])
        changed = replace(scene, seed=scene.seed + rng.randint(1, 2), density=rng.choice(DENSITIES), light=rng.choice(LIGHTS),
                          material=other.material)
        yield paint(scene, *size), paint(changed, *size)


def compare_pairs(count: int, rng: Random, policy: Policy) -> str:
    """How many of the pairs are called duplicates, and how far apart the pixels of those and of the others are."""
    called, others = [], []
    for one, other in pair_scenes(count, rng):
        apart = float(np.abs(one.astype(np.int16) - other).mean())
        prints = take_print(one), take_print(other)
        if is_same(*prints, policy):
            likeness = compare(*prints)
            called.append(f"{apart:.1f} ({likeness.bits} bits, colour {likeness.colour:.1f})")
        else:
            others.append(apart)
    rest = f"{min(others):.1f} to {max(others):.1f}" if others else "none"
    return (f"pairs of one motif, place and palette: {len(called)} of {count} called duplicates; their mean difference: "
            f"{', '.join(called) or 'none'}; of the other pairs: {rest} (of 255)")


def tell(line: str) -> None:
    """Progress, over itself, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r{line}   ", end="", file=sys.stderr, flush=True)


def print_row(row: Row) -> None:
    """One line of the table of docs/curation.md, at once: the whole takes long."""
    print(f"| {row.name} | {row.count} | {row.found / row.count:.1%} | {row.own / row.count:.1%} |", flush=True)


def print_good(good: list[Examined], same: dict[int, int]) -> None:
    """How many good pictures were dropped, and why."""
    wrongly = [number for number, one in enumerate(good) if one.reasons or number in same]
    print(f"good pictures dropped: {len(wrongly)} of {len(good)} ({len(wrongly) / len(good):.1%})")
    for number in wrongly:
        print(f"  {number}: {'; '.join(good[number].reasons) or f'duplicate of {same[number]}'}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=400)
    parser.add_argument("--planted", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-text", action="store_true", help="leave out the reader, which takes most of the time")
    options = parser.parse_args()
    started, rng, policy, instruments = time.monotonic(), Random(options.seed), Policy(), load_instruments()
    if options.without_text:
        instruments = replace(instruments, text=None, missing=instruments.missing | {"text": "left out"})
    good, copies = examine_good(options.good, options.planted, rng, instruments, policy)
    same = find_duplicates([*(one.seal for one in good), *copies], policy)
    found = sum(same.get(len(good) + number) == number for number in range(len(copies)))
    print_good(good, same)
    print("\n| planted | pictures | dropped | by its own check |\n|---|---|---|---|")
    print_row(Row(name="duplicate", count=len(copies), found=found, own=found))
    for name in ("licence", "palette", *FLAWS):
        print_row(plant(name, options.planted, rng, instruments, policy))
    print(f"\n{compare_pairs(options.planted, rng, policy)}")
    for name, why in instruments.missing.items():
        print(f"{name}: {why}")
    print(f"seed {options.seed}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
