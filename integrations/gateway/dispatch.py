"""Dispatcher: from kept deliveries to runs, exactly one for each version of a post, whatever dies on the way."""

import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from integrations.errors import NotFound, Refused, Unavailable
from integrations.gateway.lanes import Lanes
from integrations.gateway.messages import Message
from integrations.gateway.ports import Item, Order, Queue, Refresh, Runs, Site, Taken, VersionOf

log = logging.getLogger(__name__)
BATCH = 20
LEASE_S = 30
"""How long the posts of a gateway that died wait for the next. A batch that takes longer is begun twice: nothing changes."""
MAX_ATTEMPTS = 40
"""With the pauses between them about ten hours."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5, 900
SITES_AT_ONCE = 8
PATIENCE_S, BUSY_PAUSE_S = 1.0, 5.0
"""How long the next batch waits for this one, and messages of a site for those before them."""


def make_items(site: str, message: Message) -> list[Item]:
    """What is kept of a message: one item for each post. The same message makes the same items."""
    return [Item(id=_digest(site, message.id, post_id), about=f"{site}\n{post_id}",
                 payload={"site": site, "post_id": post_id, "revision": message.revision}) for post_id in message.posts]


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts that failed: twice as long each time, up to a quarter of an hour."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts, 20))


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """Starts the runs that webhooks ask for. Every step can be done twice: the run's key is made of what the post says.

    Sites are worked for side by side, each by one thread at a time, so that one that does not answer keeps no other waiting.
    """

    inbox: Queue
    runs: Runs
    sites: Mapping[str, Site]
    version_of: VersionOf
    refresh: Refresh
    lanes: Lanes = field(default_factory=lambda: Lanes(SITES_AT_ONCE))

    def work_once(self) -> int:
        """Do what is due, once; how many deliveries that were. Raises Unavailable where the inbox cannot be reached."""
        taken = self.inbox.take(BATCH, LEASE_S)
        by_site: defaultdict[str, list[Taken]] = defaultdict(list)
        for item in taken:
            by_site[item.payload["site"]].append(item)
        busy = [item.id for site, items in by_site.items() if not self.lanes.begin(site, partial(self._work_for, items))
                for item in items]
        self.inbox.postpone(busy, BUSY_PAUSE_S, counted=False)
        self.lanes.wait(PATIENCE_S)
        return len(taken) - len(busy)

    def _work_for(self, items: Sequence[Taken]) -> None:
        """All deliveries of one site; once it does not answer, the others wait unasked, and come before that one next time."""
        groups = [list(group) for _, group in itertools.groupby(sorted(items, key=lambda item: item.about),
                                                                lambda item: item.about)]
        for position, group in enumerate(groups):
            if (reason := self._start(group)) is not None:
                left = [item.id for other in groups[position + 1:] for item in other]
                self.inbox.postpone(left, BUSY_PAUSE_S, reason, counted=False)
                return

    def _start(self, group: Sequence[Taken]) -> str | None:
        """One question and one run, however many deliveries there are about the post. Why nobody else need be asked, or None."""
        ids, newest = [item.id for item in group], max(group, key=lambda item: item.added_at)
        site_name, post_id = newest.payload["site"], newest.payload["post_id"]
        try:
            site = self.sites.get(site_name)
            if site is None:
                raise NotFound(f"site {site_name!r} is not configured any more")
            if newest.payload["revision"]:
                self.refresh(site_name, newest.payload["revision"])
            key = run_key(site_name, post_id, self.version_of(site_name, post_id))
            job = self.runs.start(Order(source=site.source, post_id=post_id, site=site_name), key)
        except Refused as exc:
            self.inbox.finish(ids, "skipped", str(exc))
        except Unavailable as exc:
            self._try_later(ids, newest.attempts, str(exc))
            return str(exc)
        except Exception as exc:  # a thread's entry point: one post's trouble, foreseen or not, never stops the others
            log.exception("webhook for %s of %s: not foreseen, please report it", post_id, site_name)
            self._try_later(ids, newest.attempts, f"{type(exc).__name__}: {exc}")
        else:
            self.inbox.finish(ids, "started", job.id)
        return None

    def _try_later(self, ids: Sequence[str], attempts: int, reason: str) -> None:
        if attempts >= MAX_ATTEMPTS:
            log.error("webhook given up after %d attempts: %s", attempts, reason)
            self.inbox.finish(ids, "given up", reason)
        else:
            self.inbox.postpone(ids, pause_s(attempts), reason)


def run_key(site: str, post_id: str, version: str) -> str:
    """The key of the one run about this version of a post, whoever asks for it."""
    return _digest(site, post_id, version)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
