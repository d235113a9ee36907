"""One that is slow, or does not answer, keeps no other waiting."""

import threading
import time

import pytest

from integrations.errors import Refused, Unavailable
from integrations.gateway.callbacks import Callbacks, make_item
from integrations.gateway.dispatch import Dispatcher, make_items
from integrations.gateway.lanes import Lanes
from integrations.gateway.local import MemoryRuns
from integrations.gateway.messages import Message
from integrations.gateway.ports import Courier, Order, Site
from integrations.gateway.queue import SqlQueue
from tests.integrations.gateway.serving import PEPPER

HANGS_S = 20
SITES = {name: Site(source=name) for name in ("dead", "well")}


@pytest.fixture
def hanging():
    """What a thread can hang on until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def tell(inbox, site, *posts):
    inbox.add(make_items(site, Message(id=f"{site}-{posts}", posts=list(posts), revision="")))


def dispatcher(inbox, version_of):
    return Dispatcher(inbox=inbox, runs=MemoryRuns(), sites=SITES, version_of=version_of, refresh=lambda *_: None)


def test_a_site_that_hangs_keeps_no_other_from_being_worked_for(database, clock, hanging):
    asked = []

    def version_of(site, post_id):
        asked.append((site, post_id))
        if site == "dead":
            hanging.wait(HANGS_S)
            raise Unavailable("timed out")
        return "v1"

    inbox, began = SqlQueue(database, "webhooks", clock), time.monotonic()
    work = dispatcher(inbox, version_of)
    tell(inbox, "dead", *map(str, range(30)))
    tell(inbox, "well", "7", "8")
    for _ in range(3):
        work.work_once()
        clock.now += 10
    assert time.monotonic() - began < HANGS_S / 2
    assert [order.source for order in work.runs.orders] == ["well", "well"]
    assert len([site for site, _ in asked if site == "dead"]) == 1


def test_a_post_that_cannot_be_read_just_now_is_asked_about_after_the_others_of_its_site(database, clock):
    def version_of(site, post_id):
        if post_id == "1":
            raise Unavailable("status 500")
        return "v1"

    inbox = SqlQueue(database, "webhooks", clock)
    work = dispatcher(inbox, version_of)
    tell(inbox, "well", "1", "2", "3")
    for _ in range(3):
        work.work_once()
        clock.now += 6
    assert sorted(order.post_id for order in work.runs.orders) == ["2", "3"]
    (left,) = inbox.take(10, 1) or [None]
    assert left.payload["post_id"] == "1"


class Slow(Courier):
    """Receivers at "slow" hang."""

    def __init__(self, hanging):
        self.hanging, self.told = hanging, []

    def check(self, url):
        pass

    def post(self, url, body, headers):
        self.told.append(url)
        if "slow" in url:
            self.hanging.wait(HANGS_S)
            raise Unavailable("timed out")


def test_a_receiver_that_hangs_keeps_no_other_from_being_told(database, clock, hanging):
    courier, runs = Slow(hanging), MemoryRuns()
    outbox, began = SqlQueue(database, "callbacks", clock), time.monotonic()
    work = Callbacks(outbox=outbox, runs=runs, courier=courier, pepper=PEPPER, clock=clock)
    for number in range(12):
        job = runs.start(Order(source="posts", post_id=str(number), tenant="acme"), f"key {number}")
        runs.succeed(job.id)
        outbox.add([make_item(job, f"https://{'slow' if number < 8 else 'quick'}.example/{number}")])
    work.work_once()
    assert time.monotonic() - began < HANGS_S / 2
    assert len([url for url in courier.told if "quick" in url]) == 4
    assert len([url for url in courier.told if "slow" in url]) == 1


def test_a_lane_does_one_thing_at_a_time_and_all_of_them_so_many(hanging):
    lanes = Lanes(2)
    assert lanes.begin("a", lambda: hanging.wait(HANGS_S))
    assert not lanes.begin("a", lambda: None)
    assert lanes.begin("b", lambda: hanging.wait(HANGS_S))
    assert not lanes.begin("c", lambda: None)
    hanging.set()
    lanes.wait(5)
    assert lanes.begin("c", lambda: None)


@pytest.mark.parametrize("error", [Refused("no"), KeyError("a bug")])
def test_whatever_goes_wrong_in_a_lane_it_can_be_used_again(error):
    def fail():
        raise error

    lanes = Lanes(1)
    assert lanes.begin("a", fail)
    lanes.wait(5)
    assert lanes.begin("a", lambda: None)
