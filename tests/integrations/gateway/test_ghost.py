"""A real Ghost tells the gateway of its posts: what it signs, how often it says so, and that our own writing starts nothing."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integrations.gateway.ports import Site
from tests.integrations.cms.desks import GhostBlog
from tests.integrations.cms.pictures import a_cover
from tests.integrations.gateway.serving import SITES, make_gateway, serving

pytestmark = pytest.mark.service("ghost")
EVENTS = ("post.published", "post.published.edited")
GOT_RETRIES_AFTER_S = 1
"""When Ghost's HTTP client would try again first, if it did."""


@pytest.fixture
def blog(ghost):
    return GhostBlog(ghost)


@contextmanager
def hooks(ghost, url, events=EVENTS, secret="ghost secret"):
    """Ghost tells `url` of these events, as its page for a custom integration sets it up."""
    ids = [ghost.ask("POST", "webhooks/", json={"webhooks": [{
        "event": event, "name": event, "target_url": url, "secret": secret,
        "integration_id": ghost.integration}]})["webhooks"][0]["id"] for event in events]
    try:
        yield
    finally:
        for webhook in ids:
            ghost.ask("DELETE", f"webhooks/{webhook}/")


@pytest.fixture
def gateway(tmp_path, blog):
    asked = []

    def version_of(site, post_id):
        asked.append(post_id)
        return blog.posts.version(post_id)

    with serving(make_gateway(tmp_path, version_of=version_of)) as running:
        running.asked = asked
        yield running


@contextmanager
def told(gateway, times):
    """Wait until Ghost has told it so often more, and all of that is done."""
    before = len(gateway.asked)
    yield
    gateway.wait(lambda: len(gateway.asked) >= before + times and not gateway.desk.inbox.backlog().count)


def test_a_published_post_is_one_run_and_our_own_cover_and_undo_are_none(gateway, ghost, blog):
    with hooks(ghost, f"{gateway.url}/webhooks/ghost"):
        with told(gateway, 1):
            post = blog.add("云原生", "一段文字，说的是容器。")
        with told(gateway, 1):
            written = blog.posts.write_cover(post, a_cover("", "alt", "purple"))
        with told(gateway, 1):
            assert blog.posts.restore(post, written)
        assert [(order.site, order.post_id) for order in gateway.runs.orders] == [("ghost", post)]
        with told(gateway, 1):
            blog.rewrite(post, "容器", "别的东西")
        assert len(gateway.runs.orders) == 2


def test_a_draft_is_none_until_it_is_published(gateway, ghost, blog):
    with hooks(ghost, f"{gateway.url}/webhooks/ghost", ("post.added", "post.edited", "post.published")):
        draft = blog.add("草稿", "一段文字", status="draft")
        with told(gateway, 1):
            blog.edit(draft, status="published")
        assert [order.post_id for order in gateway.runs.orders] == [draft]


def test_a_ghost_that_does_not_know_the_secret_is_not_heard(tmp_path, ghost, blog):
    sites = SITES | {"ghost": Site(source="ghost", kind="ghost", secrets=("another secret",))}
    with serving(make_gateway(tmp_path, sites=sites)) as gateway:
        with hooks(ghost, f"{gateway.url}/webhooks/ghost", ("post.published",)):
            blog.add("题", "一段文字")
            gateway.wait(lambda: ghost.webhook_status("post.published") == 401)
        assert not gateway.desk.inbox.backlog().count
    assert gateway.runs.orders == []


def test_ghost_does_not_come_again_after_a_503(ghost, blog):
    """So what a gateway could not take is found by the schedule of the site, as docs/gateway.md says."""
    seen = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(503)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with hooks(ghost, f"http://127.0.0.1:{server.server_port}/", ("post.published",)):
            blog.add("题", "一段文字")
            time.sleep(4 * GOT_RETRIES_AFTER_S)
    finally:
        server.shutdown()
        server.server_close()
    assert len(seen) == 1
