"""SceneCode: what a text state says to the bundled model. Every state names one thing, in coordinates of its own.

The text encoder decides what a prompt asks for (a motif, a place, a colour ...) and says it in this code; grounding adds where
on the canvas it stands. The diffusion transformer is trained on the code of the studio's scenes. Either can be trained without
the other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from generator.layout import SIZES
from generator.native import CANVASES

CHOICES: tuple[tuple[str, int], ...] = (("motif", 48), ("second", 48), ("arrangement", 10), ("place", 5), ("density", 3),
                                        ("material", 5), ("light", 2))
"""What is chosen from a list, in the order of the states, and how long the list is. One more class says: not said."""
COLOURS = 5
"""Background, main colour and three accents: one state each, after the choices."""
STATES = len(CHOICES) + COLOURS
"""Of a prompt, before it is grounded."""
WIDTH = 256
SLOTS = 4
"""Parts along a side of a motif, whatever the size of its square: a token of a square shows one of 16 parts."""
OCTAVES = 3
"""Of sines and cosines of each colour channel, so that close colours have close codes and distant ones distant codes."""
_COLOUR_WIDTH = 2 + 3 * (1 + 2 * OCTAVES)
_OFFSETS = [sum(count + 1 for _, count in CHOICES[:index]) for index in range(len(CHOICES) + 1)]
_CANVAS = _OFFSETS[-1] + COLOURS * _COLOUR_WIDTH
_STAGE = _CANVAS + len(CANVASES) + 1
_PART = sum(size * size for size in SIZES)
SHOWN_WIDTH = _PART + 2 * CHOICES[0][1] * SLOTS * SLOTS
"""Of the state of a token that shows a part of a motif, which has coordinates of its own."""


def code_choices(chosen: Tensor) -> Tensor:
    """States [B, 7, 256] of class numbers [B, 7]; the number after the last class says that nothing was said."""
    places = chosen + torch.tensor(_OFFSETS[:-1], device=chosen.device)
    return torch.nn.functional.one_hot(places, WIDTH).float()


def code_colours(colours: Tensor, said: Tensor) -> Tensor:
    """States [B, 5, 256] of colours [B, 5, 3] in 0..1; said: [B, 5] bool."""
    centred = colours * 2 - 1
    angles = centred[..., None] * (torch.pi / 2 * 2.0 ** torch.arange(OCTAVES, device=colours.device))
    parts = [said[..., None].float(), 1 - said[..., None].float(), centred, angles.sin().flatten(-2), angles.cos().flatten(-2)]
    values = torch.cat([parts[0], parts[1], torch.cat(parts[2:], dim=-1) * parts[0]], dim=-1)      # [B, 5, 23]
    states = values.new_zeros(*values.shape[:-1], WIDTH)
    for slot in range(COLOURS):
        first = _OFFSETS[-1] + slot * _COLOUR_WIDTH
        states[:, slot, first:first + _COLOUR_WIDTH] = values[:, slot]
    return states


def code_scenes(chosen: Tensor, colours: Tensor, said: Tensor) -> Tensor:
    """All states [B, 12, 256]."""
    return torch.cat([code_choices(chosen), code_colours(colours, said)], dim=1)


def read_choices(states: Tensor) -> dict[str, int | None]:
    """The class number of each choice in a prompt's states [12 or more, 256]; None: not said."""
    found: dict[str, int | None] = {}
    for row, (name, count) in enumerate(CHOICES):
        number = int(states[row, _OFFSETS[row]:_OFFSETS[row + 1]].argmax())
        found[name] = None if number == count else number
    return found


def code_canvas(grid: tuple[int, int]) -> Tensor:
    """The state [1, 256] of a canvas of (rows, columns); all that are not native share one."""
    columns_rows = (grid[1], grid[0])
    number = CANVASES.index(columns_rows) if columns_rows in CANVASES else len(CANVASES)
    return _mark(_CANVAS + number)


def code_stage(number: int) -> Tensor:
    """The state [1, 256] of a kind of stage."""
    return _mark(_STAGE + number)


def code_square(motif: int, size: int, mirrored: bool) -> Tensor:
    """States [size, size, 1652] of what the tokens of a motif's square show: a part of the motif, and which token it is.

    mirrored: the motif is drawn mirrored, so that its parts come in the other order.
    """
    across = torch.arange(size)
    cell = across[:, None] * size + across
    part = (across * SLOTS // size)[:, None] * SLOTS + across * SLOTS // size
    if mirrored:
        cell, part = cell.flip(1), part.flip(1)
    first_cell = sum(side * side for side in SIZES if side < size)
    one_hot = torch.nn.functional.one_hot
    parts = _PART + ((2 * motif + mirrored) * SLOTS * SLOTS) + part
    return (one_hot(first_cell + cell, SHOWN_WIDTH) + one_hot(parts, SHOWN_WIDTH)).float()


def _mark(place: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor([place]), WIDTH).float()


def not_said() -> Tensor:
    """The states [12, 256] of a prompt that asks for nothing."""
    chosen = torch.tensor([[count for _, count in CHOICES]])
    return code_scenes(chosen, torch.zeros(1, COLOURS, 3), torch.zeros(1, COLOURS, dtype=torch.bool))[0]


def check_lengths(lengths: Sequence[int]) -> None:
    """Raises ValueError where the studio's lists are not as long as the code has room for."""
    if list(lengths) != [count for _, count in CHOICES]:
        raise ValueError(f"the studio's lists have {list(lengths)} entries; the code has room for {CHOICES}")
