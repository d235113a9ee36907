"""Everything that the gateway's app works with, as one value."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from integrations.gateway.ports import Courier, KeyRing, Queue, Refresh, Runs, Site, Tally, VersionOf


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a key may ask for unless it says otherwise, and what a request may be. streams: open at once, of one gateway."""

    per_minute: int = 120
    per_day: int = 200
    """Covers of one tenant, by the UTC day."""
    max_body_bytes: int = 1_000_000
    body_timeout_s: float = 10.0
    poll_s: float = 1.0
    streams: int = 500


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The ports of one gateway. styles: names of the style guides. pepper: the key ring's, for callbacks' secrets."""

    runs: Runs
    tally: Tally
    inbox: Queue
    outbox: Queue
    ring: KeyRing
    courier: Courier
    version_of: VersionOf
    refresh: Refresh
    sites: Mapping[str, Site]
    styles: Collection[str]
    pepper: bytes = field(repr=False)
    limits: Limits = Limits()
