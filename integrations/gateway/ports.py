"""What the gateway needs of the outside, in small Protocols, and the values that pass through them."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
"""Of a job. waiting: for a person."""
OVER = frozenset({"succeeded", "failed", "cancelled"})
SCOPES = ("covers:write", "jobs:read", "images:generate")
ANY_SITE = "*"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One cover that is asked for. wishes: as flows take them, plain values. tenant: empty for a webhook's."""

    source: str
    post_id: str
    wishes: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = ""
    site: str = ""

    @property
    def digest(self) -> str:
        """The same for the same order, 16 hexadecimal digits."""
        said = json.dumps([self.source, self.post_id, dict(self.wishes), self.tenant], sort_keys=True)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished picture. url: where it lies; a path on the worker's machine where the site keeps pictures in a folder."""

    url: str
    width: int
    height: int
    format: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run as the gateway shows it. Times in seconds since the epoch. order: the digest of what it was started for."""

    id: str
    status: Status
    created_at: float
    tenant: str = ""
    order: str = ""
    post_id: str = ""
    reason: str = ""
    ended_at: float | None = None
    title: str = ""
    alt_text: str = ""
    cover: str = ""
    pictures: tuple[Picture, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.status in OVER


class Runs(Protocol):
    """The engine that runs covers. Every call raises Unavailable; a run outlives gateway, worker and engine."""

    def start(self, order: Order, idempotency_key: str) -> Job:
        """The one run of this key: started now, or by an earlier call. Raises Refused where no run can be started."""
        ...

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that exist, by id, in one question."""
        ...

    def cancel(self, job_id: str) -> None:
        """Ask a run to end. One that is over stays as it is. Raises NotFound."""
        ...

    def count(self) -> dict[Status, int]:
        """How many jobs there are in each state, of all that the engine remembers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Whether something counted may go ahead. reset_s: seconds until the count begins anew."""

    admitted: bool
    remaining: int
    reset_s: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a job. id: grows with time, as its tally writes it."""

    id: str
    name: str
    data: Mapping[str, Any]


class Tally(Protocol):
    """What all gateways count together and may lose: limits, idempotency, progress. Every call raises Unavailable."""

    def admit(self, name: str, limit: int, window_s: int, cost: int = 1) -> Admission:
        """Count `cost` if the count of this window (by the clock, from the epoch) stays within `limit`; else nothing.

        A negative cost gives back what was counted.
        """
        ...

    def claim(self, name: str, value: str, ttl_s: float) -> str | None:
        """Keep `value` under `name` if nothing is there, and return None; else what is there."""
        ...

    def settle(self, name: str, value: str, ttl_s: float) -> None:
        """Keep `value` under `name`, whatever was there."""
        ...

    def release(self, name: str) -> None:
        """Forget what is under `name`."""
        ...

    def append_event(self, job_id: str, name: str, data: Mapping[str, Any], *, once: str = "") -> None:
        """Add to the job's events; with `once`, only if none was added under that word."""
        ...

    def events_after(self, job_id: str, event_id: str = "") -> list[Event]:
        """The job's events after that one, oldest first; all without one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something to be done. id: unique in its queue, for as long as the queue remembers. about: what items have in common."""

    id: str
    about: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Taken(Item):
    """An item lent to one worker for a while. attempts: how often it was put off. added_at: seconds since the epoch."""

    attempts: int
    added_at: float


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is still to be done, due or not. oldest_s: how long the oldest of it has waited; 0 where there is nothing."""

    count: int
    oldest_s: float


class Queue(Protocol):
    """Things to be done that survive every process. Every call raises Unavailable."""

    def add(self, items: Sequence[Item]) -> Collection[str]:
        """Keep those whose id is new, all or none of them; the new ids."""
        ...

    def take(self, limit: int, lease_s: float) -> list[Taken]:
        """Items that are due, oldest first; nobody else gets them for `lease_s` seconds."""
        ...

    def finish(self, ids: Collection[str], outcome: str, detail: str = "") -> None:
        """They are done with; what became of them is kept for a while."""
        ...

    def postpone(self, ids: Collection[str], after_s: float, detail: str = "", *, counted: bool = True) -> None:
        """They are due again in `after_s` seconds. counted: whether that was an attempt."""
        ...

    def forget(self, older_than_s: float) -> int:
        """Drop what was finished longer ago; how many."""
        ...

    def backlog(self) -> Backlog:
        """What is still to be done."""
        ...


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it is kept: never the key itself. None: the gateway's own limits. sites: may hold "*"."""

    prefix: str
    last4: str
    tenant: str
    scopes: frozenset[str]
    sites: frozenset[str]
    created_at: float
    last_used_at: float | None = None
    revoked_at: float | None = None
    per_minute: int | None = None
    per_day: int | None = None


class KeyRing(Protocol):
    """The keys of those who may ask. Every call raises Unavailable."""

    def find(self, presented: str) -> ApiKey | None:
        """The key, if it is one of ours and not revoked; its use is noted."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site that covers are made for. source: as flows take it. kind, secret: of its webhooks; without a kind it has none.

    A second secret may follow the first while one replaces the other. folder: of the posts inside a GitHub repository.
    """

    source: str
    folder: str = ""
    kind: Literal["", "wordpress", "ghost", "github", "standard"] = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


VersionOf = Callable[[str, str], str]
"""(site, post id) → what the post says now, as a short text that our own writes do not change.

Raises NotFound or Refused for a post that is to have no cover, Unavailable.
"""

Refresh = Callable[[str, str], None]
"""(site, commit): bring the site's folder to that commit, or see that it is there. Raises Unavailable, Refused."""


class Courier(Protocol):
    """Brings a message to an address that a stranger gave."""

    def check(self, url: str) -> None:
        """Raise Refused for an address that would never be dialled, as far as that can be told without dialling."""
        ...

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Deliver it. Raises Refused for an address or answer that breaks a rule, Unavailable for one worth another try."""
        ...
