"""CoverRequest and CoverImage: the values that cross into and out of the generator. Free of torch."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

SAMPLER_VERSION = 2
"""Raised whenever the same request would give other pixels than before."""
MAX_SIDE_PX = 4096
MIN_SIDE_PX = 64
MAX_STEPS = 200
MAX_PROMPT_CHARACTERS = 2000


def check_prompts(prompt: str, negative: str) -> None:
    """Raise ValueError for a prompt that is empty, and for one that is too long."""
    if not prompt.strip():
        raise ValueError("prompt: it is empty")
    for name, text in (("prompt", prompt), ("negative", negative)):
        if len(text) > MAX_PROMPT_CHARACTERS:
            raise ValueError(f"{name}: it has {len(text)} characters; at most {MAX_PROMPT_CHARACTERS} are allowed")


def check_sampling(steps: int, guidance: float, seed: int) -> None:
    """Raise ValueError for a number that the sampler does not take."""
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps: {steps} is not from 1 to {MAX_STEPS}")
    if not 1 <= guidance <= 30:
        raise ValueError(f"guidance: {guidance} is not from 1 to 30")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed: {seed} is not from 0 to 2**63-1")


@dataclass(frozen=True, kw_only=True)
class CoverRequest:
    """Everything that decides the pixels of one cover, and nothing else.

    width, height: pixels, any whole number from 64 to 4096. guidance: true classifier-free guidance scale, >= 1.
    seed: 0 to 2**63-1. checkpoint: name and revision of the weights. Raises ValueError naming the value and the rule.
    """

    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    checkpoint: str
    sampler_version: int = SAMPLER_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "guidance", float(self.guidance))  # 1 and 1.0 are one request, and have one fingerprint
        for name in ("width", "height"):
            side = getattr(self, name)
            if not MIN_SIDE_PX <= side <= MAX_SIDE_PX:
                raise ValueError(f"size: {name} is {side} px; it must be from {MIN_SIDE_PX} to {MAX_SIDE_PX}")
        check_prompts(self.prompt, self.negative)
        check_sampling(self.steps, self.guidance, self.seed)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over every field: the name of the cache record, the lock and the stored object."""
        return _fingerprint(asdict(self))


@dataclass(frozen=True, kw_only=True)
class RedoRequest:
    """A region of a finished cover painted anew. cover: the fingerprint of that one. region: left, top, width and height in px of
    the cover, whose own size is width x height. The rest as in CoverRequest.
    """

    cover: str
    region: tuple[int, int, int, int]
    width: int
    height: int
    prompt: str
    negative: str
    steps: int
    guidance: float
    seed: int
    checkpoint: str
    sampler_version: int = SAMPLER_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "guidance", float(self.guidance))
        check_prompts(self.prompt, self.negative)
        check_sampling(self.steps, self.guidance, self.seed)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over every field."""
        return _fingerprint(asdict(self))


def _fingerprint(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class CoverImage:
    """A finished picture. rgb: 8-bit sRGB, row by row, 3 bytes a pixel, width*height*3 long."""

    width: int
    height: int
    rgb: bytes

    def __post_init__(self) -> None:
        if len(self.rgb) != self.width * self.height * 3:
            raise ValueError(f"picture: {len(self.rgb)} bytes are not {self.width}x{self.height} RGB")
