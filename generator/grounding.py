"""Grounding: a prompt's states tied to places of one canvas, for the bundled model.

The reader says what is asked for; here it is decided where that stands, and every token of a subject's square is told which part
of which motif it shows. What a prompt leaves open (place, density, light, stage) the seed decides; colours and material stay
open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from generator.layout import ARRANGEMENTS, DENSITIES, LIGHTS, PLACES, STAGES, lay_out
from generator.scene_code import CHOICES, SHOWN_WIDTH, STATES, code_canvas, code_choices, code_square, code_stage, read_choices

OPEN = {"place": len(PLACES), "density": len(DENSITIES), "light": len(LIGHTS)}
"""Choices that the seed makes where the prompt does not, and how many there are to choose from."""


@dataclass(frozen=True)
class Area:
    """A part of a canvas, in tokens, that subjects are laid out in."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Grounded:
    """What the transformer is told. states: [T, W]. shown: [h*w, S], a state for every token of the picture; None: nothing."""

    states: Tensor
    shown: Tensor | None = None


def ground(states: Tensor, grid: tuple[int, int], seed: int, area: Area | None = None) -> Grounded:
    """The prompt's states [12, W] on a canvas of (rows, columns); subjects inside `area`, by default the whole canvas.

    A prompt without a motif gets no subject: that is what guidance compares with.
    """
    told = complete(states, grid, seed)
    return Grounded(told, show(told, grid, area))


def complete(states: Tensor, grid: tuple[int, int], seed: int) -> Tensor:
    """The prompt's states [T, W] with what the seed decides, and with those of canvas and stage."""
    said, rng = read_choices(states), Random(seed)
    drawn = {name: rng.randrange(count) for name, count in OPEN.items()}
    canvas = code_canvas(grid).to(states)
    if said["motif"] is None:
        return torch.cat([states[:STATES], canvas])
    chosen = {**said, **{name: number for name, number in drawn.items() if said[name] is None}}
    numbers = torch.tensor([[count if (number := chosen[name]) is None else number for name, count in CHOICES]])
    return torch.cat([code_choices(numbers)[0].to(states), states[len(CHOICES):STATES], canvas,
                      code_stage(seed % STAGES).to(states)])


def show(states: Tensor, grid: tuple[int, int], area: Area | None = None) -> Tensor:
    """[h*w, S]: what every token shows of the subjects that completed states ask for; zeros where that is ground."""
    said, area = read_choices(states), area or Area(0, 0, *grid)
    shown = states.new_zeros(*grid, SHOWN_WIDTH)
    if (motif := said["motif"]) is not None:
        second = motif if said["second"] is None else said["second"]
        for spot in lay_out(ARRANGEMENTS[said["arrangement"] or 0], PLACES[said["place"] or 0], area.columns, area.rows):
            square = code_square(second if spot.is_second else motif, spot.size, said["light"] == LIGHTS.index("right"))
            _lay(shown, square.to(states), spot.row + area.top, spot.column + area.left)
    return shown.flatten(0, 1)


def _lay(shown: Tensor, square: Tensor, top: int, left: int) -> None:
    """Put a square's states [N, N, S] on the canvas [h, w, S], over what is there; what lies beyond the canvas is lost."""
    size, (rows, columns) = len(square), shown.shape[:2]
    first_row, last_row = max(top, 0), min(top + size, rows)
    first_column, last_column = max(left, 0), min(left + size, columns)
    if first_row < last_row and first_column < last_column:
        part = square[first_row - top:last_row - top, first_column - left:last_column - left]
        shown[first_row:last_row, first_column:last_column] = part


def stack_shown(told: Sequence[Grounded]) -> Tensor | None:
    """[B, h*w, S] of several prompts; None where nobody says what tokens show."""
    shown = [one.shown for one in told if one.shown is not None]
    return torch.stack(shown) if shown else None
