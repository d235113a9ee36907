"""Answers that no WordPress should give, from a server that gives them; a real one is in test_wordpress.py."""

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integrations.cms.wordpress import WordPressPosts
from integrations.cms.wordpress_client import WordPressClient
from integrations.errors import IntegrationError, NotFound, Refused, Unavailable

PASSWORD = "abcd efgh ijkl"
INDEX = {"namespaces": ["wp/v2"], "authentication": {"application-passwords": {}}}
POST = {"id": 7, "status": "publish", "link": "https://a.test/7", "title": {"raw": "t"}, "content": {"raw": "words"},
        "featured_media": 0}


@dataclass
class Script:
    """What the server answers: to the index, and to all else."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    index: bytes = json.dumps(INDEX).encode()
    index_status: int = 200
    pages: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    pause_s: float = 0


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def url(script):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            is_index = self.path.startswith(("/wp-json/?", "/?_fields"))
            script.seen.append(self.headers["Authorization"])
            time.sleep(script.pause_s)
            self.send_response(script.index_status if is_index else script.status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.end_headers()
            page = re.search(r"[?&]page=(\d+)", self.path)
            body = script.index if is_index else script.pages[int(page[1]) - 1] if page else script.body
            with suppress(ConnectionError):  # of an answer too long the client takes only so much
                self.wfile.write(body.replace(b"AUTHORIZATION", self.headers["Authorization"].encode()))

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def source(url, timeout_s=5):
    return WordPressPosts(WordPressClient(url, "bot", PASSWORD, timeout_s=timeout_s))


def test_a_good_answer_is_read(script, url):
    script.body = json.dumps(POST).encode()
    assert source(url).read("7").title == "t"


@pytest.mark.parametrize(("status", "body", "error", "rule"), [
    (200, b"<html><b>Warning</b>: x\n</html>", Refused, "the answer is not JSON but '<html><b>Warning</b>: x </html>'"),
    (200, b"", Refused, "not JSON but 'an empty answer'"), (200, b"[]", Refused, "the answer lacks status, link"),
    (200, b'{"id": 7}', Refused, "the answer lacks status, link"), (200, b"[" * 100_000, Refused, "not JSON but"),
    (200, b"null", Refused, "not JSON but"), (200, b'{"title": "\xff"}', Refused, "not JSON but"),
    (502, b"<html>Bad Gateway</html>", Unavailable, "status 502: <html>Bad Gateway"), (429, b"{}", Unavailable, "status 429"),
    (404, b"<html>Not Found</html>", NotFound, "status 404"), (410, b"", NotFound, "status 410"),
    (403, b"<html>blocked by a firewall</html>", Refused, "blocked by a firewall"),
    (400, b'{"code": "rest_invalid_param", "message": "Invalid \\u202e parameter"}', Refused,
     r"Invalid parameter \(rest_invalid_param\)$"),
    (401, b'{"code": 5, "message": ["a"]}', Refused, "not accepted")])
def test_an_odd_answer_is_told_in_one_line(script, url, status, body, error, rule):
    script.status, script.body = status, body
    with pytest.raises(error, match=rule) as caught:
        source(url).read("7")
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"wordpress: {url}: GET posts/7: ")
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["http://other.test/wp-json/", "https://127.0.0.1/secret?key=abc", "/elsewhere/", ""])
def test_no_redirect_is_followed_and_the_password_goes_nowhere_else(script, url, target):
    script.index_status, script.headers = 301, {"Location": target}
    with pytest.raises(Refused, match="is not followed with a password; give the address that the site is at") as caught:
        source(url).read("7")
    assert len(script.seen) == 1
    assert "key=abc" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_page_that_repeats_the_password_does_not_bring_it_into_the_error(script, url, status):
    script.status, script.body = status, b"AUTHORIZATION abcd efgh ijkl"
    with pytest.raises(IntegrationError) as caught:
        source(url).read("7")
    assert script.seen[0].removeprefix("Basic ") not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_the_password_is_not_shown_with_the_client(url):
    assert PASSWORD not in repr(vars(WordPressPosts(client := WordPressClient(url, "bot", PASSWORD))))
    assert PASSWORD not in repr(client)


def test_a_list_without_its_number_of_pages_is_read_to_its_end(script, url):
    ids = [{"id": number} for number in range(230)]
    script.pages = [json.dumps(ids[start:start + 100]).encode() for start in (0, 100, 200)]
    assert list(source(url).list_posts()) == [str(number) for number in range(230)]


@pytest.mark.parametrize("index", [b"<html>a blog</html>", b"{}", b"[]", b'{"namespaces": ["other/v1"]}'])
def test_a_site_that_is_no_wordpress_is_told_from_one(script, url, index):
    script.index = index
    with pytest.raises(Refused, match=r"answers neither at /wp-json/ nor at /\?rest_route=/ as a WordPress does"):
        source(url).read("7")


def test_an_answer_that_never_ends_is_refused(script, url):
    script.body = b'{"title": "' + b"x" * 10_000_001
    with pytest.raises(Refused, match="more than 10000000 bytes"):
        source(url).read("7")


def test_a_site_that_does_not_answer_is_given_up_in_time(script, url):
    script.pause_s = 3
    started = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer within"):
        source(url, timeout_s=0.5).read("7")
    assert time.monotonic() - started < 2


def test_a_site_that_is_not_there_is_unavailable():
    with pytest.raises(Unavailable, match="refused"):
        source("http://127.0.0.1:1").read("7")


@pytest.mark.parametrize(("address", "rule"), [
    ("http://blog.test", "is not https"), ("http://10.0.0.5", "is not https"), ("ftp://blog.test", "must begin with https"),
    ("blog.test", "must begin with https"), ("", "must begin with https"), ("https://", "name a host"),
    ("https://me:secret@blog.test", "no user name"), ("https://blog.test/?p=1", "no query"),
    ("https://blog.test/#a", "no fragment"), ("https://a\0b", "is not an address")])
def test_an_address_that_would_give_the_password_away_is_refused(address, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        WordPressClient(address, "bot", PASSWORD)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]", "https://blog.test/zh/"])
def test_https_and_this_machine_are_taken(address):
    assert WordPressClient(address, "bot", PASSWORD).name.startswith(address)


def test_http_in_a_network_of_ones_own_is_a_choice():
    assert WordPressClient("http://10.0.0.5/", "bot", PASSWORD, allow_http=True).name == "http://10.0.0.5/"


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("bot", ""), ("a:b", "x"), ("bot", "a\nb"), ("bo\0t", "x")])
def test_a_name_or_password_that_cannot_be_sent_is_refused(user, password):
    with pytest.raises(ValueError, match="needs an application password") as caught:
        WordPressClient("https://blog.test", user, password)
    assert "a\nb" not in str(caught.value)
