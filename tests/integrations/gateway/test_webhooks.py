"""Webhooks from the door to the run: signed, kept, answered, and exactly one run for each version of a post."""

import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from integrations.errors import Refused, Unavailable
from integrations.gateway.ports import Item
from integrations.gateway.signatures import sign_standard
from tests.integrations.gateway.serving import SECRET, make_gateway, serving


def send(gateway, body=None, *, message_id="msg_1", moment=None, site="blog", secret=SECRET, **headers):
    said = {"event": "post.published", "site": "https://blog.example", "id": 7, "modified_gmt": "2026-11-27 10:00:00"}
    data = body if isinstance(body, bytes) else json.dumps(said | (body or {})).encode()
    signed = sign_standard(secret, message_id, int(time.time()) if moment is None else moment, data)
    with gateway.client() as client:
        return client.post(f"/webhooks/{site}", content=data, headers={**signed, **headers})


def settled(gateway):
    """Whether nothing is left to be done."""
    return lambda: not gateway.desk.inbox.backlog().count


def test_a_signed_message_becomes_a_run(gateway):
    gateway.posts.words["7"] = "first words"
    answer = send(gateway)
    assert (answer.status_code, answer.json()) == (202, {"posts": 1, "new": 1})
    gateway.wait(lambda: gateway.runs.orders)
    (order,) = gateway.runs.orders
    assert (order.source, order.post_id, order.site, order.tenant) == ("posts", "7", "blog", "")


def test_a_message_that_comes_again_is_known_and_starts_nothing(gateway):
    gateway.posts.words["7"] = "first words"
    send(gateway)
    again = send(gateway)
    assert (again.status_code, again.json()) == (202, {"posts": 1, "new": 0})
    gateway.wait(lambda: gateway.runs.orders)
    time.sleep(0.3)
    assert len(gateway.runs.orders) == 1


def test_another_message_about_the_same_words_starts_no_second_run_and_new_words_do(gateway):
    gateway.posts.words["7"] = "first words"
    send(gateway)
    gateway.wait(lambda: gateway.runs.orders)
    send(gateway, message_id="msg_2")  # such as the one that our own writing of the cover causes
    gateway.wait(lambda: gateway.posts.reads == 2 and not gateway.desk.inbox.backlog().count)
    assert len(gateway.runs.orders) == 1
    gateway.posts.words["7"] = "other words"
    send(gateway, message_id="msg_3")
    gateway.wait(lambda: gateway.posts.reads == 3 and not gateway.desk.inbox.backlog().count)
    assert len(gateway.runs.orders) == 2


def test_a_thousand_messages_at_once_are_one_run(gateway):
    gateway.posts.words["7"] = "first words"
    data = b'{"event": "post.published", "id": "7"}'
    now = int(time.time())

    def deliver(number):
        headers = sign_standard(SECRET, f"msg_{number // 2}", now, data)  # half of them are copies of another
        return clients[number % 16].post("/webhooks/blog", content=data, headers=headers).status_code

    clients = [gateway.client() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(deliver, range(1000))) == {202}
    gateway.wait(lambda: gateway.runs.orders, 20)
    time.sleep(0.5)
    assert len(gateway.runs.orders) == 1


@pytest.mark.parametrize("change", [
    {"moment": "nan"}, {"moment": 1}, {"moment": int(time.time()) + 10_000}, {"moment": int(time.time()) - 301}, {"moment": ""},
    {"secret": "whsec_" + "A" * 43 + "="}, {"site": "quiet"}, {"site": "nobody"}, {"site": "ghost"}, {"site": "%00"},
    {"webhook-signature": "v1"}, {"webhook-signature": "v1,AAAA"}, {"webhook-signature": b"v1,\xff"}, {"webhook-id": "other"}])
