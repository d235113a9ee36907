"""SceneCode: what a text state says to the bundled model. Every state names one thing, in coordinates of its own.

The text encoder decides what a prompt asks for (a motif, a place, a colour ...) and says it in this code; grounding adds where
on the canvas it stands. The diffusion transformer is trained on the code of the studio's scenes. Either can be trained without
the other.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from generator.layout import DENSITIES, GROUPS, LIGHT_FROM, SIZES, STAGES
from generator.native import CANVASES

RGB = tuple[int, int, int]

CHOICES: tuple[tuple[str, int], ...] = (("motif", 48), ("second", 48), ("arrangement", 10), ("place", 5), ("density", 3),
                                        ("material", 5), ("light", 2))
"""What is chosen from a list, in the order of the states, and how long the list is. One more class says: not said."""
COLOURS = 5
"""Background, main colour and three accents: one state each, after the choices."""
STATES = len(CHOICES) + COLOURS
"""Of a prompt, before it is grounded."""
WIDTH = 256
OCTAVES = 3
"""Of sines and cosines of each colour channel, so that close colours have close codes and distant ones distant codes."""
_COLOUR_WIDTH = 2 + 3 * (1 + 2 * OCTAVES)
_OFFSETS = [sum(count + 1 for _, count in CHOICES[:index]) for index in range(len(CHOICES) + 1)]
_CANVAS = _OFFSETS[-1] + COLOURS * _COLOUR_WIDTH
_STAGE = _CANVAS + len(CANVASES) + 1
_GROUND = _STAGE + STAGES
GROUND_KNOTS, GROUND_STEPS = 33, 64
"""The ground's gradient is told by how far along it a token is: knots from end to end, and steps from one to the next."""
_CELLS = sum(size * size for size in SIZES)
MOOD = CHOICES[-2][1] * CHOICES[-1][1] * 2 + len(CANVASES) + 1 + 3 * COLOURS
RIM = 1
"""Tokens around the subjects that a stage reaches into."""
_STAGE_CELLS = [(columns + 2 * RIM) * (rows + 2 * RIM) for columns, rows in GROUPS]
SHOWN_ROWS = (GROUND_KNOTS, 1 + (len(DENSITIES) - 1) * STAGES * sum(_STAGE_CELLS), 1 + CHOICES[0][1] * _CELLS)
"""Of the tables that what a token shows is looked up in: the ground, the stage and the motif. Row 0 of the last two: nothing."""


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


def read_colours(states: Tensor) -> list[RGB | None]:
    """The colours, 0..255 a channel, in a prompt's states [12 or more, 256]; None: not said."""
    found: list[RGB | None] = []
    for slot in range(COLOURS):
        first = _OFFSETS[-1] + slot * _COLOUR_WIDTH
        said, _, *centred = states[len(CHOICES) + slot, first:first + 5].tolist()
        red, green, blue = (round(127.5 * (value + 1)) for value in centred)
        found.append((red, green, blue) if said > 0.5 else None)
    return found


def code_canvas(grid: tuple[int, int]) -> Tensor:
    """The state [1, 256] of a canvas of (rows, columns), or of the native one nearest in its ratio."""
    rows, columns = grid
    unlike = [abs(math.log(columns / rows * high / wide)) for wide, high in CANVASES]
    return _mark(_CANVAS + unlike.index(min(unlike)))


def read_mood(pooled: Tensor) -> Tensor:
    """What colours everything in a picture, [B, MOOD], of the sum of its states [B, 256]: which material, light and ground
    there are together, the canvas, and the colours in -1..1.
    """
    material, light = (pooled[:, _OFFSETS[row]:_OFFSETS[row] + count] for row, (_, count) in list(enumerate(CHOICES))[-2:])
    ground = pooled[:, _GROUND:_GROUND + 2]
    together = (material[:, :, None, None] * light[:, None, :, None] * ground[:, None, None]).flatten(1)
    colours = [pooled[:, first:first + 3] for slot in range(COLOURS) for first in (_OFFSETS[-1] + slot * _COLOUR_WIDTH + 2,)]
    return torch.cat([together, pooled[:, _CANVAS:_STAGE], *colours], dim=1)


def read_stage(states: Tensor) -> int:
    """The kind of stage in completed states [T, 256]."""
    return int(states[:, _STAGE:_STAGE + STAGES].sum(0).argmax())


def code_stage(number: int) -> Tensor:
    """The state [1, 256] of a kind of stage."""
    return _mark(_STAGE + number)


def code_ground(is_dark: bool) -> Tensor:
    """The state [1, 256] of a light or a dark ground."""
    return _mark(_GROUND + is_dark)


def number_ground(grid: tuple[int, int], is_right: bool) -> Tensor:
    """[rows, columns]: how far along the ground's gradient every token of a canvas is, in steps. is_right: of the light."""
    rows, columns = grid
    x, y = torch.arange(columns) + 0.5 - columns / 2, torch.arange(rows) + 0.5 - rows / 2
    light = LIGHT_FROM[is_right]
    share = 0.5 - (x * light[0] + y[:, None] * light[1]) / (max(grid) * (light[0] ** 2 + light[1] ** 2))
    return (share.clamp(0, 1) * ((GROUND_KNOTS - 1) * GROUND_STEPS - 1)).round().long()


def number_stage(group: tuple[int, int], kind: int, density: int) -> Tensor:
    """[rows + 2, columns + 2]: the row of the stage's table for every token in and around a group of subjects."""
    cells, before = _STAGE_CELLS[GROUPS.index(group)], sum(_STAGE_CELLS[:GROUPS.index(group)])
    first = 1 + ((density - 1) * STAGES + kind) * sum(_STAGE_CELLS) + before
    return (first + torch.arange(cells)).view(group[1] + 2 * RIM, group[0] + 2 * RIM)


def number_square(motif: int, size: int) -> Tensor:
    """[size, size]: the row of the motifs' table for every token of a motif's square."""
    first = 1 + motif * _CELLS + sum(side * side for side in SIZES if side < size)
    return (first + torch.arange(size * size)).view(size, size)


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
