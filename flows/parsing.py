"""What people type, as values. Light: every command line loads it."""

import re
from typing import NoReturn

import typer


def whole_number(given: str | int) -> int:
    """A whole number as typer's parser takes it: a default comes as a number."""
    text = str(given)
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise typer.BadParameter(f"{text!r} is not a whole number")
    return int(text)


def number(given: str | float) -> float:
    """A number as typer's parser takes it: a default comes as a number."""
    try:
        return float(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not a number") from None


def parse_size(text: str) -> tuple[int, int]:
    """ "1200x630" as (1200, 630). Raises BadInput."""
    from generator.request import MAX_SIDE_PX, MIN_SIDE_PX

    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not (cross and width.isascii() and height.isascii() and width.isdigit() and height.isdigit()):
        bad(f"size: {text!r} is not WxH in pixels, such as 1200x630")
    sides = (int(width[:9]), int(height[:9]))
    for side in sides:
        if not MIN_SIDE_PX <= side <= MAX_SIDE_PX:
            bad(f"size: {text!r} has a side of {side} px; each must be from {MIN_SIDE_PX} to {MAX_SIDE_PX}")
    return sides


def parse_numbers(name: str, text: str, count: int | None = None) -> tuple[int, ...]:
    """ "1,2,3,4" as whole numbers. Raises BadInput."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"-?[0-9]{1,9}", part) for part in parts) or (count and len(parts) != count):
        bad(f"{name}: {text!r} is not {count or 'some'} whole numbers with commas between")
    return tuple(int(part) for part in parts)


def bad(message: str) -> NoReturn:
    """Say that the question cannot be answered as asked."""
    from flows.errors import BadInput

    raise BadInput(message)
