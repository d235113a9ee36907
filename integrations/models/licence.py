"""Under which licence a checkpoint folder stands: from its pull's record, else from its model card's front matter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from integrations.models.catalogue import Licence
from integrations.models.record import RECORD_FILE, read_record

CARD = "README.md"
MAX_CARD_BYTES = 64 * 1024
COMMERCIAL = frozenset({
    "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
    "openrail", "openrail++", "creativeml-openrail-m", "gpl-3.0", "lgpl-3.0", "agpl-3.0",
})
"""Licences, as hubs spell them, that let anybody publish what a model paints. Any other is for a person to read."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a checkpoint folder says of itself. revision: the commit it was pulled at, or empty. told_by: which file says so."""

    licence: Licence | None
    revision: str = ""
    repo: str = ""
    told_by: str = ""


def read_provenance(folder: Path) -> Provenance:
    """Licence and origin of the weights in `folder`; licence None where nothing tells it. Raises Refused for a broken record."""
    if record := read_record(folder):
        return Provenance(licence=record.licence, revision=record.revision, repo=record.repo, told_by=RECORD_FILE)
    names = _card_licences(folder / CARD)
    if not names:
        return Provenance(licence=None)
    return Provenance(licence=Licence(id=", ".join(names), commercial=COMMERCIAL.issuperset(names)), told_by=CARD)


def read_file_provenance(file: Path) -> Provenance:
    """The same of one weight file: what its own folder says, or the nearest above it."""
    found = [read_provenance(folder) for folder in file.resolve().parents[:3]]
    return next((each for each in found if each.licence), Provenance(licence=None))


def _card_licences(card: Path) -> list[str]:
    """The ids in the card's front matter; where one is "other", the name it gives instead."""
    front = _front_matter(card)
    stated = front.get("license")
    names = [name.strip().lower() for name in (stated if isinstance(stated, list) else [stated]) if isinstance(name, str)]
    given = front.get("license_name")
    return [given.strip().lower() if name == "other" and isinstance(given, str) else name for name in names]


def _front_matter(card: Path) -> dict[str, Any]:
    try:
        with card.open("rb") as stream:
            text = stream.read(MAX_CARD_BYTES).decode("utf-8-sig", "replace").replace("\r\n", "\n")
        first, _, rest = text.partition("\n")
        content = yaml.safe_load(rest.partition("\n---")[0]) if first.strip() == "---" else None
    except (OSError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
