"""Progress of a job by SSE and by WebSocket: every event once, resumable, and over with the job."""

import json
import threading
import time
import uuid

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from integrations.gateway.desk import Limits
from tests.integrations.gateway.serving import make_gateway, serving
from tests.integrations.gateway.test_api import order


class Stream(threading.Thread):
    """Reads a job's events until the stream ends."""

    def __init__(self, gateway, key, job_id, **headers):
        super().__init__(daemon=True)
        self.gateway, self.key, self.job_id, self.headers = gateway, key, job_id, headers
        self.events, self.status, self.kind = [], None, ""
        self.start()

    def run(self):
        with self.gateway.client(self.key) as client, client.stream(
                "GET", f"/v1/jobs/{self.job_id}/events", headers=self.headers) as answer:
            self.status, self.kind = answer.status_code, answer.headers["content-type"]
            event = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif event:
                    self.events.append(event)
                    event = {}

    @property
    def names(self):
        return [event["event"] for event in self.events]

    def finish(self):
        self.join(10)
        assert not self.is_alive()
        return self


@pytest.fixture
def key(gateway):
    return gateway.key()


@pytest.fixture
def job_id(gateway, key):
    with gateway.client(key) as client:
        return order(client).json()["job_id"]


def test_a_stream_tells_each_state_once_and_ends_with_the_job(gateway, key, job_id):
    stream = Stream(gateway, key, job_id)
    gateway.wait(lambda: stream.names == ["queued"])
    gateway.runs.go_on(job_id)
    gateway.wait(lambda: stream.names == ["queued", "running"])
    gateway.desk.tally.append_event(job_id, "step", {"step": 3, "steps": 8})
    gateway.runs.succeed(job_id)
    assert stream.finish().names == ["queued", "running", "step", "succeeded"]
    assert stream.kind.startswith("text/event-stream")
    assert json.loads(stream.events[2]["data"]) == {"step": 3, "steps": 8}
    assert json.loads(stream.events[3]["data"])["id"] == job_id


def test_a_client_that_comes_back_misses_nothing_and_hears_nothing_twice(gateway, key, job_id):
    first = Stream(gateway, key, job_id)
    gateway.wait(lambda: first.names == ["queued"])
    gateway.runs.go_on(job_id)
    gateway.wait(lambda: first.names == ["queued", "running"])
    gateway.runs.fail(job_id, "no words")
    seen = first.events[0]["id"]
    first.finish()
    assert Stream(gateway, key, job_id, **{"Last-Event-ID": seen}).finish().names == ["running", "failed"]
    last = first.events[-1]["id"]
    assert Stream(gateway, key, job_id, **{"Last-Event-ID": last}).finish().names == []
    assert Stream(gateway, key, job_id).finish().names == ["queued", "running", "failed"]


def test_many_listeners_hear_the_same(gateway, key, job_id):
    streams = [Stream(gateway, key, job_id) for _ in range(8)]
    gateway.wait(lambda: all(stream.names for stream in streams))
    gateway.runs.succeed(job_id)
    assert len({tuple(event["id"] for event in stream.finish().events) for stream in streams}) == 1


def test_a_stream_whose_client_left_does_no_more_work(gateway, key, job_id, monkeypatch):
    monkeypatch.setattr("integrations.gateway.watching.SILENCE_S", 0.2)
    watcher = gateway.app.state.watcher
    with gateway.client(key) as client, client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        assert watcher.watched == 1
    gateway.wait(lambda: watcher.watched == 0)


@pytest.mark.parametrize("event_id", ["", "x", "1-", "-1", "1e3", "9" * 30, b"1\n2"])
def test_what_is_no_id_of_an_event_is_422(gateway, key, job_id, event_id):
    with gateway.client(key) as client:
        try:
            answer = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": event_id})
        except httpx.LocalProtocolError:  # a client that will not send it
            return
        assert answer.status_code == 422


def test_more_streams_than_may_be_open_are_503(tmp_path):
    with serving(make_gateway(tmp_path, limits=Limits(poll_s=0.1, streams=1))) as gateway:
        key = gateway.key()
        with gateway.client(key) as client:
            job_id = order(client).json()["job_id"]
            stream = Stream(gateway, key, job_id)
            gateway.wait(lambda: stream.names)
            assert client.get(f"/v1/jobs/{job_id}/events").status_code == 503
            gateway.runs.succeed(job_id)
            stream.finish()
            assert client.get(f"/v1/jobs/{job_id}/events").status_code == 200


def test_a_job_that_the_engine_forgot_ends_its_stream(gateway, key, job_id):
    stream = Stream(gateway, key, job_id)
    gateway.wait(lambda: stream.names == ["queued"])
    gateway.runs._jobs.clear()
    assert stream.finish().names == ["queued", "failed"]


def socket(gateway, key, path):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(gateway.url.replace("http", "ws") + path, additional_headers=headers, proxy=None, open_timeout=10)


def test_a_socket_tells_the_same_and_closes_with_the_job(gateway, key, job_id):
    with socket(gateway, key, f"/v1/jobs/{job_id}/events") as line:
        first = json.loads(line.recv(5))
        gateway.runs.go_on(job_id)
        second = json.loads(line.recv(5))
        gateway.runs.succeed(job_id)
        third = json.loads(line.recv(5))
        with pytest.raises(ConnectionClosed):
            line.recv(5)
    assert [each["event"] for each in (first, second, third)] == ["queued", "running", "succeeded"]
    with socket(gateway, key, f"/v1/jobs/{job_id}/events?after={first['id']}") as line:
        assert json.loads(line.recv(5)) == second


def test_a_socket_that_was_left_does_no_more_work(gateway, key, job_id):
    watcher = gateway.app.state.watcher
    with socket(gateway, key, f"/v1/jobs/{job_id}/events") as line:
        line.recv(5)
        line.send("what a client says is not listened to")
        assert watcher.watched == 1
    gateway.wait(lambda: watcher.watched == 0)


def test_a_socket_opens_to_the_same_keys_only(gateway, job_id):
    for key, path, status in (
            (None, f"/v1/jobs/{job_id}/events", 401), ("fm_nonsense", f"/v1/jobs/{job_id}/events", 401),
            (gateway.key(tenant="other"), f"/v1/jobs/{job_id}/events", 403),
            (gateway.key(), f"/v1/jobs/{uuid.uuid4()}/events", 403),
            (gateway.key(scopes=["covers:write"]), f"/v1/jobs/{job_id}/events", 403), (gateway.key(), "/v1/jobs/x/events", 403),
            (None, f"/v1/jobs/{job_id}/events?key={gateway.key()}", 401)):
        with pytest.raises(InvalidStatus) as caught, socket(gateway, key, path):
            pass
        assert caught.value.response.status_code == status, path


def test_the_engine_is_asked_once_for_all_who_look(gateway, key, monkeypatch):
    with gateway.client(key) as client:
        jobs = [order(client).json()["job_id"] for _ in range(5)]
    streams = [Stream(gateway, key, job_id) for job_id in jobs for _ in range(3)]
    gateway.wait(lambda: all(stream.names for stream in streams))
    asked, find = [], gateway.runs.find
    monkeypatch.setattr(gateway.runs, "find", lambda ids: asked.append(len(ids)) or find(ids))
    time.sleep(0.5)
    assert max(asked) == 5
    assert len(asked) <= 12  # the watcher's and the callbacks' own pace, not one for each of 15 streams
    for job_id in jobs:
        gateway.runs.succeed(job_id)
    assert {tuple(stream.finish().names) for stream in streams} == {("queued", "succeeded")}
