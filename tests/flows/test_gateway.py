"""The whole way on real servers: a signed message or an order becomes a run, a worker paints it, the post has its cover."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from integrations.gateway.signatures import sign_standard
from tests.flows.conftest import BLOCKED, CHINESE, ENGLISH, REPOSITORY
from tests.integrations.cms.desks import Blog
from tests.integrations.gateway.test_callbacks import Receiver
from tests.services.process import Command, free_port, running
from tests.services.wordpress import WEBHOOK_SECRET

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect")]
PREFECT = str(Path(sys.executable).with_name("prefect"))
SECRET = "whsec_" + "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
WITHIN_S = 120


class Fleet:
    """A site, a Prefect server with the deployments of deploy/, a worker, and a gateway: processes of their own."""

    def __init__(self, site, server, monkeypatch):
        self.site, self.server, self.port, self.callback_port = site, server, free_port(), free_port()
        site.settle(monkeypatch, PREFECT_API_URL=server.api_url, GATEWAY__PORT=str(self.port),
                    GATEWAY__PEPPER="a pepper of the tests", GATEWAY__WEBHOOKS=json.dumps(
                        {"blog": {"kind": "wordpress", "secret": SECRET}}),
                    SITES=json.dumps({"blog": {"kind": "markdown", "folder": "posts", "out": "covers"}}),
                    FETCH__PORTS=json.dumps([80, 443, self.callback_port]), FETCH__ALLOW_NETWORKS='["127.0.0.0/8"]')
        self.environment = {**site.environment, "PREFECT_HOME": str(server.home), "PREFECT_API_URL": server.api_url,
                            "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "COVER_SITE": str(site.folder),
                            "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        self.url = f"http://127.0.0.1:{self.port}"

    def settle(self, monkeypatch, sites, webhooks):
        self.site.settle(monkeypatch, SITES=json.dumps(sites), GATEWAY__WEBHOOKS=json.dumps(webhooks))
        self.environment |= {name: value for name, value in self.site.environment.items() if name.startswith("FENGMIAN_")}

    def prefect(self, *words):
        done = subprocess.run([PREFECT, "--no-prompt", *words], cwd=self.site.folder, env=self.environment, capture_output=True,
                              text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    def deploy(self):
        self.prefect("work-pool", "create", "fengmian", "--type", "process", "--overwrite")
        self.prefect("deploy", "--all", "--prefect-file", str(REPOSITORY / "deploy" / "prefect.yaml"))

    def key(self, tenant="acme"):
        answer = self.site.run("keys", "create", "--tenant", tenant, "--scope", "covers:write", "--scope", "jobs:read", "--site",
                               "blog", "--json")
        assert answer.code == 0, answer.err
        return answer.record

    @contextmanager
    def worker(self):
        command = Command(["env", "-C", str(self.site.folder), sys.executable, "-m", "flows.cli", "work"],
                          self.site.folder / "worker.log", self.environment)
        with running(command, lambda: True, 10) as process:
            yield process

    @contextmanager
    def gateway(self, **environment):
        command = Command(["env", "-C", str(self.site.folder), sys.executable, "-m", "flows.cli", "gateway"],
                          self.site.folder / "gateway.log", self.environment | environment)
        with running(command, self.is_up, 60) as process:
            yield process

    def is_up(self):
        try:
            return httpx.get(f"{self.url}/health", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def client(self, key):
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)

    def tell(self, post_id, message_id):
        body = json.dumps({"event": "post.published", "site": "https://blog.example", "id": post_id}).encode()
        headers = sign_standard(SECRET, message_id, int(time.time()), body)
        return httpx.post(f"{self.url}/webhooks/blog", content=body, headers=headers, timeout=10, trust_env=False)

    def runs(self, post_id):
        answer = httpx.post(f"{self.server.api_url}/flow_runs/filter", timeout=30, trust_env=False, json={
            "deployments": {"name": {"any_": ["on-demand"]}}, "sort": "EXPECTED_START_TIME_DESC"})
        return [run for run in answer.raise_for_status().json() if run["parameters"].get("post_id") == post_id]

    def wait(self, is_so, within_s=WITHIN_S):
        deadline = time.monotonic() + within_s
        while not (found := is_so()):
            assert time.monotonic() < deadline, f"not so within {within_s} s: {self.logs()}"
            time.sleep(0.2)
        return found

    def logs(self):
        return [file.read_text(errors="replace")[-3000:] for file in self.site.folder.glob("*.log")]


@pytest.fixture
def fleet(site, prefect_server, monkeypatch):
    fleet = Fleet(site, prefect_server, monkeypatch)
    fleet.deploy()
    return fleet


def ended(fleet, client, job_id):
    def look():  # a busy server's 503 has no status, and means: ask again
        job = client.get(f"/v1/jobs/{job_id}").json()
        return job if job.get("status") in ("succeeded", "failed", "cancelled") else None

    return fleet.wait(look)


def test_an_order_becomes_a_picture_and_a_post_with_a_cover(fleet):
    post, bad = fleet.site.post("order.md", ENGLISH), fleet.site.post("blocked.md", BLOCKED)
    key = fleet.key()["key"]
    with fleet.gateway(), fleet.worker(), fleet.client(key) as client:
        wanted = {"site": "blog", "post_id": "order.md", "seed": 5, "size": {"width": 640, "height": 320}}
        job_id = client.post("/v1/covers", json=wanted, headers={"Idempotency-Key": "one"}).json()["job_id"]
        refused = client.post("/v1/covers", json={"site": "blog", "post_id": "blocked.md"}).json()["job_id"]
        with client.stream("GET", f"/v1/jobs/{job_id}/events", timeout=WITHIN_S) as stream:
            events = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
        job = client.get(f"/v1/jobs/{job_id}").json()
        assert ended(fleet, client, refused)["status"] == "failed"
        again = client.post("/v1/covers", json=wanted, headers={"Idempotency-Key": "one"})
    assert (job["status"], events[0], events[-1]) == ("succeeded", "queued", "succeeded"), (job, fleet.logs())
    assert events.count("step") == 2
    sizes = {(each["width"], each["height"], each["format"]) for each in job["pictures"]}
    assert sizes == {(640, 320, "webp"), (640, 320, "png")}
    assert all((fleet.site.folder / each["url"]).is_file() for each in job["pictures"])
    assert (job["title"], job["cover"]) == ("How caching keeps small sites fast", written_cover(post))
    assert again.json()["job_id"] == job_id
    assert bad.read_text() == BLOCKED
    assert len(fleet.runs("order.md")) == 1


def written_cover(post):
    return next(line.partition("=")[2].strip().strip('"') for line in post.read_text().splitlines() if "covers/" in line)


def test_a_signed_message_becomes_a_covered_post_and_our_own_writing_starts_nothing(fleet):
    post = fleet.site.post("told.md", ENGLISH)
    with fleet.gateway(), fleet.worker():
        assert fleet.tell("told.md", "msg_1").status_code == 202
        fleet.wait(lambda: "covers/" in post.read_text())
        fleet.wait(lambda: fleet.runs("told.md")[0]["state_type"] == "COMPLETED")
        assert fleet.tell("told.md", "msg_1").json()["new"] == 0
        assert fleet.tell("told.md", "msg_2").json()["new"] == 1  # as a CMS tells of the cover that we wrote
        time.sleep(3)
        assert len(fleet.runs("told.md")) == 1
        post.write_text(post.read_text() + "\nA new paragraph about queues and how they keep a small site calm.\n")
        fleet.tell("told.md", "msg_3")
        fleet.wait(lambda: len(fleet.runs("told.md")) == 2)


@pytest.mark.service("wordpress")
def test_the_plugins_own_message_covers_a_post_of_wordpress(fleet, wordpress, monkeypatch):
    """The plugin's message is passed on byte by byte, for it knows one address only, and another test listens there."""
    fleet.settle(monkeypatch, {"press": {"kind": "wordpress", "url": wordpress.url, "user": "editor",
                                         "password": wordpress.passwords["editor"]}},
                 {"press": {"kind": "wordpress", "secret": WEBHOOK_SECRET}})
    blog = Blog(wordpress)
    with fleet.gateway(), fleet.worker():
        post = blog.add("云原生架构的设计思路", CHINESE.rpartition("---\n")[2].strip())
        sent = wordpress.hooks.wait_for(lambda delivery: str(json.loads(delivery.body)["post"]) == str(post))
        headers = {name: value for name, value in sent.headers.items() if name.lower().startswith("webhook-")}
        answer = httpx.post(f"{fleet.url}/webhooks/press", content=sent.body, headers=headers, timeout=10, trust_env=False)
        assert (answer.status_code, answer.json()) == (202, {"posts": 1, "new": 1})
        fleet.wait(lambda: blog.posts.read(post).cover)
        fleet.wait(lambda: fleet.runs(str(post))[0]["state_type"] == "COMPLETED")
    assert len(fleet.runs(str(post))) == 1


