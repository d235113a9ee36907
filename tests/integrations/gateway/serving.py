"""A gateway over real databases and the local twin of the engine, under a real uvicorn on a port of its own."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import uvicorn

from integrations.errors import NotFound
from integrations.gateway.app import build_app
from integrations.gateway.courier import GuardedCourier
from integrations.gateway.desk import Desk, Limits
from integrations.gateway.keys import NewKey, SqlKeyRing
from integrations.gateway.local import MemoryRuns
from integrations.gateway.ports import SCOPES, Site
from integrations.gateway.queue import SqlQueue
from integrations.gateway.tables import open_database
from integrations.gateway.tally_sqlite import SqliteTally
from integrations.http import FetchLimits

PEPPER = b"a pepper of the tests"
SECRET = "whsec_" + "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
SITES = {"blog": Site(source="posts", kind="wordpress", secrets=(SECRET,)), "quiet": Site(source="quiet"),
         "ghost": Site(source="ghost", kind="ghost", secrets=("ghost secret",)),
         "hub": Site(source="hub", folder="content", kind="github", secrets=("hub secret",))}


@dataclass
class Posts:
    """What the posts of all sites say now."""

    words: dict[str, str] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    reads: int = 0
    refreshed: list[tuple[str, str]] = field(default_factory=list)

    def version_of(self, site: str, post_id: str) -> str:
        self.reads += 1
        if self.failures:
            raise self.failures.pop(0)
        if post_id not in self.words:
            raise NotFound(f"posts: {post_id!r} does not exist")
        return self.words[post_id]

    def refresh(self, site: str, revision: str) -> None:
        self.refreshed.append((site, revision))


@dataclass
class Gateway:
    desk: Desk
    posts: Posts
    ring: SqlKeyRing
    url: str = ""

    @property
    def runs(self) -> MemoryRuns:
        return self.desk.runs

    def key(self, **changes) -> str:
        return self.ring.create(NewKey(**{"tenant": "acme", "scopes": SCOPES, "sites": ["*"], **changes}))[0]

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def wait(self, is_so, within_s: float = 10) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline, f"not so within {within_s} s"
            time.sleep(0.02)


def make_gateway(folder, **changes) -> Gateway:
    database, posts = open_database(f"sqlite:///{folder / 'gateway.sqlite'}"), Posts()
    ring = SqlKeyRing(database, PEPPER)
    desk = Desk(runs=MemoryRuns(), tally=SqliteTally(folder / "tally.sqlite"), inbox=SqlQueue(database, "webhooks"),
                outbox=SqlQueue(database, "callbacks"), ring=ring, version_of=posts.version_of, refresh=posts.refresh,
                courier=GuardedCourier(FetchLimits(timeout_s=2, deadline_s=3)), sites=SITES, styles=["ink-wash"],
                pepper=PEPPER, limits=Limits(per_minute=100_000, per_day=100_000, poll_s=0.1, body_timeout_s=1))
    return Gateway(desk=replace(desk, **changes), posts=posts, ring=ring)


@contextmanager
def serving(gateway: Gateway):
    """The gateway on a port of its own, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = build_app(gateway.desk)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    gateway.app = app
    gateway.wait(lambda: server.started)
    try:
        yield gateway
    finally:
        server.should_exit = True
        thread.join(20)
