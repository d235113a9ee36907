"""House: a team's look as a LoRA carries it for networks that are told what tokens show."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from generator.errors import CheckpointError
from generator.scene_code import CHOICES, SHOWN_ROWS
from generator.studio.palettes import Palette, format_hex, parse_hex

HOUSE_KEY = "fengmian_house"
"""In the header of a LoRA file."""
COUNTS = dict(CHOICES)
MOST_OFFSET = 12.0
"""A factor of 160,000."""
KINDS = ("material", "density")
"""Choices that a house may make."""
SILENT = {"material": 0}
"""What the reader takes silence for: a prompt that says nothing of a material, or just that, leaves it to the house."""


@dataclass(frozen=True, kw_only=True)
class House:
    """palette and choices (numbers by name, of scene_code.CHOICES): what a prompt that leaves them open is painted with.
    offset: for each table of the prior (scene_code.SHOWN_ROWS), what is added to the log variance of its tokens in this look.
    """

    palette: Palette
    choices: Mapping[str, int] = field(default_factory=dict)
    offset: tuple[float, ...] = (0.0,) * len(SHOWN_ROWS)

    def is_left(self, name: str, said: int | None) -> bool:
        """Whether the house makes a choice of which a prompt says this."""
        return name in self.choices and said in (None, SILENT.get(name))

    def to_json(self) -> str:
        """As it stands in a file's header."""
        return json.dumps({"palette": [format_hex(colour) for colour in self.palette.colours], "choices": dict(self.choices),
                           "offset": list(self.offset)}, sort_keys=True)


def read_house(file: Path) -> House | None:
    """The house in the header of a LoRA file, if it carries one. Raises CheckpointError naming the file and the rule."""
    try:
        with safe_open(file, framework="np") as shard:
            told = (shard.metadata() or {}).get(HOUSE_KEY)
    except (SafetensorError, OSError) as exc:
        raise CheckpointError(f"{file}: not readable: {exc}") from exc
    if told is None:
        return None
    try:
        return _check(json.loads(told))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as exc:
        raise CheckpointError(f"{file}: its metadata {HOUSE_KEY} is no house: {exc}") from exc


def _check(content: Any) -> House:
    for code in content["palette"]:
        if not re.fullmatch("#[0-9A-Fa-f]{6}", code):
            raise ValueError(f"palette: {code!r} is not #RRGGBB")
    background, main, *accents = (parse_hex(code) for code in content["palette"])
    if not 1 <= len(accents) <= 3:
        raise ValueError(f"palette has {len(accents) + 2} colours; it must have 3 to 5")
    choices = dict(content["choices"].items())
    for name, number in choices.items():
        if name not in KINDS or type(number) is not int or not 0 <= number < COUNTS[name]:
            raise ValueError(f"choices: {name} is {number!r}; it must be one of {KINDS}, a whole number from 0 to below "
                             f"{COUNTS.get(name)}")
    offset = tuple(float(value) for value in content["offset"])
    if len(offset) != len(SHOWN_ROWS) or not all(0 <= value <= MOST_OFFSET for value in offset):
        raise ValueError(f"offset is {offset}; it must be {len(SHOWN_ROWS)} numbers from 0 to {MOST_OFFSET:g}")
    return House(palette=Palette(background=background, main=main, accents=tuple(accents)), choices=choices, offset=offset)
