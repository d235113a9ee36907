"""The implicit label of GB 45438-2025: seven values that say that a machine made a picture, whose machine, and which picture.

Source: GB 45438-2025 and the practice guide TC260-PG-20259A for images.
"""

import json
import re
from dataclasses import astuple, dataclass
from typing import Any, Self

from integrations.errors import Refused

KEYS = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
KINDS = ("1", "2", "3")
"""Made by AI, possibly made by AI, suspected to be."""
VALUE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]*")
VALUE_RULE = "letters, digits and signs of ASCII, without spaces, quotes and backslashes"
MAX_VALUE_CHARACTERS = 256


@dataclass(frozen=True, kw_only=True)
class AigcLabel:
    """The label of one picture, in the standard's order.

    producer: who runs the generator: the provider's code, 27 characters, or empty for one who has none. produce_id: which
    picture. Raises Refused, naming key, value and rule.
    """

    kind: str = "1"
    producer: str = ""
    produce_id: str = ""
    reserved_1: str = ""
    propagator: str = ""
    propagate_id: str = ""
    reserved_2: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Refused(f"labels: Label is {self.kind[:40]!r}; it must be one of {', '.join(KINDS)}")
        for key, value in zip(KEYS, astuple(self), strict=True):
            check_value(key, value)

    def write(self) -> str:
        """The label as the standard's JSON text."""
        return json.dumps(dict(zip(KEYS, astuple(self), strict=True)), separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Self:
        """The label in the JSON text `text`. Raises Refused."""
        try:
            content = json.loads(text, object_pairs_hook=_once_each)
        except (ValueError, RecursionError) as exc:
            raise Refused(f"labels: {text[:60]!r} is no label: {exc}") from exc
        if not isinstance(content, dict) or sorted(content) != sorted(KEYS):
            raise Refused(f"labels: {text[:60]!r} has not exactly the keys {', '.join(KEYS)}")
        if not all(isinstance(value, str) for value in content.values()):
            raise Refused(f"labels: {text[:60]!r} has values that are no text")
        return cls(**dict(zip(cls.__dataclass_fields__, (content[key] for key in KEYS), strict=True)))


def check_value(key: str, value: str) -> None:
    """Raise Refused unless the standard takes `value`: it may hold no Chinese, for one."""
    if not VALUE.fullmatch(value) or len(value) > MAX_VALUE_CHARACTERS:
        raise Refused(f"labels: {key} is {value[:40]!r}; it must be at most {MAX_VALUE_CHARACTERS} {VALUE_RULE}")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key stands there twice")
    return dict(pairs)
