"""Layout: where the subjects of a cover stand on a canvas of tokens. The studio draws by it, and prompts are grounded by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Place = Literal["left", "right", "centre", "top", "bottom"]
Density = Literal["sparse", "balanced", "dense"]
Light = Literal["left", "right"]
Arrangement = Literal["one", "two", "three", "four", "left of", "right of", "above", "below", "in front of", "between"]
PLACES: tuple[Place, ...] = get_args(Place)
DENSITIES: tuple[Density, ...] = get_args(Density)
LIGHTS: tuple[Light, ...] = get_args(Light)
ARRANGEMENTS: tuple[Arrangement, ...] = get_args(Arrangement)
COUNTS: tuple[Arrangement, ...] = ARRANGEMENTS[:4]
RELATIONS: tuple[Arrangement, ...] = ARRANGEMENTS[4:]
SIZES = (4, 6, 8)
"""Sides of boxes, in tokens."""
STAGES = 3
"""Kinds of stage behind a dense subject."""
GROUPS = ((4, 4), (8, 8), (8, 4), (12, 4), (16, 4), (14, 6), (4, 8), (6, 14))
"""Columns and rows that the subjects of a cover take together."""
NUDGES = 6
"""Ways in which the seed moves subjects."""
LIGHT_FROM = ((-0.6, -0.75), (0.6, -0.75))
"""Where the light comes from, of each of LIGHTS: x and y, downwards."""


@dataclass(frozen=True)
class Spot:
    """A subject's square, in tokens from the upper left. is_second: of the motif that the first stands in relation to."""

    is_second: bool
    column: int
    row: int
    size: int


def _group(arrangement: Arrangement, roomy: bool, flat: bool) -> tuple[int, int, list[Spot]]:
    """(columns, rows, spots) of the subjects together. roomy: more than 8 tokens a side may be taken. flat: at most 4 rows."""
    side, gap = (6, 2) if roomy else (4, 0)
    if arrangement == "one":
        size = 4 if flat else 8
        return size, size, [Spot(False, 0, 0, size)]
    if arrangement in COUNTS:
        number = COUNTS.index(arrangement) + 1
        if flat:
            return 4 * number, 4, [Spot(False, 4 * index, 0, 4) for index in range(number)]
        places = {2: ((0, 2), (4, 2)), 3: ((2, 0), (0, 4), (4, 4)), 4: ((0, 0), (4, 0), (0, 4), (4, 4))}[number]
        return 8, 8, [Spot(False, column, row, 4) for column, row in places]
    if arrangement in ("left of", "right of"):
        side, gap = (4, 0) if flat else (side, gap)
        is_first_second = arrangement == "right of"
        return 2 * side + gap, side, [Spot(is_first_second, 0, 0, side), Spot(not is_first_second, side + gap, 0, side)]
    if arrangement in ("above", "below"):
        is_first_second = arrangement == "below"
        return side, 2 * side + gap, [Spot(is_first_second, 0, 0, side), Spot(not is_first_second, 0, side + gap, side)]
    if arrangement == "in front of":
        return 8, 8, [Spot(True, 0, 0, 8), Spot(False, 4, 4, 4)]
    return 12, 4, [Spot(True, 0, 0, 4), Spot(False, 4, 0, 4), Spot(True, 8, 0, 4)]


def lay_out(arrangement: Arrangement, place: Place, columns: int, rows: int) -> list[Spot]:
    """The spots of all subjects on a canvas of tokens, those behind first. A canvas too small for them shows their middle."""
    vertical = arrangement in ("above", "below")
    flat = (place in ("top", "bottom") and rows < 14 and not vertical and arrangement != "in front of") or min(rows, columns) < 8
    roomy = place == "centre" and (rows if vertical else columns) >= 16
    wide, high, spots = _group(arrangement, roomy, flat)
    left = {"left": 1, "right": columns - 1 - wide}.get(place, (columns - wide) // 2)
    top = {"top": 1, "bottom": rows - 1 - high}.get(place, (rows - high) // 2)
    left, top = _within(left, columns - wide), _within(top, rows - high)
    return [Spot(spot.is_second, left + spot.column, top + spot.row, spot.size) for spot in spots]


def nudge(spots: Sequence[Spot], place: Place, columns: int, rows: int, number: int) -> list[Spot]:
    """The spots up to a token to the side and a token further in, by `number` (NUDGES ways in turn): two covers of one subject
    differ. Nothing moves where the subject would leave its place or the canvas, nor what stands in the centre.
    """
    if place == "centre":
        return list(spots)
    aside, inwards = number % 3 - 1, (number // 3 % 2) * (1 if place in ("left", "top") else -1)
    x, y = (inwards, aside) if place in ("left", "right") else (aside, inwards)
    left, top, right, bottom = bounds(spots)
    off_x, off_y = (left + right - columns) / 2 + x, (top + bottom - rows) / 2 + y
    away = {"left": -off_x, "right": off_x, "top": -off_y, "bottom": off_y}[place]
    is_inside = left + x >= 0 and top + y >= 0 and right + x <= columns and bottom + y <= rows
    if not is_inside or away - min(abs(off_x), abs(off_y)) < 1 or away < max(abs(off_x), abs(off_y)):
        return list(spots)
    return [Spot(spot.is_second, spot.column + x, spot.row + y, spot.size) for spot in spots]


def _within(start: int, room: int) -> int:
    """`start` from 0 to `room`; where there is no room, the middle."""
    return room // 2 if room < 0 else min(max(start, 0), room)


def bounds(spots: Sequence[Spot]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all spots, in tokens."""
    return (min(spot.column for spot in spots), min(spot.row for spot in spots),
            max(spot.column + spot.size for spot in spots), max(spot.row + spot.size for spot in spots))
