"""What Prometheus is told of a gateway, read as Prometheus reads it."""

import json
import time
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integrations.errors import Unavailable
from integrations.gateway import metrics
from integrations.gateway.local import MemoryRuns
from integrations.gateway.signatures import sign_standard
from tests.integrations.gateway.serving import SECRET, make_gateway, serving
from tests.integrations.gateway.test_api import WANTED, order


@pytest.fixture(autouse=True)
def always_asked_anew(monkeypatch):
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)


def read(gateway):
    """Every figure by its name and the values of its labels, in the order of their names."""
    text = httpx.get(f"{gateway.url}/metrics", timeout=10, trust_env=False).raise_for_status().text
    return {(sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def tell(gateway, post_id, secret=SECRET):
    body = json.dumps({"event": "post.published", "id": post_id}).encode()
    headers = sign_standard(secret, f"msg_{post_id}", int(time.time()), body)
    return httpx.post(f"{gateway.url}/webhooks/blog", content=body, headers=headers, timeout=10, trust_env=False)


def test_webhooks_are_counted_by_answer_and_by_what_became_of_them(gateway):
    gateway.posts.words["a.md"] = "words"
    tell(gateway, "a.md")
    tell(gateway, "unknown.md")
    tell(gateway, "a.md", "whsec_" + "BBBB" * 8)
    gateway.wait(lambda: read(gateway).get(("fengmian_gateway_finished_total", "skipped", "webhooks")) == 1)
    seen = read(gateway)
    answers = "fengmian_gateway_answers_total"
    assert seen[answers, "POST", "/webhooks/{site}", "202"] == 2
    assert seen[answers, "POST", "/webhooks/{site}", "401"] == 1
    assert seen["fengmian_gateway_finished_total", "started", "webhooks"] == 1
    assert seen["fengmian_gateway_queue_length", "webhooks"] == 0
    assert seen["fengmian_jobs", "queued"] == 1
    assert seen["fengmian_gateway_answer_seconds_count", "/webhooks/{site}"] == 3


def test_what_the_gates_refuse_is_counted_and_strangers_make_no_labels(gateway, api):
    order(api, WANTED)
    for path in ("/v1/covers", "/v1/none", "/never-heard-of", "/%00"):
        httpx.get(f"{gateway.url}{path}", trust_env=False)
    seen = read(gateway)
    assert {key[2] for key in seen if key[0] == "fengmian_gateway_answers_total"} <= {"/v1/covers", "/metrics", "none"}
    assert seen["fengmian_gateway_answers_total", "POST", "/v1/covers", "202"] == 1
    assert seen["fengmian_gateway_answers_total", "GET", "none", "401"] == 2


def test_what_waits_is_told_with_its_age(gateway):
    gateway.posts.failures = [Unavailable("cms: away")] * 1000
    tell(gateway, "a.md")
    gateway.wait(lambda: read(gateway)["fengmian_gateway_queue_oldest_seconds", "webhooks"] > 0.1)
    assert read(gateway)["fengmian_gateway_queue_length", "webhooks"] == 1


class Away(MemoryRuns):
    asked = 0

    def count(self):
        self.asked += 1
        raise Unavailable("prefect: away")


def test_a_system_that_cannot_be_asked_is_told_and_the_rest_still_is(tmp_path):
    with serving(make_gateway(tmp_path, runs=Away())) as gateway:
        seen = read(gateway)
    assert (seen["fengmian_gateway_reached", "engine"], seen["fengmian_gateway_reached", "database"]) == (0, 1)
    assert not any(key[0] == "fengmian_jobs" for key in seen)
    assert seen["fengmian_gateway_queue_length", "callbacks"] == 0


def test_many_who_look_ask_the_engine_once(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "FRESH_S", 60.0)
    runs = Away()
    with serving(make_gateway(tmp_path, runs=runs)) as gateway:
        for _ in range(5):
            read(gateway)
    assert runs.asked == 1


def test_no_figure_tells_a_key_or_a_secret(gateway):
    key = gateway.key()
    with gateway.client(key) as client:
        order(client, WANTED)
    text = httpx.get(f"{gateway.url}/metrics", trust_env=False).text
    assert key not in text
    assert key[3:11] not in text
    assert "acme" not in text


def test_counting_changes_nothing_about_a_queue(gateway):
    counted = metrics.CountedQueue(gateway.desk.inbox, "webhooks", metrics.Metrics(replace(gateway.desk), lambda: 0).finished)
    assert counted.forget(0) == gateway.desk.inbox.forget(0)
    assert counted.backlog() == gateway.desk.inbox.backlog()