def test_a_gateway_killed_between_its_answer_and_the_run_still_starts_it(fleet):
    post = fleet.site.post("kept.md", ENGLISH)
    with fleet.gateway(FENGMIAN_PREFECT_API_URL="http://127.0.0.1:1/api") as process:  # so that it gets no further
        assert fleet.tell("kept.md", "msg_1").status_code == 202
        os.killpg(process.pid, signal.SIGKILL)
    assert fleet.runs("kept.md") == []
    with fleet.gateway(), fleet.worker():
        assert fleet.tell("kept.md", "msg_1").json()["new"] == 0
        fleet.wait(lambda: "covers/" in post.read_text())
    assert len(fleet.runs("kept.md")) == 1


def test_a_job_outlives_the_gateway_that_took_it(fleet):
    fleet.site.post("outlives.md", ENGLISH)
    key = fleet.key()
    with fleet.gateway() as process, fleet.client(key["key"]) as client:
        job_id = client.post("/v1/covers", json={"site": "blog", "post_id": "outlives.md"}).json()["job_id"]
        os.killpg(process.pid, signal.SIGKILL)
    with fleet.gateway(), fleet.client(key["key"]) as client:
        assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "queued"
        with fleet.worker():
            assert ended(fleet, client, job_id)["status"] == "succeeded"


