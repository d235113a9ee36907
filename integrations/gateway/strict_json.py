"""JSON from strangers: nothing that two readers could read in two ways."""

import json
from typing import Any, NoReturn

EXACT = 2**53
"""Below it every whole number is a float too."""


class BadJson(ValueError):
    """The message says what is wrong."""


def loads(body: bytes) -> Any:
    """The value. Raises BadJson for what is no JSON in UTF-8, for a name given twice, for NaN and for endless nesting."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_float=_number,
                          parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise BadJson(f"the body is not UTF-8 at byte {exc.start}") from exc
    except json.JSONDecodeError as exc:
        raise BadJson(f"the body is not JSON at character {exc.pos}: {exc.msg}") from exc
    except RecursionError as exc:
        raise BadJson("the body is nested too deeply") from exc
    except BadJson:
        raise
    except ValueError as exc:  # a number of more digits than Python reads
        raise BadJson("the body holds a number that is too long") from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadJson(f"the name {name[:60]!r} is given twice")
        found[name] = value
    return found


def _number(text: str) -> float | int:
    """JSON knows numbers only: 3.0 and 3e0 are the whole number 3."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < EXACT else value


def _refuse_constant(word: str) -> NoReturn:
    raise BadJson(f"{word} is no number that JSON knows")
