"""Near duplicates: pictures that look the same after scaling, another compression, a slight crop or a slight change of light.

Two prints must agree in structure (PDQ, Meta 2019), part for part once laid on each other, and, where the judge has weights, in
what it sees.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from generator.curation.instruments import embed
from generator.curation.rules import Policy
from generator.evaluation.colours import to_lab

Picture = NDArray[np.uint8]
SMALL_PX, PARTS = 96, 16
"""Sides of the small picture that a print keeps, and of the grid of parts that are compared."""
INSETS = (0.0, 0.01, 0.02)
"""Shares of a side that one of the two may lack on both ends."""
RATIO = 1.12
"""Ratios of sides further apart than this are two pictures: a cover and its square are both wanted."""
MOST_GAIN, MOST_LIFT = 0.12, 12.0
"""Change of light that is laid aside: of contrast, and in levels of 255."""


@dataclass(frozen=True, kw_only=True)
class Print:
    """What is compared. structure: 256 bits. small: [96, 96, 3] 8-bit. features: of length 1. ratio: width to height."""

    structure: NDArray[np.bool_]
    small: Picture
    features: NDArray[np.float32] | None
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike two prints are. bits: that differ, of 256. colour: CIELAB distance of the parts that differ most, the two laid on
    each other. cosine: of the features, or None.
    """

    bits: int
    colour: float
    cosine: float | None


def take_print(picture: Picture) -> Print:
    """The print of a picture [H, W, 3]."""
    bits, _ = pdqhash.compute(np.ascontiguousarray(picture))
    small = np.asarray(Image.fromarray(picture).resize((SMALL_PX, SMALL_PX), Image.Resampling.BOX))
    return Print(structure=np.asarray(bits, dtype=bool), small=small, features=embed(picture),
                 ratio=picture.shape[1] / picture.shape[0])


def compare(one: Print, other: Print) -> Likeness:
    """How alike two prints are."""
    cosine = None if one.features is None or other.features is None else float(one.features @ other.features)
    colour = min(_distance(first, second) for first, second in _lay_on(one.small, other.small))
    return Likeness(bits=int((one.structure != other.structure).sum()), colour=colour, cosine=cosine)


def is_same(one: Print, other: Print, policy: Policy) -> bool:
    """Whether the two would be taken for one picture. Cheapest tests first."""
    if max(one.ratio / other.ratio, other.ratio / one.ratio) > RATIO:
        return False
    if int((one.structure != other.structure).sum()) > policy.same_bits:
        return False
    likeness = compare(one, other)
    return likeness.colour <= policy.same_colour and (likeness.cosine is None or likeness.cosine >= policy.same_cosine)


def _lay_on(one: Picture, other: Picture) -> Iterator[tuple[Picture, Picture]]:
    """Both as parts [16, 16, 3], with each inset of the one or of the other."""
    plain_one, plain_other = _parts(one, 0, 0), _parts(other, 0, 0)
    for x in INSETS:
        for y in INSETS:
            yield _parts(one, x, y), plain_other
            if x or y:
                yield plain_one, _parts(other, x, y)


def _parts(small: Picture, x: float, y: float) -> Picture:
    area = (SMALL_PX * x, SMALL_PX * y, SMALL_PX * (1 - x), SMALL_PX * (1 - y))
    return np.asarray(Image.fromarray(small).resize((PARTS, PARTS), Image.Resampling.BOX, box=area))


def _distance(one: Picture, other: Picture) -> float:
    """CIELAB distance that the worst hundredth of the parts reach, a change of light laid aside."""
    pixels, seen = one.reshape(-1).astype(np.float64), other.reshape(-1).astype(np.float64)
    spread = pixels - pixels.mean()
    gain = min(max(float(spread @ (seen - seen.mean()) / max(float(spread @ spread), 1.0)), 1 - MOST_GAIN), 1 + MOST_GAIN)
    lift = min(max(float(seen.mean() - gain * pixels.mean()), -MOST_LIFT), MOST_LIFT)
    lit = np.clip(gain * pixels + lift, 0, 255).reshape(one.shape)
    return float(np.quantile(np.sqrt(((to_lab(lit) - to_lab(other)) ** 2).sum(-1)), 0.99))
