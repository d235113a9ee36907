"""Finds the house that a brand's covers share: its colours, and how far its look is from what the checkpoint expects."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.evaluation.colours import ciede2000, dominant_colours, to_lab
from generator.house import KINDS, MOST_OFFSET, House
from generator.mmdit import MMDiT
from generator.parts import Parts
from generator.scene_code import CHOICES, SHOWN_ROWS, read_choices
from generator.studio.palettes import RGB, Palette
from generator.training.brand_distance import to_pixels
from generator.training.brand_lessons import Lesson, Sketch, find_seed

RIM = 1 / 12
"""Share of a picture's sides in which its ground is looked for."""
GROUND_SHARE = 0.1
"""Of the rim, from which a colour there is the ground's."""
POOLED, ALIKE = 12, 10.0
"""Colours that are looked for in all covers together, and Delta E 2000 within which two are one."""
MOST_ACCENTS = 3
COMPARED = 48
"""Covers that a house is looked for in."""


def find_palette(views: Sequence[Tensor]) -> Palette:
    """The colours that covers [1, 3, H, W] in -1..1 have in common: the commonest along their rims, and of those that are rare
    there the ones that cover most.
    """
    pictures = [to_pixels(view) for view in views]
    rims = np.concatenate([_rim(picture) for picture in pictures])
    colours, shares = _count(rims)
    background = colours[int(shares.argmax())]
    ground = [colour for colour, share in zip(colours, shares, strict=True) if share >= GROUND_SHARE]
    colours, shares = _count(np.concatenate([picture[::3, ::3].reshape(-1, 3) for picture in pictures]))
    chosen: list[RGB] = []
    for row in np.argsort(-shares):
        if all(_apart(colours[row], other) > ALIKE for other in (*ground, *chosen)):
            chosen.append(colours[row])
    main, *accents = chosen[:MOST_ACCENTS + 1] or [background]
    return Palette(background=background, main=main, accents=tuple(accents) or (main,))


def _rim(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    high, wide = (max(1, round(RIM * side)) for side in picture.shape[:2])
    inner = np.ones(picture.shape[:2], dtype=bool)
    inner[high:-high, wide:-wide] = False
    return picture[inner]


def _count(pixels: NDArray[np.uint8]) -> tuple[list[RGB], NDArray[np.float64]]:
    """Colours of pixels [N, 3], and how many of them are nearest to each."""
    side = int(len(pixels)**0.5)
    square = pixels[np.linspace(0, len(pixels) - 1, side * side).astype(int)].reshape(side, side, 3)
    seen = square[::6, ::6].reshape(-1, 3)
    apart = ((to_lab(seen)[:, None] - dominant_colours(square, POOLED)[None]) ** 2).sum(-1)
    nearest, colours, shares = apart.argmin(1), list[RGB](), list[float]()
    for index in range(POOLED):
        if (own := nearest == index).any():
            red, green, blue = np.median(seen[own], axis=0).round().astype(int).tolist()
            colours.append((red, green, blue))
            shares.append(float(own.mean()))
    return colours, np.array(shares)


def _apart(one: RGB, other: RGB) -> float:
    return float(ciede2000(to_lab(np.array(one, dtype=np.float64)), to_lab(np.array(other, dtype=np.float64))))


def find_house(parts: Parts, sketches: Sequence[Sketch], palette: Palette) -> House | None:
    """The house with these colours, and with the material and then the density in which the checkpoint expects what comes
    nearest to the covers: to at most 48 of them, and of those to the ones whose prompt names a motif and leaves the choice
    open. None beside networks that are not told what tokens show.
    """
    if not parts.has_canvases:
        return None
    house, some = House(palette=palette), sketches[:: -(-len(sketches) // COMPARED)]
    for name in KINDS:
        tried = [replace(house, choices={**house.choices, name: number}) for number in range(dict(CHOICES)[name])]
        said = [read_choices(sketch.states) for sketch in some]
        open_ones = [sketch for sketch, one in zip(some, said, strict=True)
                     if one["motif"] is not None and tried[0].is_left(name, one[name])]
        if open_ones:
            distances = [sum(find_seed(parts, sketch, one)[1] for sketch in open_ones) for one in tried]
            house = tried[int(np.argmin(distances))]
    return house


@torch.inference_mode()
def find_offset(network: MMDiT, lessons: Sequence[Lesson]) -> tuple[float, ...]:
    """The log of how much further the ground of `lessons` is from the expected than it should be, squared; 0 for stage and motif:
    loosened too, they come out as noise, for there are too few covers to learn them anew from.
    """
    weight = network.prior.log_variance
    off, count = 0.0, 1e-6
    for lesson in lessons:
        shown, states = lesson.full.shown, lesson.full.states
        assert shown is not None
        belief = network.prior(shown[None].to(weight.device), states.sum(0, keepdim=True).to(weight))
        wrong = ((lesson.clean.to(weight) - belief.mean[0]).square() / belief.variance[0]).float().mean(-1).cpu()
        ground = ~shown[:, 1:].any(-1).cpu() * lesson.inside
        off, count = off + float((wrong * ground).sum()), count + float(ground.sum())
    return (min(max(math.log(max(off / count, 1)), 0.0), MOST_OFFSET), *(0.0,) * (len(SHOWN_ROWS) - 1))
