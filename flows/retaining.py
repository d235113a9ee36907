"""What may be deleted, and deleting it: pictures that no post was ever given, and old entries of the ledger."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping

from flows import wiring
from flows.errors import BadInput
from integrations.errors import NotFound, Refused
from integrations.ports import Happening
from integrations.storage.naming import fingerprint_in

DAY_S, MONTH_S = 86_400, 31 * 86_400
FORGETTABLE: tuple[Happening, ...] = ("painted", "reviewed", "writing")
"""Never what was published or taken back, which names pictures that posts show, nor what an editor rejected."""


def find_unpublished(now: float) -> dict[str, list[str]]:
    """Stored pictures by fingerprint that are older than retention.pictures_days and that no published entry names, nor the post
    that they were painted for: a run may have died between writing the post and telling the ledger. One of which the ledger does
    not know for which post it was painted is none of them.

    Raises Unavailable, Refused.
    """
    ports = wiring.ports()
    older_than = now - ports.settings.retention.pictures_days * DAY_S
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in ports.store.list_names(older_than):
        names[fingerprint_in(name)].append(name)
    published, painted_for = _list_published(), _list_painted()
    return {fingerprint: found for fingerprint, found in names.items()
            if fingerprint not in published and not _is_young(fingerprint, older_than)
            and painted_for[fingerprint] and not any(_is_shown(fingerprint, *post) for post in painted_for[fingerprint])}


def delete_pictures(unpublished: Mapping[str, Collection[str]]) -> int:
    """Forget and delete them; how many files. One that was published since it was found stays. Raises Unavailable, Refused."""
    ports, deleted = wiring.ports(), 0
    for fingerprint, names in unpublished.items():
        ports.cache.forget(fingerprint)  # first: from here on nobody takes it for finished
        if fingerprint in _list_published(since=time.time() - DAY_S):
            continue
        for name in names:
            ports.store.delete(name)
            deleted += 1
    return deleted


def find_forgettable(now: float) -> float | None:
    """Before which moment the ledger may forget what was painted and reviewed; None: all is kept."""
    months = wiring.ports().settings.retention.ledger_months
    return now - months * MONTH_S if months else None


def _list_published(since: float = 0) -> set[str]:
    return {entry.fingerprint for entry in wiring.ports().ledger.entries(happening="published", since=since)}


def _list_painted() -> defaultdict[str, set[tuple[str, str]]]:
    """For which posts, by source and id, each picture was painted."""
    posts: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in wiring.ports().ledger.entries(happening="painted"):
        posts[entry.fingerprint].add((entry.site, entry.post_id))
    return posts


def _is_shown(fingerprint: str, source: str, post_id: str) -> bool:
    """Whether the post names the picture; taken for granted where that cannot be told."""
    try:
        posts = wiring.ports().open_source(source)
        try:
            return fingerprint in posts.read(post_id).cover
        except NotFound:
            next(iter(posts.list_posts()), None)  # of a folder that is not there, seen from here, nothing can be told
            return False
    except (Refused, BadInput):
        return True


def _is_young(fingerprint: str, older_than: float) -> bool:
    """Whether it was painted again lately, of which a file that was whole does not tell."""
    found = wiring.ports().cache.find(fingerprint)
    return found is not None and found.created_at >= older_than