def test_a_callback_that_was_waiting_outlives_the_gateway_too(fleet):
    fleet.site.post("called.md", ENGLISH)
    key = fleet.key()

    with Receiver(fleet.callback_port) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        with fleet.gateway() as process, fleet.client(key["key"]) as client:
            job_id = client.post("/v1/covers", json={"site": "blog", "post_id": "called.md",
                                                     "callback_url": receiver.url.partition("?")[0]}).json()["job_id"]
            os.killpg(process.pid, signal.SIGKILL)
        with fleet.worker(), fleet.gateway():
            fleet.wait(lambda: receiver.messages, 360)
        receiver.shutdown()
    headers, said = receiver.messages[0]
    told = Webhook(key["callback_secret"]).verify(said, headers)
    assert (told["type"], told["data"]["id"]) == ("job.succeeded", job_id)


def test_a_cancelled_job_is_not_painted(fleet):
    post = fleet.site.post("cancelled.md", ENGLISH)
    with fleet.gateway(), fleet.client(fleet.key()["key"]) as client:
        job_id = client.post("/v1/covers", json={"site": "blog", "post_id": "cancelled.md"}).json()["job_id"]
        assert client.post(f"/v1/jobs/{job_id}/cancel").json()["status"] == "cancelled"
        with fleet.worker():
            other = client.post("/v1/covers", json={"site": "blog", "post_id": "nothing.md"}).json()["job_id"]
            assert ended(fleet, client, other)["status"] == "failed"
    assert post.read_text() == ENGLISH
