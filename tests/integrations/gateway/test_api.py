"""The API for other systems, under a real uvicorn: keys, limits, idempotency, jobs, and what is wrong with a question."""

import http.client
import json
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from integrations.errors import Unavailable
from integrations.gateway.desk import Limits
from integrations.gateway.ports import Order, Picture
from integrations.gateway.tally_redis import RedisTally, make_client
from tests.integrations.gateway.serving import make_gateway, serving

WANTED = {"site": "blog", "post_id": "7"}


def order(client, body=None, key=None, **headers):
    if key:
        headers["Idempotency-Key"] = key
    return client.post("/v1/covers", json=WANTED if body is None else body, headers=headers)


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_cover_that_is_asked_for_is_a_job_at_once(gateway, api):
    answer = order(api, {**WANTED, "style": "ink-wash", "seed": 3, "size": {"width": 1200, "height": 640}, "force": True})
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    (made,) = gateway.runs.orders
    assert made.wishes == {"language": "auto", "style": "ink-wash", "seed": 3, "size": [1200, 640], "force": True}
    assert (made.source, made.post_id, made.tenant, made.site) == ("posts", "7", "acme", "blog")
    assert api.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"
    gateway.runs.succeed(job_id, Picture(url="https://cdn.example/a.webp", width=1200, height=640, format="webp", sha256="ab"))
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["pictures"][0]["url"]) == ("succeeded", "https://cdn.example/a.webp")


def test_a_page_of_the_web_is_covered_without_being_written(gateway, api):
    assert order(api, {"url": "https://example.org/a"}).status_code == 202
    assert gateway.runs.orders[0].wishes["write"] is False
    assert gateway.runs.orders[0].source == "https://example.org/a"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nonsense", "Basic {}", "Bearer {}x", "bearer{}"])
