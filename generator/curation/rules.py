"""The policy: every bound that a picture must keep; and the decision with its reasons."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from generator.curation.measures import Measures

Faces = Literal["allow", "drop", "report"]
FACES: tuple[Faces, ...] = get_args(Faces)
OPEN_LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "public-domain", "own")

RANGES: dict[str, tuple[float, float]] = {
    "least_short_px": (64, 4096), "most_blur": (0.4, 50), "most_grain": (0, 128), "most_banding": (0, 1), "most_blocks": (0, 100),
    "least_brightest": (0, 255), "most_blown": (0, 1), "least_contrast": (0, 255), "most_letters": (0, 100_000),
    "most_touch": (0, 10), "least_quiet": (0, 1), "most_palette_distance": (0, 200), "least_aesthetic": (0, 1),
    "same_bits": (0, 256), "same_colour": (0, 200), "same_cosine": (-1, 1),
}
"""What each bound may be set to."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Bounds; see docs/curation.md. Raises ValueError naming the bound, its value and its rule.

    licences: those that are allowed. assumed_licence: for pictures that state none; empty: they are dropped.
    """

    licences: tuple[str, ...] = OPEN_LICENCES
    assumed_licence: str = ""
    faces: Faces = "report"
    least_short_px: int = 360
    most_blur: float = 2.2
    most_grain: float = 1.8
    most_banding: float = 0.5
    most_blocks: float = 0.5
    least_brightest: float = 110
    most_blown: float = 0.03
    least_contrast: float = 68
    most_letters: int = 3
    most_touch: float = 0.08
    least_quiet: float = 0.3
    most_palette_distance: float = 23
    least_aesthetic: float = 0.5
    same_bits: int = 48
    same_colour: float = 6.5
    same_cosine: float = 0.95

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name}: {value!r} is not a number from {low:g} to {high:g}")
        if self.faces not in FACES:
            raise ValueError(f"faces: {self.faces!r} is not one of {', '.join(FACES)}")
        if not isinstance(self.assumed_licence, str):
            raise ValueError(f"assumed_licence: {self.assumed_licence!r} is not a text")
        if not isinstance(self.licences, tuple) or not self.licences or not all(isinstance(name, str) for name in self.licences):
            raise ValueError(f"licences: {self.licences!r} is not a list of names")


BOUNDS = tuple(field.name for field in fields(Policy))


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is known of one picture besides its pixels' measures. None: not asked for, or not configured."""

    licence: str
    letters: int | None = None
    faces: int | None = None
    palette_distance: float | None = None
    aesthetic: float | None = None


def check_licence(licence: str, policy: Policy) -> list[str]:
    """Why the licence does not do; empty if it does. Names are compared without regard to case."""
    stated = licence.strip() or policy.assumed_licence
    if not stated:
        return ["licence: none is stated"]
    if stated.casefold() not in {name.casefold() for name in policy.licences}:
        return [f"licence: {stated!r} is not one of {', '.join(policy.licences)}"]
    return []


def decide(measures: Measures, findings: Findings, policy: Policy) -> list[str]:
    """Every reason to drop the picture, each beginning with the name of its check; empty: keep it."""
    short = min(measures.width, measures.height)
    reasons = check_licence(findings.licence, policy)
    reasons += _at_least("resolution", short, policy.least_short_px, "px on the short side")
    reasons += _at_most("blur", measures.blur, policy.most_blur, "px of blur")
    reasons += _at_most("grain", measures.grain, policy.most_grain, "levels of noise")
    reasons += _at_most("banding", measures.banding, policy.most_banding, "of the weak edges are hard steps")
    reasons += _at_most("blocks", measures.blocks, policy.most_blocks, "for the grid of 8 px")
    reasons += _at_least("dark", measures.brightest, policy.least_brightest, "levels at the brightest")
    reasons += _at_most("blown", measures.blown, policy.most_blown, "is burnt out")
    reasons += _at_least("contrast", measures.contrast, policy.least_contrast, "levels between subject and ground")
    reasons += _at_most("text", findings.letters, policy.most_letters, "letters can be read")
    reasons += _at_most("clipped", measures.touch, policy.most_touch, "of the short side is crossed by the subject")
    reasons += _at_least("quiet", measures.quiet, policy.least_quiet, "of the picture is quiet")
    reasons += _at_most("palette", findings.palette_distance, policy.most_palette_distance, "Delta E from the palette asked for")
    reasons += _at_least("aesthetic", findings.aesthetic, policy.least_aesthetic, "is the score")
    if policy.faces == "drop" and findings.faces:
        reasons.append(f"faces: {findings.faces} found")
    return reasons


def _at_most(name: str, value: float | None, bound: float, what: str) -> Sequence[str]:
    return [f"{name}: {value:g} {what}; at most {bound:g}"] if value is not None and value > bound else []


def _at_least(name: str, value: float | None, bound: float, what: str) -> Sequence[str]:
    return [f"{name}: {value:g} {what}; at least {bound:g}"] if value is not None and value < bound else []