def test_what_is_not_signed_by_the_site_just_now_is_refused_in_one_way(gateway, change):
    answer = send(gateway, **change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_signature")
    assert gateway.desk.inbox.take(1, 1) == []


@pytest.mark.parametrize(("body", "word"), [
    (b"", "not JSON"), (b"[]", "must be a JSON object"), (b"{", "not JSON"), (b"\xff", "not UTF-8"), (b'{"id": NaN}', "NaN"),
    (b'{"id": 1, "id": 2}', "'id' is given twice"), (b'{"id": null}', "id: it must be"), (b'{"id": true}', "id: it must be"),
    (b'{"id": 1.5}', "id: it must be"), (b'{"id": ""}', "1 to 500"), (b'{"id": "a\\u0000"}', "printable"),
    (b'{"id": "\\ud800"}', "printable"), (b'{"event": 3, "id": 1}', "event: it must be a text"), (b"[" * 100_000, "nested"),
    (b'{"id": ' + b"9" * 5000 + b"}", "too long")])
def test_a_signed_body_that_breaks_a_rule_is_told_which(gateway, body, word):
    answer = send(gateway, body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


def test_a_post_that_is_gone_ends_with_its_reason(gateway):
    send(gateway)
    gateway.wait(lambda: gateway.posts.reads)
    gateway.wait(settled(gateway))
    assert gateway.runs.orders == []
    assert outcomes(gateway) == [("skipped", "posts: '7' does not exist")]


def outcomes(gateway):
    from sqlalchemy import select

    from integrations.gateway.tables import items

    with gateway.desk.inbox._database.begin() as db:
        return [(row.outcome, row.detail) for row in db.execute(select(items).order_by(items.c.added_at))]


def test_a_deleted_post_is_no_work(gateway):
    assert send(gateway, {"event": "post.deleted"}).json() == {"posts": 0, "new": 0}


def test_a_site_that_does_not_answer_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr("integrations.gateway.dispatch.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("integrations.gateway.app.DISPATCH_EVERY_S", 0.05)
    with serving(make_gateway(tmp_path)) as gateway:
        gateway.posts.words["7"] = "words"
        gateway.posts.failures = [Unavailable("cms: not now"), KeyError("a bug"), Unavailable("cms: not now")]
        send(gateway)
        gateway.wait(lambda: gateway.runs.orders)
        assert gateway.posts.reads == 4


def test_what_never_answers_is_given_up_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("integrations.gateway.dispatch.MAX_ATTEMPTS", 2)
    monkeypatch.setattr("integrations.gateway.dispatch.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("integrations.gateway.app.DISPATCH_EVERY_S", 0.02)
    with serving(make_gateway(tmp_path)) as gateway:
        gateway.posts.failures = [Unavailable("cms: not now")] * 9
        send(gateway)
        gateway.wait(lambda: outcomes(gateway) == [("given up", "cms: not now")])
    assert gateway.posts.reads == 3


def test_what_was_taken_before_a_gateway_died_is_started_by_the_next(tmp_path):
    gateway = make_gateway(tmp_path)
    gateway.posts.words["7"] = "words"
    gateway.desk.inbox.add([Item(id="left", about="blog\n7", payload={"site": "blog", "post_id": "7", "revision": ""})])
    with serving(gateway):
        gateway.wait(lambda: gateway.runs.orders)


def test_a_database_that_cannot_be_reached_is_503_and_the_sender_may_come_again(tmp_path):
    class Gone:
        def add(self, items):
            raise Unavailable("database: sqlite: gone")

        def take(self, limit, lease_s):
            raise Unavailable("database: sqlite: gone")

        def forget(self, older_than_s):
            raise Unavailable("database: sqlite: gone")

    with serving(make_gateway(tmp_path, inbox=Gone())) as gateway:
        answer = send(gateway)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"]["message"] == "not now: database does not answer"


def test_ghosts_published_posts_are_work_and_nothing_else_is(gateway):
    gateway.posts.words["abc"] = "words"

    def tell(current):
        data = json.dumps({"post": {"current": current, "previous": {}}}).encode()
        moment = str(int(time.time() * 1000))
        mac = hmac.digest(b"ghost secret", data + moment.encode(), "sha256").hex()
        with gateway.client() as client:
            return client.post("/webhooks/ghost", content=data, headers={"X-Ghost-Signature": f"sha256={mac}, t={moment}"})

    assert tell({"id": "abc", "status": "published"}).json() == {"posts": 1, "new": 1}
    assert tell({"id": "abc", "status": "draft"}).json()["posts"] == 0
    assert tell({}).json()["posts"] == 0
    gateway.wait(lambda: gateway.runs.orders)


def push(gateway, event="push", **changes):
    body = {"ref": "refs/heads/main", "after": "c" * 40, "repository": {"default_branch": "main"}, "commits": [
        {"added": ["content/a.md", "content/b.md", "README.md", "content/x.png"], "modified": [], "removed": []},
        {"added": [], "modified": ["content/c.html"], "removed": ["content/b.md"]}], **changes}
    data = json.dumps(body).encode()
    signature = "sha256=" + hmac.digest(b"hub secret", data, "sha256").hex()
    with gateway.client() as client:
        return client.post("/webhooks/hub", content=data, headers={"X-Hub-Signature-256": signature, "X-GitHub-Event": event})


def test_a_push_is_work_for_each_post_file_that_it_leaves_behind(gateway):
    gateway.posts.words |= {"a.md": "words", "c.html": "words"}
    assert push(gateway).json() == {"posts": 2, "new": 2}
    gateway.wait(lambda: len(gateway.runs.orders) == 2)
    assert {order.post_id for order in gateway.runs.orders} == {"a.md", "c.html"}
    assert gateway.posts.refreshed == [("hub", "c" * 40)] * 2
    assert push(gateway).json() == {"posts": 2, "new": 0}


@pytest.mark.parametrize(("event", "changes"), [
    ("ping", {}), ("push", {"ref": "refs/heads/draft"}), ("push", {"ref": "refs/tags/main"}), ("push", {"commits": []}),
    ("push", {"repository": {}}), ("push", {"commits": None}), ("push", {"commits": [{"added": None}]})])
def test_what_pushes_no_post_to_the_default_branch_is_no_work(gateway, event, changes):
    answer = push(gateway, event, **changes)
    assert (answer.status_code, answer.json()["posts"]) == (202, 0)


def test_a_folder_that_refuses_to_come_to_the_commit_ends_the_row(tmp_path):
    def refuse(site, revision):
        raise Refused("git: the folder has diverged")

    with serving(make_gateway(tmp_path, refresh=refuse)) as gateway:
        push(gateway)
        gateway.wait(lambda: outcomes(gateway) == [("skipped", "git: the folder has diverged")] * 2)


def test_a_message_without_a_body_or_of_the_wrong_method_is_told(gateway):
    with gateway.client() as client:
        assert client.get("/webhooks/blog").status_code == 405
        assert client.post("/webhooks/blog").status_code == 401


def test_a_body_that_is_too_large_is_refused_before_it_was_read(gateway):
    with gateway.client() as client:
        answer = client.post("/webhooks/blog", content=b"x" * 1_000_001)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        chunks = (b"x" * 100_000 for _ in range(30))
        with suppress(httpx.WriteError):  # the answer came and the line was cut while we still wrote
            assert client.post("/webhooks/blog", content=chunks).status_code == 413