def test_without_a_key_nothing_below_v1_exists(gateway, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.format(gateway.key())}
    with gateway.client() as client:
        for method, path in (("POST", "/v1/covers"), ("GET", f"/v1/jobs/{uuid.uuid4()}"), ("GET", "/v1/anything")):
            answer = client.request(method, path, headers=headers)
            assert code(answer) == (401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_in_the_address_is_no_key(gateway):
    key = gateway.key()
    with gateway.client() as client:
        for name in ("key", "api_key", "token", "access_token", "authorization"):
            assert client.get("/v1/jobs/x", params={name: key}).status_code == 401


def test_a_revoked_key_is_none_from_the_next_request_on(gateway):
    key = gateway.key()
    with gateway.client(key) as client:
        assert order(client).status_code == 202
        gateway.ring.revoke(key[3:11])
        assert code(order(client)) == (401, "invalid_api_key")


@pytest.mark.parametrize(("scopes", "may_write", "may_read"), [
    (["covers:write"], True, False), (["jobs:read"], False, True), (["images:generate"], False, False)])
def test_a_key_does_what_its_scopes_say(gateway, api, scopes, may_write, may_read):
    job_id = order(api).json()["job_id"]
    with gateway.client(gateway.key(scopes=scopes)) as client:
        assert order(client).status_code == (202 if may_write else 403)
        assert client.get(f"/v1/jobs/{job_id}").status_code == (200 if may_read else 403)
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == (202 if may_write else 403)


def test_another_tenants_job_does_not_exist(gateway, api):
    job_id = order(api).json()["job_id"]
    with gateway.client(gateway.key(tenant="other")) as other:
        for answer in (other.get(f"/v1/jobs/{job_id}"), other.post(f"/v1/jobs/{job_id}/cancel"),
                       other.get(f"/v1/jobs/{job_id}/events"), other.get(f"/v1/jobs/{uuid.uuid4()}")):
            assert code(answer) == (404, "not_found")
    assert api.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"


def test_a_webhooks_job_belongs_to_no_tenant(gateway, api):
    job = gateway.runs.start(Order(source="posts", post_id="7"), "key")
    assert api.get(f"/v1/jobs/{job.id}").status_code == 404


def test_a_key_for_one_site_knows_no_other(gateway):
    with gateway.client(gateway.key(sites=["quiet"])) as client:
        assert code(order(client)) == code(order(client, {**WANTED, "site": "nobody"})) == (404, "unknown_site")
        assert order(client, {**WANTED, "site": "quiet"}).status_code == 202


@pytest.mark.parametrize("body", [
    {}, [], None, "text", 3, {"site": "blog"}, {"post_id": "7"}, {**WANTED, "url": "https://a.example/"}, {**WANTED, "n": 0},
    {**WANTED, "n": 1}, {**WANTED, "seed": "1e9"}, {**WANTED, "seed": 1.5}, {**WANTED, "seed": -1}, {**WANTED, "seed": 2**53},
    {**WANTED, "seed": True}, {**WANTED, "force": "yes"}, {**WANTED, "force": 1}, {**WANTED, "post_id": ""},
    {**WANTED, "post_id": 7}, {**WANTED, "post_id": "a\0b"}, {**WANTED, "post_id": "\ud800"}, {**WANTED, "post_id": "x" * 501},
    {**WANTED, "language": "fr"},
    {**WANTED, "size": "1200x630"}, {**WANTED, "size": {"width": 10**9, "height": 640}}, {**WANTED, "size": {"width": 1200}},
    {**WANTED, "style": "../../etc/passwd"}, {"url": "file:///etc/passwd"}, {"url": "https://user@a.example/"}, {"url": "//a"},
    {**WANTED, "callback_url": "gopher://a"}, {**WANTED, "write": True}, {**WANTED, "out": "/etc"}])
def test_a_question_that_breaks_a_rule_is_422_and_starts_nothing(gateway, api, body):
    answer = api.post("/v1/covers", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert gateway.runs.orders == []


@pytest.mark.parametrize(("body", "word"), [
    (b'{"site": "blog", "post_id": "7", "post_id": "8"}', "'post_id' is given twice"), (b"{", "not JSON"),
    (b"\xff\xfe", "not UTF-8"),
    (b'{"site": "blog", "post_id": "7", "size": {"width": 640, "height": 640, "width": 1}}', "'width' is given twice"),
    (b'{"site": "blog", "post_id": "7", "seed": NaN}', "NaN is no number"), (b"[" * 50_000, "nested too deeply"),
    (b'{"site": "blog", "post_id": "7", "seed": ' + b"1" * 5000 + b"}", "too long")])
def test_a_body_that_could_be_read_in_two_ways_is_400(api, body, word):
    answer = api.post("/v1/covers", content=body, headers={"Content-Type": "application/json"})
    assert code(answer) == (400, "bad_request")
    assert word in answer.json()["error"]["message"]


def test_a_style_that_is_none_is_told_with_those_that_are(api):
    answer = order(api, {**WANTED, "style": "cubism"})
    assert code(answer) == (404, "unknown_style")
    assert "ink-wash" in answer.json()["error"]["message"]


@pytest.mark.parametrize("address", ["http://a.example:8080/", "http://a.example:22/x", "https://a.example:99999/"])
def test_a_callback_that_would_never_be_made_is_refused_at_once(gateway, api, address):
    assert code(order(api, {**WANTED, "callback_url": address})) == (403, "address_refused")
    assert gateway.runs.orders == []


def test_the_same_idempotency_key_is_the_same_job(gateway, api):
    first, again = order(api, key="one"), order(api, key="one")
    assert (again.status_code, again.json()) == (202, first.json())
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert len(gateway.runs.orders) == 1
    assert order(api, key="two").json()["job_id"] != first.json()["job_id"]


def test_the_same_idempotency_key_with_another_body_is_422(gateway, api):
    order(api, key="one")
    assert code(order(api, {**WANTED, "seed": 1}, key="one")) == (422, "idempotency_mismatch")
    assert len(gateway.runs.orders) == 1


def test_another_tenants_idempotency_key_is_another(gateway, api):
    order(api, key="one")
    with gateway.client(gateway.key(tenant="other")) as other:
        assert order(other, {**WANTED, "seed": 1}, key="one").status_code == 202


def test_a_tally_that_forgot_finds_the_run_again_and_other_bodies_too(gateway, api):
    first = order(api, key="one")
    gateway.desk.tally._db.execute("DELETE FROM kept")
    assert order(api, key="one").json() == first.json()
    gateway.desk.tally._db.execute("DELETE FROM kept")
    assert code(order(api, {**WANTED, "seed": 1}, key="one")) == (422, "idempotency_mismatch")
    assert len(gateway.runs.orders) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "é".encode()])
