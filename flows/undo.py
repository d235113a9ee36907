"""Taking a cover out of a post again: what was there before is put back."""

from flows import publishing, wiring
from flows.errors import BadInput
from integrations.ports import Entry, Happening, Written


def undo(source: str, post_id: str) -> bool:
    """Put back what the post had before its last cover of ours; False if that is so already.

    Raises BadInput where the ledger knows of no such cover; Refused where somebody has changed the cover since; Unavailable.
    """
    ports = wiring.ports()
    publishing.settle(source, post_id)
    restored_at = _last(source, post_id, "restored")
    published = _last(source, post_id, "published")
    if published is None or (restored_at is not None and restored_at.number > published.number):
        raise BadInput(f"undo: the ledger knows of no cover that {source} {post_id!r} has from us")
    written = Written(**published.content["written"])
    is_changed = ports.open_source(source).restore(post_id, written)
    ports.ledger.append(Entry(site=source, post_id=post_id, happening="restored", fingerprint=published.fingerprint,
                              content={"published": published.number}))
    return is_changed


def _last(source: str, post_id: str, happening: Happening) -> Entry | None:
    return next(iter(wiring.ports().ledger.entries(site=source, post_id=post_id, happening=happening, newest_first=True)), None)
