"""One picture examined, and a set of them freed of near duplicates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from generator.curation.duplicates import Print, is_same, take_print
from generator.curation.instruments import Instruments
from generator.curation.measures import RGB, Picture, measure, measure_palette
from generator.curation.rules import Findings, Policy, decide


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What is known of one picture. seal: its print for finding duplicates."""

    measures: dict[str, Any]
    reasons: list[str]
    seal: Print


def examine(picture: Picture, licence: str, palette: Sequence[RGB], instruments: Instruments,
            policy: Policy) -> Examined:
    """Measure a picture [H, W, 3] and decide, leaving duplicates aside. palette: what it should show, or empty."""
    measures = measure(picture)
    findings = Findings(
        licence=licence,
        letters=instruments.text(picture) if instruments.text else None,
        faces=instruments.faces(picture) if instruments.faces and policy.faces != "allow" else None,
        palette_distance=round(measure_palette(picture, palette), 2) if palette else None,
        aesthetic=instruments.aesthetic(picture) if instruments.aesthetic else None)
    told = asdict(measures) | {name: value for name, value in asdict(findings).items() if name != "licence"}
    return Examined(measures=told, reasons=decide(measures, findings, policy), seal=take_print(picture))


def find_duplicates(seals: Sequence[Print], policy: Policy) -> dict[int, int]:
    """For each picture that looks like an earlier one that stays, the number of that one."""
    stays: list[int] = []
    same: dict[int, int] = {}
    for number, seal in enumerate(seals):
        twin = next((other for other in stays if is_same(seals[other], seal, policy)), None)
        if twin is None:
            stays.append(number)
        else:
            same[number] = twin
    return same