def test_an_idempotency_key_that_breaks_a_rule_is_422(api, key):
    answer = api.post("/v1/covers", json=WANTED, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_a_thousand_duplicates_at_once_are_one_run(gateway):
    key = gateway.key()
    clients = [gateway.client(key) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: order(clients[number % 16], key="one"), range(1000)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["job_id"] for answer in answers if answer.status_code == 202}) == 1
    assert len(gateway.runs.orders) == 1


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service("redis"))])
def limited(request, tmp_path):
    """A gateway of few covers a day, counted in either tally."""
    limits = Limits(per_minute=100_000, per_day=3, poll_s=0.1)
    changes = {"limits": limits}
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        changes["tally"] = RedisTally(make_client(url, 5), prefix=f"{tmp_path}:")
    with serving(make_gateway(tmp_path, **changes)) as gateway:
        yield gateway


def test_ten_at_once_on_a_quota_of_three_are_exactly_three(limited):
    with limited.client(limited.key()) as client, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: order(client, key=f"key-{number}"), range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 7
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert len(limited.runs.orders) == 3


def test_replays_and_what_could_not_be_started_cost_nothing(limited):
    with limited.client(limited.key()) as client:
        for _ in range(5):
            assert order(client, key="one").status_code == 202
        limited.runs.start, start = fail_to_start, limited.runs.start
        for _ in range(5):
            assert order(client, key="two").status_code == 503
        limited.runs.start = start
        assert order(client, key="two").status_code == 202
        assert order(client, key="three").status_code == 202
        assert order(client, key="four").status_code == 429
        assert order(client, key="one").status_code == 202


def fail_to_start(order, key):
    raise Unavailable("prefect: no server answers")


def test_a_tenants_keys_share_its_quota_and_a_keys_own_is_its_own(limited):
    with limited.client(limited.key()) as one, limited.client(limited.key()) as other:
        assert [order(client).status_code for client in (one, other, one, other)] == [202, 202, 202, 429]
    with limited.client(limited.key(per_day=1)) as own:
        assert [order(own).status_code for _ in range(2)] == [202, 429]


def test_a_key_that_asks_too_often_is_told_when_to_come_again(gateway):
    with gateway.client(gateway.key(per_minute=3)) as client:
        answers = [client.get(f"/v1/jobs/{uuid.uuid4()}") for _ in range(5)]
    assert [answer.status_code for answer in answers[-1:]] == [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_without_redis_nobody_is_let_through(tmp_path):
    tally = RedisTally(make_client("redis://127.0.0.1:1/0", 1))
    with serving(make_gateway(tmp_path, tally=tally)) as gateway, gateway.client(gateway.key()) as client:
        for answer in (order(client), client.get(f"/v1/jobs/{uuid.uuid4()}"), order(client, key="one")):
            assert code(answer) == (503, "unavailable")
            assert answer.headers["retry-after"] == "5"
        assert gateway.runs.orders == []
        assert client.get("/health").status_code == 200


def test_an_engine_out_of_reach_is_503_and_the_same_key_may_try_again(gateway, api):
    gateway.runs.start, start = fail_to_start, gateway.runs.start
    assert code(order(api, key="one")) == (503, "unavailable")
    gateway.runs.start = start
    assert order(api, key="one").status_code == 202


def test_a_job_is_cancelled_and_one_that_is_over_stays(gateway, api):
    job_id = order(api).json()["job_id"]
    assert api.post(f"/v1/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    done = order(api).json()["job_id"]
    gateway.runs.succeed(done)
    assert api.post(f"/v1/jobs/{done}/cancel").json()["status"] == "succeeded"


def test_what_is_no_id_of_a_job_is_422(api):
    for word in ("x", "1", "%00", "0" * 5000):
        assert api.get(f"/v1/jobs/{word}").status_code == 422


def test_a_body_that_never_ends_is_cut_off_in_time(gateway):
    port = int(gateway.url.rpartition(":")[2])
    head = f"POST /v1/covers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key()}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head.encode())
        began = time.monotonic()
        answer = http.client.HTTPResponse(line)
        answer.begin()
        assert (answer.status, answer.getheader("connection")) == (408, "close")
        assert 0.8 < time.monotonic() - began < 5


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999", "٣"])
def test_a_length_that_is_none_is_no_way_in(gateway, length):
    port = int(gateway.url.rpartition(":")[2])
    head = f"POST /v1/covers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key()}\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head.encode())
        answer = http.client.HTTPResponse(line)
        answer.begin()
        assert answer.status in (400, 413)


def test_nobodys_body_is_read_without_a_key(gateway):
    with gateway.client() as client:
        assert client.post("/v1/covers", content=b"x" * 2_000_000).status_code == 401


def test_errors_have_one_shape_whatever_they_are(gateway, api):
    for answer in (api.get("/nothing"), api.delete("/v1/covers"), api.post("/v1/covers", content=b"a=b")):
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "code", "param"}
