"""Fifty posts, those who ask for their covers, and what becomes of the posts meanwhile."""

import base64
import json
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import httpx

from integrations.errors import IntegrationError
from integrations.gateway.signatures import sign_standard
from tests.chaos.world import SOURCE, World, new_id
from tests.services.wordpress import WEBHOOK_SECRET

TOPICS = ("lighthouse", "harbour", "garden", "railway", "library", "mountain", "river", "bridge", "market", "kitchen")
WORDS = ("Every {topic} has a story of number {number}. We walked along the {topic} for a month and wrote down what changed. "
         "The {topic} stays calm where people take care of it.")
PATIENCE_S = 30.0
MAKE = """$made = array();
foreach (json_decode(base64_decode('%s'), true) as $each) { $made[] = wp_insert_post(array('post_title' => $each[0],
'post_content' => $each[1], 'post_status' => 'publish', 'post_author' => get_user_by('login', 'editor')->ID)); }
echo json_encode($made);"""
CLEAR = """$all = array('post_type' => array('post', 'attachment'), 'post_status' => 'any', 'numberposts' => -1);
foreach (get_posts($all) as $each) {
'attachment' === $each->post_type ? wp_delete_attachment($each->ID, true) : wp_delete_post($each->ID, true); }"""


def make_posts(world: World, count: int) -> list[str]:
    """New posts with words of their own; all older ones are gone."""
    mark = new_id()
    topics = [TOPICS[number % len(TOPICS)] for number in range(count)]
    told = [(f"The {topic} {mark}-{number}", WORDS.format(topic=topic, number=number)) for number, topic in enumerate(topics)]
    world.wordpress.run(CLEAR)
    made = world.wordpress.run(MAKE % base64.b64encode(json.dumps(told).encode()).decode())
    return [str(post_id) for post_id in json.loads(made)]


@dataclass
class Customers:
    """Those who ask: a third of the posts by an order with a key, a third by a signed message, the rest by the backlog.

    Each asks again until it was heard, as a CMS and a client with an Idempotency-Key do. jobs: by post.
    """

    world: World
    posts: list[str]
    luck: random.Random
    pace_s: float
    jobs: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    backlog: str = ""
    is_done: bool = False

    def ask_for_all(self, ending: threading.Event) -> None:
        """One post after another, at moments of their own; the backlog begins after some of them."""
        order = [(number % 3, post_id) for number, post_id in enumerate(self.posts)]
        self.luck.shuffle(order)
        starts_at = self.luck.randrange(len(order) // 2)
        for number, (kind, post_id) in enumerate(order):
            if number == starts_at:
                self._insist(self._start_backlog, ending)
            if kind < 2:
                self._insist(partial((self._order, self._tell)[kind], post_id), ending)
            if ending.wait(self.luck.expovariate(1 / self.pace_s)):
                return
        self.is_done = True

    def _insist(self, ask, ending):
        while not ending.is_set():
            with suppress(httpx.HTTPError):
                if ask():
                    return
            ending.wait(0.5)

    def _order(self, post_id):
        """408, 409, 429 and 5xx are worth another try, as docs/gateway.md says; anything else is a fault."""
        headers = {"Authorization": f"Bearer {self.world.key}", "Idempotency-Key": f"cover-{self.posts[0]}-{post_id}"}
        answer = httpx.post(f"{self.world.gateway_url}/v1/covers", json={"site": "blog", "post_id": post_id}, headers=headers,
                            timeout=PATIENCE_S, trust_env=False)
        if answer.status_code < 300:
            self.jobs[post_id] = answer.json()["job_id"]
        elif answer.status_code < 500 and answer.status_code not in (408, 409, 429):
            raise AssertionError(f"order of {post_id}: {answer.status_code} {answer.text}")
        return answer.status_code < 300

    def _tell(self, post_id):
        body = json.dumps({"event": "post.published", "site": self.world.wordpress.url, "post": int(post_id)}).encode()
        headers = sign_standard(WEBHOOK_SECRET, f"msg_{self.posts[0]}_{post_id}", int(time.time()), body)
        answer = httpx.post(f"{self.world.gateway_url}/webhooks/blog", content=body, headers=headers, timeout=PATIENCE_S,
                            trust_env=False)
        if answer.status_code == 202:
            self.told.add(post_id)
        return answer.status_code == 202

    def _start_backlog(self):
        self.backlog = self.backlog or self.world.start_backlog()
        return self.backlog


@dataclass
class Watch:
    """When each post was first seen with a cover, by asking WordPress every second."""

    world: World
    posts: list[str]
    seen: dict[str, float] = field(default_factory=dict)

    def watch(self, ending: threading.Event) -> None:
        while not ending.wait(1.0):
            with suppress(httpx.HTTPError, ValueError, TypeError, KeyError):
                for page in range(1, len(self.posts) // 100 + 2):
                    answer = httpx.get(f"{self.world.wordpress.url}/wp-json/wp/v2/posts", timeout=10, trust_env=False,
                                       params={"per_page": 100, "page": page, "_fields": "id,featured_media"})
                    for post in answer.json():
                        if post["featured_media"] and str(post["id"]) in self.posts:
                            self.seen.setdefault(str(post["id"]), time.monotonic())

    @property
    def missing(self) -> set[str]:
        return set(self.posts) - set(self.seen)


@dataclass
class Sweeping:
    """The sweep, as often as it is done, in this process: what its flow does, without the seconds that a run takes to begin."""

    every_s: float = 2.0
    findings: list = field(default_factory=list)
    unforeseen: list = field(default_factory=list)

    def sweep(self, ending: threading.Event) -> None:
        from flows.engine_keeping import sweep_once

        while not ending.wait(self.every_s):
            try:
                self.findings += sweep_once()
            except IntegrationError:
                continue  # the next one comes in five minutes; here sooner
            except Exception as exc:  # what its flow would fail with
                self.unforeseen.append(f"{type(exc).__name__}: {exc}"[:500])


def under_way(world: World) -> set[str]:
    """The posts that runs are about at this moment; empty where nobody can be asked."""
    with suppress(httpx.HTTPError):
        return {run["parameters"].get("post_id", "") for run in world.open_runs()
                if run["state_type"] in ("PENDING", "RUNNING") and run["parameters"].get("source") == SOURCE} - {""}
    return set()
