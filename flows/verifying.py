"""Does every post that was given a cover lately still show it? Reads posts and pictures again; changes nothing."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import wiring
from flows.errors import BadInput
from integrations.errors import IntegrationError, NotFound, Refused
from integrations.pictures import decode
from integrations.ports import Entry

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One published cover. problem: what a person should look at, "" for none. note: why there is nothing to check."""

    source: str
    post_id: str
    cover: str
    problem: str = ""
    note: str = ""


def verify_published(since: float) -> list[Checked]:
    """Every cover published at `since` (seconds since the epoch) or later that was not taken back since. Raises Unavailable."""
    return [_check(entry) for entry in list_published(since)]


def list_published(since: float) -> Iterator[Entry]:
    """The newest cover of each post, if it stands."""
    newest: dict[tuple[str, str], Entry] = {}
    for entry in wiring.ports().ledger.entries(since=since):
        if entry.happening in ("published", "restored"):
            newest[entry.site, entry.post_id] = entry
    return (entry for entry in newest.values() if entry.happening == "published")


def _check(entry: Entry) -> Checked:
    cover, problem, note = entry.content["cover"], "", ""
    try:
        problem = _find_problem(entry, cover)
    except NotFound as exc:
        note = f"the post is gone: {exc}"
    except BadInput as exc:
        note = str(exc)
    except IntegrationError as exc:
        problem = str(exc)
    return Checked(source=entry.site, post_id=entry.post_id, cover=cover, problem=problem, note=note)


def _find_problem(entry: Entry, cover: str) -> str:
    """What is wrong, naming what is there and what should be. Raises as the source does."""
    source = wiring.ports().open_source(entry.site)
    named = source.read(entry.post_id).cover
    if named != cover:
        return f"the post names {named!r} and was given {cover!r}"
    try:
        data = _fetch_served(cover, entry.content["file"]["path"])
    except NotFound as exc:
        return f"the picture is gone: {exc}"
    return _compare(data, entry.content["file"], cover, may_differ=source.keeps_pictures)


def _fetch_served(cover: str, path: str) -> bytes:
    """What readers get: from the web where the post or the store has an address there, else the site's own file."""
    for address in (cover, path):
        if address.startswith(("https://", "http://")):
            return wiring.ports().client.get(address, wiring.PICTURE_TYPES).body
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"there is no file {path}") from exc
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from exc


def _compare(data: bytes, file: dict[str, Any], cover: str, *, may_differ: bool) -> str:
    """may_differ: a CMS that keeps pictures itself may have written the file anew, at the same size."""
    found = hashlib.sha256(data).hexdigest()
    if found == file["sha256"]:
        return ""
    if not may_differ:
        return f"{cover} is another file: sha256 {found[:12]}, not {file['sha256'][:12]}"
    picture = decode(data, cover)
    if (picture.width, picture.height) != (file["width"], file["height"]):
        return f"{cover} is {picture.width}x{picture.height} px, not {file['width']}x{file['height']}"
    return ""
