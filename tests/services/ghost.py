"""ghost: one real Ghost for the session, on Node and SQLite. Opt-in: `make test-ghost`, or pytest --ghost where it is there."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.services.process import Command, NotStarted, free_port, needs, or_skip, running
from tests.services.wordpress import answers

VERSION = "5.130.6"
REMEDY = "run tests/services/install_ghost.sh"
OWNER = {"name": "Owner", "email": "owner@example.test", "password": "Kj4#wolken-im-herbst", "blogTitle": "博客"}
API = "/ghost/api/admin"


@dataclass(frozen=True)
class Ghost:
    """A site. admin_key: of an integration, as its page shows it. owner: a client that is signed in as the site's owner."""

    url: str
    folder: Path
    admin_key: str = field(repr=False)
    integration: str
    owner: httpx.Client = field(repr=False)

    def ask(self, method: str, route: str, **more) -> dict:
        """What the site answers its owner. Raises httpx.HTTPStatusError."""
        answer = self.owner.request(method, f"{API}/{route}", **more)
        return answer.raise_for_status().json() if answer.content else {}

    def webhook_status(self, event: str) -> int:
        """What was last answered to a webhook of this event, 0 for nothing yet."""
        site = self.ask("GET", f"integrations/{self.integration}/?include=webhooks")["integrations"][0]
        return next(int(hook["last_triggered_status"] or 0) for hook in site["webhooks"] if hook["event"] == event)

    @contextmanager
    def as_role(self, role: str):
        """The owner as somebody with another role, in Ghost's own database: nobody else can be invited without mail."""
        with closing(sqlite3.connect(self.folder / "ghost.sqlite", timeout=10)) as database:
            before = database.execute("SELECT role_id FROM roles_users WHERE user_id = '1'").fetchone()
            change = "UPDATE roles_users SET role_id = ? WHERE user_id = '1'"
            try:
                with database:
                    database.execute(change, database.execute("SELECT id FROM roles WHERE name = ?", (role,)).fetchone())
                yield
            finally:
                with database:
                    database.execute(change, before)


def installation() -> Path:
    """Where install_ghost.sh puts it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("FENGMIAN_GHOST") or cache / "fengmian" / f"ghost-{VERSION}")


@pytest.fixture(scope="session")
def ghost(request, tmp_path_factory):
    if not request.config.getoption("--ghost"):
        pytest.skip("ghost: in the slow tier; run `make test-ghost`")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fengmian-ghost-")))
        with or_skip(request, "ghost"):
            needs("node", remedy=REMEDY)
            if not (installation() / ".whole").exists():
                raise NotStarted(f"{installation()} not found; {REMEDY}")
            site = stack.enter_context(ghost_in(folder))
        yield site


@contextmanager
def ghost_in(folder: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    content = folder / "content"
    shutil.copytree(installation() / "content", content)
    words = ["env", "-C", str(installation()), "node", "index.js"]
    command = Command(words, folder / "ghost.log", settings(url, port, folder))
    # The port is open before the site is up; till then it answers 503.
    with (running(command, lambda: answers(f"{url}{API}/site/"), within_s=120),
          httpx.Client(base_url=url, trust_env=False, timeout=60, headers={"Origin": url}) as owner):
        admin_key, integration = set_up(owner)
        yield Ghost(url, folder, admin_key, integration, owner)


def settings(url: str, port: int, folder: Path) -> dict[str, str]:
    """Ghost reads its settings from the environment; nothing in them reaches beyond this machine."""
    return os.environ | {
        "NODE_ENV": "production", "url": url, "server__host": "127.0.0.1", "server__port": str(port),
        "database__client": "sqlite3", "database__connection__filename": str(folder / "ghost.sqlite"),
        "database__useNullAsDefault": "true", "paths__contentPath": str(folder / "content"), "mail__transport": "stub",
        "logging__transports": '["stdout"]', "logging__level": "info", "security__staffDeviceVerification": "false",
        "privacy__useUpdateCheck": "false", "privacy__useGravatar": "false", "privacy__useRpcPing": "false",
        "privacy__useStructuredData": "true", "updateCheck__url": "http://127.0.0.1:1", "server__shutdownTimeout": "1000"}


def set_up(owner: httpx.Client) -> tuple[str, str]:
    """The owner signs up and in, without a browser, and makes an integration; its Admin API key and its id."""
    owner.post(f"{API}/authentication/setup/", json={"setup": [OWNER]}).raise_for_status()
    owner.post(f"{API}/session/", json={"username": OWNER["email"], "password": OWNER["password"]}).raise_for_status()
    made = owner.post(f"{API}/integrations/?include=api_keys", json={"integrations": [{"name": "Fengmian"}]}).raise_for_status()
    integration = made.json()["integrations"][0]
    key = next(key for key in integration["api_keys"] if key["type"] == "admin")
    return key["secret"], integration["id"]
