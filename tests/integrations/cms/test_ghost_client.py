"""Answers that no Ghost should give, or gives on a bad day, from a server that gives them; a real one is in test_ghost.py."""

import json
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integrations.cms.ghost import GhostPosts
from integrations.cms.ghost_client import GhostClient
from integrations.errors import IntegrationError, NotFound, Refused, Unavailable

SECRET = "c0ffee" * 10 + "beef"
KEY = f"0123456789abcdef01234567:{SECRET}"
ID = "6b0a3a43cf0e91295e8d6f40"
POST = {"id": ID, "status": "published", "url": "https://a.test/7", "title": "t", "html": "<p>words</p>",
        "updated_at": "2026-11-28T02:19:47.000Z", **dict.fromkeys(
            ("feature_image", "feature_image_alt", "feature_image_caption", "og_image", "twitter_image"))}
STARTING = "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>We’ll be right back</title>"
"""What a real Ghost says while it starts, or migrates its database."""


def error(kind, message, context=None):
    return json.dumps({"errors": [{"message": message, "context": context, "type": kind}]}).encode()


@dataclass
class Script:
    """What the server answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def url(script):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            script.seen.append((self.path, self.headers["Authorization"], self.headers["Accept-Version"]))
            self.send_response(script.status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(script.body.replace(b"AUTHORIZATION", self.headers["Authorization"].encode()))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def source(url):
    return GhostPosts(GhostClient(url, KEY, timeout_s=5))


def test_a_good_answer_is_read_and_each_question_has_a_token_of_its_own(script, url):
    script.body = json.dumps({"posts": [POST]}).encode()
    assert source(url).read(ID).title == "t"
    path, authorization, version = script.seen[0]
    assert path == f"/ghost/api/admin/posts/{ID}/?formats=html&include=tags%2Cauthors"
    assert re.fullmatch(r"Ghost [\w-]+\.[\w-]+\.[\w-]{43}", authorization, re.ASCII)
    assert version == "v5.0"


def test_a_ghost_in_a_folder_of_its_site_is_found_there(script, url):
    script.body = json.dumps({"posts": [POST]}).encode()
    source(f"{url}/blog/").read(ID)
    assert script.seen[0][0].startswith("/blog/ghost/api/admin/posts/")


@pytest.mark.parametrize(("status", "body", "kind", "rule"), [
    (200, b"<html><b>x</b>\n</html>", Refused, "the answer is not JSON but '<html><b>x</b> </html>'"),
    (200, b"", Refused, "not JSON but 'an empty answer'"), (200, b"[]", Refused, "the answer lacks id, status"),
    (200, b'{"posts": [{"id": 7}]}', Refused, "the answer lacks id, status"), (200, b'{"posts": 5}', Refused, "lacks id"),
    (200, b'{"posts": []}', NotFound, "is not in the answer"), (200, b"[" * 100_000, Refused, "not JSON but"),
    (503, STARTING.encode(), Unavailable, "status 503: a page with the title 'We’ll be right back'"),
    (503, error("MaintenanceError", "Site is currently undergoing maintenance"), Unavailable, "undergoing maintenance"),
    (500, error("InternalServerError", "boom"), Unavailable, r"status 500: boom \(InternalServerError\)$"),
    (502, b"<html>Bad Gateway</html>", Unavailable, "status 502: <html>Bad Gateway"),
    (404, b"<html><title>Not found</title></html>", Refused, "no Ghost answers here: give the address that its /ghost/ is at"),
    (404, error("NotFoundError", "Resource not found error, cannot read post.", "Post not found."), NotFound, "Post not found"),
    (403, b"<html>blocked by a firewall</html>", Refused, "blocked by a firewall</html>$"),
    (403, error("NoPermissionError", "No."), Refused, "use the Admin API key of a custom integration"),
    (403, error("HostLimitError", "Custom integrations are over the limit"), Refused, "over the limit"),
    (401, error("UnauthorizedError", "Unknown Admin API Key"), Refused, r"01234567:\.\.\. is not accepted$"),
    (401, b"who are you", Refused, "status 401: who are you$"),
    (422, error("ValidationError", "cannot edit.", "Value is too\u202e long"), Refused, "cannot edit. Value is too long"),
    (400, b'{"errors": []}', Refused, "status 400"), (400, b'{"errors": [5]}', Refused, "status 400")])
def test_an_odd_answer_is_told_in_one_line(script, url, status, body, kind, rule):
    script.status, script.body = status, body
    with pytest.raises(kind, match=rule) as caught:
        source(url).read(ID)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("ghost: ")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("asked", "told"), [("30", "; it asks to be left alone for 30 s"), ("soon", ""), (None, "")])
def test_too_many_requests_is_worth_trying_again_and_says_when(script, url, asked, told):
    script.status, script.body = 429, error("TooManyRequestsError", "Too many attempts.")
    script.headers = {"Retry-After": asked} if asked else {}
    with pytest.raises(Unavailable, match=rf"status 429: Too many attempts. \(TooManyRequestsError\){told}$"):
        source(url).read(ID)


@pytest.mark.parametrize("target", ["http://other.test/ghost/", "https://127.0.0.1/secret?key=abc", ""])
def test_no_redirect_is_followed_and_the_token_goes_nowhere_else(script, url, target):
    script.status, script.headers = 301, {"Location": target}
    with pytest.raises(Refused, match="is not followed with a key; give the address that the site is at") as caught:
        source(url).read(ID)
    assert len(script.seen) == 1
    assert "key=abc" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_page_that_repeats_the_token_does_not_bring_it_into_the_error(script, url, status):
    script.status, script.body = status, f"AUTHORIZATION {SECRET}".encode()
    with pytest.raises(IntegrationError) as caught:
        source(url).read(ID)
    assert script.seen[0][1].removeprefix("Ghost ") not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(source(url)._client)


@pytest.mark.parametrize(("key", "rule"), [
    ("", "this one has 0 characters"), (KEY[:-1], "this one has 88 characters"), (KEY.replace(":", "."), "has 89 characters"),
    (f" {KEY}\n", "this one has 91 characters, spaces around them"), (KEY.upper(), "this one has 89 characters"),
    ("0" * 26, "this one has 26 characters and looks like a Content API key, which can only read")])
def test_what_is_no_admin_key_is_refused_and_not_shown(key, rule):
    with pytest.raises(ValueError, match=rf"must be 24 hex digits, a colon and 64 hex digits; .*{rule}") as caught:
        GhostClient("https://blog.test", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(("address", "rule"), [
    ("http://blog.test", "is not https, so the key could be read on the way"), ("blog.test", "must begin with https"),
    ("https://me:secret@blog.test", "no user name")])
def test_an_address_that_would_give_the_key_away_is_refused(address, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        GhostClient(address, KEY)
    assert "secret" not in str(caught.value)


def test_a_status_that_ghost_does_not_have_is_refused():
    with pytest.raises(ValueError, match="'publish': a post is one of published, draft, scheduled, sent"):
        GhostPosts(GhostClient("https://blog.test", KEY), ("publish",))
