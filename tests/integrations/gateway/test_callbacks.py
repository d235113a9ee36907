"""Callbacks: signed, at least once, tried again while that helps, and never into our own network."""

import http.server
import json
import threading

import pytest
from standardwebhooks import Webhook

from integrations.errors import Refused, Unavailable
from integrations.gateway.callbacks import Callbacks, callback_secret, make_item
from integrations.gateway.courier import GuardedCourier
from integrations.gateway.local import MemoryRuns
from integrations.gateway.ports import Order, Picture
from integrations.gateway.queue import SqlQueue
from integrations.http import FetchLimits
from tests.integrations.gateway.serving import PEPPER, make_gateway, serving
from tests.integrations.gateway.test_api import order


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it is told, and answers with each of `statuses` in turn, then 204."""

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.statuses, self.messages = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?token=secret"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.messages.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def loopback(receiver):
    ports = frozenset({80, 443, receiver.server_address[1]})
    return GuardedCourier(FetchLimits(timeout_s=2, deadline_s=3, ports=ports, networks=("127.0.0.0/8",)))


@pytest.fixture
def callbacks(database, clock, receiver):
    return Callbacks(outbox=SqlQueue(database, "callbacks", clock), runs=MemoryRuns(), courier=loopback(receiver), pepper=PEPPER,
                     clock=clock)


def a_job(callbacks, url):
    job = callbacks.runs.start(Order(source="posts", post_id="7", tenant="acme"), "key")
    callbacks.outbox.add([make_item(job, url)])
    return job


def test_whoever_asked_is_told_how_it_ended_under_a_signature(tmp_path, receiver):
    with serving(make_gateway(tmp_path, courier=loopback(receiver))) as gateway, gateway.client(gateway.key()) as client:
        body = {"site": "blog", "post_id": "7", "callback_url": receiver.url}
        job_id = order(client, body).json()["job_id"]
        gateway.runs.succeed(job_id, Picture(url="https://cdn.example/a.webp", width=2, height=1, format="webp", sha256="ab"))
        gateway.wait(lambda: receiver.messages)
    (headers, said), = receiver.messages
    told = Webhook(callback_secret(PEPPER, "acme")).verify(said, headers)
    assert (told["type"], told["data"]["id"], told["data"]["status"]) == ("job.succeeded", job_id, "succeeded")
    assert told["data"]["pictures"][0]["url"] == "https://cdn.example/a.webp"
    assert headers["webhook-id"] == f"job_{job_id}"


def test_nobody_is_told_before_the_job_is_over(callbacks, receiver, clock):
    job = a_job(callbacks, receiver.url)
    assert callbacks.work_once() == 1
    assert (receiver.messages, callbacks.work_once()) == ([], 0)
    clock.now += 10
    callbacks.runs.fail(job.id, "words.body says block")
    callbacks.work_once()
    (_, said), = receiver.messages
    assert json.loads(said)["data"]["reason"] == "words.body says block"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_answer_that_may_pass_is_tried_again_with_the_same_message(callbacks, receiver, clock, status):
    receiver.statuses = [status, status]
    job = a_job(callbacks, receiver.url)
    callbacks.runs.succeed(job.id)
    for _ in range(4):
        callbacks.work_once()
        clock.now += 1000
    assert len(receiver.messages) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.messages}) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410])
def test_an_answer_that_says_no_ends_it_and_no_redirect_is_followed(callbacks, receiver, clock, status):
    receiver.statuses = [status] * 5
    job = a_job(callbacks, receiver.url)
    callbacks.runs.succeed(job.id)
    for _ in range(3):
        callbacks.work_once()
        clock.now += 1000
    assert len(receiver.messages) == 1


def test_a_receiver_that_never_answers_is_given_up(callbacks, receiver, clock):
    receiver.shutdown()
    receiver.server_close()
    job = a_job(callbacks, receiver.url)
    callbacks.runs.succeed(job.id)
    for _ in range(14):
        callbacks.work_once()
        clock.now += 1000
    assert callbacks.outbox.take(1, 1) == []
    assert callbacks.outbox.forget(0) == 1


def test_an_engine_out_of_reach_loses_no_callback(callbacks, receiver, clock, monkeypatch):
    job = a_job(callbacks, receiver.url)
    callbacks.runs.succeed(job.id)

    def gone(ids):
        raise Unavailable("prefect: no server answers")

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.runs, "find", gone)
        with pytest.raises(Unavailable):
            callbacks.work_once()
    clock.now += 60
    callbacks.work_once()
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data", "http://100.100.100.200/", "http://10.0.0.1/",
    "http://2130706433/", "http://0/", "http://127.1/", "http://[::ffff:7f00:1]/", "http://localhost/"])
def test_no_address_of_our_own_network_is_dialled(url):
    with pytest.raises(Refused, match=r"is not a public address|is not an address"):
        GuardedCourier(FetchLimits(timeout_s=2, deadline_s=3)).post(url, b"{}", {})


def test_the_tokens_of_an_address_stay_out_of_errors(callbacks, receiver):
    receiver.statuses = [404]
    with pytest.raises(Refused) as caught:
        callbacks.courier.post(receiver.url, b"{}", {})
    assert str(caught.value) == "callback: 127.0.0.1 answered with status 404"
