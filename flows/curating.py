"""What `fengmian train curate` does: decides on every picture, and writes the decisions and two contact sheets."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.console import make_bar, place_sheet, print_json
from flows.curation_source import Entry, read_policy, read_source
from flows.errors import BadInput
from flows.parsing import bad
from flows.steps import check_folder, place_file
from generator.curation.rules import Policy, check_licence
from generator.request import CoverImage
from integrations.errors import NotFound, Refused
from integrations.pictures import MAX_FILE_BYTES, decode
from prompts.plain import plain

if TYPE_CHECKING:
    from generator.curation.duplicates import Print
    from generator.curation.instruments import Instruments

DECISIONS, KEPT, DROPPED = "decisions.jsonl", "kept.png", "dropped.png"
SHEET_MOST = 60
"""Pictures on a sheet; of more, evenly chosen ones."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was found of one picture. Empty reasons: it is kept."""

    entry: Entry
    sha256: str = ""
    measures: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    seal: "Print | None" = None

    @property
    def pixels(self) -> int:
        """How many it has; 0 if it could not be read."""
        return int(self.measures.get("width", 0) * self.measures.get("height", 0))


def curate_source(source: Path, out: Path, policy_file: Path | None, as_json: bool) -> None:
    """Decide on the pictures of `source`, a folder or a manifest, and write everything into `out`. Raises BadInput."""
    policy, entries = read_policy(policy_file), read_source(source, out)
    _check_apart(entries, out)
    instruments = _load_instruments()
    check_folder(out)
    decisions = _drop_twins(_decide_all(entries, instruments, policy), policy)
    lines = (json.dumps(_as_line(decision, instruments), ensure_ascii=False) + "\n" for decision in decisions)
    place_file(out / DECISIONS, "".join(lines).encode("utf-8", "backslashreplace"))
    kept = [decision for decision in decisions if not decision.reasons]
    dropped = [decision for decision in decisions if decision.reasons]
    for name, shown in ((KEPT, kept), (DROPPED, dropped)):
        _place_sheet(out / name, shown)
    _tell(source, out, decisions, instruments, as_json)


def _check_apart(entries: Iterable[Entry], out: Path) -> None:
    """Nothing that is written may be one of the pictures."""
    written = {(out / name).resolve() for name in (DECISIONS, KEPT, DROPPED)}
    for entry in entries:
        if entry.path in written:
            bad(f"out: {str(out)!r} holds the picture {entry.file!r}, which would be written over; give another folder")


def _load_instruments() -> "Instruments":
    try:
        from generator.curation import duplicates, instruments
    except ImportError as exc:
        raise BadInput(f"curate: {exc.name} is not installed: pip install 'fengmian[curation]'") from exc
    assert duplicates
    return instruments.load_instruments()


def _decide_all(entries: Sequence[Entry], instruments: "Instruments", policy: Policy) -> list[Decision]:
    decisions = []
    with make_bar(transient=True) as bar:
        task = bar.add_task("pictures", total=len(entries))
        for entry in entries:
            decisions.append(_decide(entry, instruments, policy))
            bar.advance(task)
    return decisions


def _decide(entry: Entry, instruments: "Instruments", policy: Policy) -> Decision:
    """One picture by itself. One that cannot be read is dropped, and stops nothing."""
    from generator.curation.examine import examine

    sha256 = ""
    try:
        data = _read_bytes(entry)
        sha256 = hashlib.sha256(data).hexdigest()
        picture = _as_array(decode(data, entry.file))
    except (NotFound, Refused) as exc:
        why = str(exc).removeprefix(f"{entry.file}: ")
        return Decision(entry=entry, sha256=sha256, reasons=(f"unreadable: {why}", *check_licence(entry.licence, policy)))
    found = examine(picture, entry.licence, entry.palette, instruments, policy)
    return Decision(entry=entry, sha256=sha256, measures=found.measures, reasons=tuple(found.reasons), seal=found.seal)


def _read_bytes(entry: Entry) -> bytes:
    if entry.path is None:
        raise Refused(entry.trouble)
    try:
        if not entry.path.is_file():
            raise NotFound("there is no such file")
        with entry.path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise Refused(str(exc.strerror)) from exc


def _as_array(picture: CoverImage) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(picture.rgb, dtype=np.uint8).reshape(picture.height, picture.width, 3).copy()


def _drop_twins(decisions: Sequence[Decision], policy: Policy) -> list[Decision]:
    """Of pictures that look the same the one with the most pixels stays, and of those the first by name."""
    from generator.curation.examine import find_duplicates

    good = sorted((one for one in decisions if not one.reasons), key=lambda one: (-one.pixels, one.entry.file))
    same = find_duplicates([one.seal for one in good if one.seal], policy)
    twins = {good[number].entry.file: good[other].entry.file for number, other in same.items()}
    return [replace(one, reasons=(f"duplicate: looks like {twins[one.entry.file]}",)) if one.entry.file in twins else one
            for one in decisions]


def _as_line(decision: Decision, instruments: "Instruments") -> dict[str, Any]:
    entry, measures = decision.entry, decision.measures
    return {"file": entry.file, "sha256": decision.sha256, "licence": entry.licence, "source": entry.source, "title": entry.title,
            "width": measures.get("width"), "height": measures.get("height"), "kept": not decision.reasons,
            "reasons": list(decision.reasons),
            "measures": {name: value for name, value in measures.items() if name not in ("width", "height")},
            "not_configured": instruments.missing}


def _place_sheet(path: Path, decisions: Sequence[Decision]) -> None:
    """A sheet of those that can be shown; none, and no old one left, if there are none."""
    readable = [decision for decision in decisions if decision.pixels]
    chosen = readable[::-(-len(readable) // SHEET_MOST) or 1]
    if not chosen:
        path.unlink(missing_ok=True)
        return
    pictures = [decode(_read_bytes(decision.entry), decision.entry.file) for decision in chosen]
    captions = [plain("; ".join(decision.reasons) or decision.entry.file) for decision in chosen]
    place_sheet(path, pictures, captions)


def _tell(source: Path, out: Path, decisions: Sequence[Decision], instruments: "Instruments", as_json: bool) -> None:
    reasons = Counter(reason.partition(":")[0] for decision in decisions for reason in decision.reasons)
    kept = sum(not decision.reasons for decision in decisions)
    sheets = [str(out / name) for name in (KEPT, DROPPED) if (out / name).is_file()]
    if as_json:
        print_json({"source": str(source), "pictures": len(decisions), "kept": kept, "dropped": len(decisions) - kept,
                    "reasons": dict(reasons.most_common()), "not_configured": instruments.missing,
                    "decisions": str(out / DECISIONS), "sheets": sheets})
        return
    print(f"{kept} of {len(decisions)} pictures kept")
    for name, count in reasons.most_common():
        print(f"  {count} {name}")
    for name, why in instruments.missing.items():
        print(f"  {name} {why}")
    print("\n".join((str(out / DECISIONS), *sheets)))
