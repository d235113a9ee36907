"""Grounding: a prompt's states tied to places of one canvas, for the bundled model.

The reader says what is asked for; here it is decided where that stands, and every token of a subject's square is told which part
of which motif it shows. What a prompt leaves open (place, colours, material, light ...) the house decides, if there is one, and
else the seed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import torch
from torch import Tensor

from generator.house import House
from generator.layout import ARRANGEMENTS, DENSITIES, LIGHTS, NUDGES, PLACES, RELATIONS, STAGES, bounds, lay_out, nudge
from generator.scene_code import (
    CHOICES,
    COLOURS,
    RIM,
    SHOWN_ROWS,
    code_canvas,
    code_choices,
    code_colours,
    code_ground,
    code_stage,
    number_ground,
    number_square,
    number_stage,
    read_choices,
    read_colours,
    read_stage,
)
from generator.studio.palettes import Palette, sample_palette

OPEN = {"place": len(PLACES), "density": len(DENSITIES), "material": dict(CHOICES)["material"], "light": len(LIGHTS)}
"""Choices that the seed makes where the prompt does not, and how many there are to choose from."""
PAIRED = tuple(map(ARRANGEMENTS.index, RELATIONS))
"""Arrangements of two motifs."""


@dataclass(frozen=True)
class Area:
    """A part of a canvas, in tokens, that subjects are laid out in."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Grounded:
    """What the transformer is told. states: [T, W]. shown: [h*w, 3], what every token of the picture shows, by rows of tables
    (scene_code.SHOWN_ROWS); None: nothing.
    """

    states: Tensor
    shown: Tensor | None = None


def ground(states: Tensor, grid: tuple[int, int], seed: int, area: Area | None = None, house: House | None = None) -> Grounded:
    """The prompt's states [12, W] on a canvas of (rows, columns); subjects inside `area`, by default the whole canvas.

    A prompt without a motif gets no subject.
    """
    told = complete(states, grid, seed, house)
    return Grounded(told, show(told, grid, area, seed if area is None else None))


def complete(states: Tensor, grid: tuple[int, int], seed: int, house: House | None = None) -> Tensor:
    """The prompt's states [T, W] with what house or seed decide, the colours as they are painted with, and canvas and stage."""
    said, rng = read_choices(states), Random(seed)
    drawn = _draw_open(rng)
    chosen = {**said, **{name: number for name, number in drawn.items() if said[name] is None}}
    if said["second"] is None and said["arrangement"] in PAIRED:  # half of a pair was read
        chosen["arrangement"] = ARRANGEMENTS.index("one")
    if house is not None:
        chosen |= {name: number for name, number in house.choices.items() if house.is_left(name, said[name])}
    numbers = torch.tensor([[count if (number := chosen[name]) is None else number for name, count in CHOICES]])
    palette = complete_palette(states, sample_palette(rng) if house is None else house.palette)
    colours = code_colours(torch.tensor([palette.colours]) / 255, torch.ones(1, COLOURS, dtype=torch.bool))
    whole = [code_choices(numbers)[0], colours[0], code_stage(seed % STAGES), code_ground(palette.is_dark), code_canvas(grid)]
    return torch.cat([part.to(states) for part in whole])


def _draw_open(rng: Random) -> dict[str, int]:
    return {name: rng.randrange(count) for name, count in OPEN.items()}


@cache
def varied_seeds() -> tuple[int, ...]:
    """The first seeds that between them put a subject at every place and move it in every way: one for each place and way."""
    found: dict[tuple[int, int], int] = {}
    for seed in itertools.count():
        found.setdefault((_draw_open(Random(seed))["place"], seed // STAGES % NUDGES), seed)
        if len(found) == len(PLACES) * NUDGES:
            break
    return tuple(found.values())


def complete_palette(states: Tensor, own: Palette) -> Palette:
    """The colours that a prompt asks for, and those of `own` where it names none, as they are painted."""
    background, main, *accents = read_colours(states)
    named = tuple(colour for colour in accents if colour is not None)
    return Palette(background=background or own.background, main=main or own.main, accents=named or own.accents).ordered


def show(states: Tensor, grid: tuple[int, int], area: Area | None = None, seed: int | None = None) -> Tensor:
    """[h*w, 3]: what every token shows of the ground, the stage and the subjects that completed states ask for. seed: moves the
    subjects a little; None: they stand as the studio lays them out.
    """
    said, area = read_choices(states), area or Area(0, 0, *grid)
    shown = torch.zeros(*grid, len(SHOWN_ROWS), dtype=torch.int32)
    shown[..., 0] = number_ground(grid, said["light"] == LIGHTS.index("right"))
    if (motif := said["motif"]) is not None:
        second = motif if said["second"] is None else said["second"]
        place = PLACES[said["place"] or 0]
        spots = lay_out(ARRANGEMENTS[said["arrangement"] or 0], place, area.columns, area.rows)
        spots = spots if seed is None else nudge(spots, place, area.columns, area.rows, seed // STAGES)
        if density := said["density"]:
            left, top, right, bottom = bounds(spots)
            stage = number_stage((right - left, bottom - top), read_stage(states), density)
            _lay(shown[..., 1], stage, top + area.top - RIM, left + area.left - RIM)
        for spot in spots:
            square = number_square(second if spot.is_second else motif, spot.size)
            _lay(shown[..., 2], square, spot.row + area.top, spot.column + area.left)
    return shown.flatten(0, 1).to(states.device)


def _lay(shown: Tensor, square: Tensor, top: int, left: int) -> None:
    """Put a part's numbers [M, N] on the canvas [h, w], over what is there; what lies beyond the canvas is lost."""
    (high, wide), (rows, columns) = square.shape, shown.shape
    first_row, last_row = max(top, 0), min(top + high, rows)
    first_column, last_column = max(left, 0), min(left + wide, columns)
    if first_row < last_row and first_column < last_column:
        part = square[first_row - top:last_row - top, first_column - left:last_column - left]
        shown[first_row:last_row, first_column:last_column] = part


def stack_shown(told: Sequence[Grounded]) -> Tensor | None:
    """[B, h*w, 3] of several prompts; None where nobody says what tokens show."""
    shown = [one.shown for one in told if one.shown is not None]
    return torch.stack(shown) if shown else None
