"""The batcher: who is painted with whom, in which turn, and what becomes of those who give up."""

import threading
import time

import pytest

from generator.batching import Batcher, QueueFull
from generator.errors import Cancelled, CheckpointError
from generator.request import CoverImage, CoverRequest

SIZE = 64


def request(seed, width=SIZE):
    return CoverRequest(prompt="x", negative="", width=width, height=SIZE, steps=3, guidance=1, seed=seed, checkpoint="c")


def picture(request):
    return CoverImage(width=request.width, height=SIZE, rgb=bytes([request.seed % 256]) * (request.width * SIZE * 3))


class Painter:
    """Paints when `go` is set; tells which seeds were in each batch."""

    def __init__(self, bad=()):
        self.batches, self.go, self.bad = [], threading.Event(), set(bad)
        self.started = threading.Event()

    def generate_batch(self, orders):
        self.batches.append([order.request.seed for order in orders])
        self.started.set()
        assert self.go.wait(10)
        if any(order.request.seed in self.bad for order in orders):
            raise CheckpointError("bad seed")
        found = []
        for order in orders:
            if order.progress:
                for step in (1, 2, 3):
                    order.progress(step, 3)
            found.append(None if order.cancelled() else picture(order.request))
        return found


@pytest.fixture
def painter():
    return Painter()


@pytest.fixture
def batcher(painter):
    batcher = Batcher(painter, max_batch=4, wait_s=0.05, max_queue=20)
    yield batcher
    painter.go.set()
    batcher.close()


def hold(batcher, painter):
    """One request that keeps the painter busy, so that others queue up."""
    ticket = batcher.submit(request(99))
    assert painter.started.wait(5)
    return ticket


def test_requests_that_come_together_are_painted_together(batcher, painter):
    painter.go.set()
    tickets = [batcher.submit(request(seed)) for seed in range(4)]
    assert [ticket.result(5) for ticket in tickets] == [picture(request(seed)) for seed in range(4)]
    assert painter.batches == [[0, 1, 2, 3]]


def test_a_full_batch_does_not_wait(painter):
    batcher = Batcher(painter, max_batch=2, wait_s=60)
    painter.go.set()
    started = time.monotonic()
    for ticket in [batcher.submit(request(seed)) for seed in range(2)]:
        ticket.result(5)
    assert time.monotonic() - started < 30
    batcher.close()


def test_callers_take_turns_whoever_asks_for_how_many(batcher, painter):
    hold(batcher, painter)
    tickets = [batcher.submit(request(seed), caller="greedy") for seed in range(6)]
    tickets += [batcher.submit(request(10), caller="modest"), batcher.submit(request(20), caller="late")]
    painter.go.set()
    for ticket in tickets:
        ticket.result(5)
    assert set(painter.batches[1]) == {0, 10, 20, 1}


def test_only_like_sizes_share_a_batch_and_nobody_starves(batcher, painter):
    hold(batcher, painter)
    tickets = [batcher.submit(request(seed, width=64 + 64 * (seed % 2)), caller=str(seed % 2)) for seed in range(8)]
    painter.go.set()
    for ticket in tickets:
        ticket.result(5)
    assert sorted(map(sorted, painter.batches[1:])) == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_cancelling_one_leaves_the_others(batcher, painter):
    held = hold(batcher, painter)
    tickets = [batcher.submit(request(seed)) for seed in range(3)]
    tickets[1].cancel()
    painter.go.set()
    with pytest.raises(Cancelled):
        tickets[1].result(5)
    assert [ticket.result(5) for ticket in (held, tickets[0], tickets[2])] == [
        picture(request(seed)) for seed in (99, 0, 2)]


def test_who_gives_up_while_waiting_keeps_no_place(batcher, painter):
    hold(batcher, painter)
    for ticket in [batcher.submit(request(seed)) for seed in range(20)]:
        ticket.cancel()
    last = batcher.submit(request(50))
    painter.go.set()
    assert last.result(5) == picture(request(50))
    assert painter.batches == [[99], [50]]


def test_progress_is_told_to_each(batcher, painter):
    painter.go.set()
    seen = {0: [], 1: []}
    tickets = [batcher.submit(request(seed), progress=lambda step, steps, seed=seed: seen[seed].append((step, steps)))
               for seed in (0, 1)]
    for ticket in tickets:
        ticket.result(5)
    assert seen == {0: [(1, 3), (2, 3), (3, 3)], 1: [(1, 3), (2, 3), (3, 3)]}


def test_a_full_queue_refuses_and_says_so(batcher, painter):
    hold(batcher, painter)
    for seed in range(20):
        batcher.submit(request(seed))
    with pytest.raises(QueueFull, match="20 requests wait"):
        batcher.submit(request(50))


def test_what_fails_fails_alone():
    painter = Painter(bad={1})
    batcher = Batcher(painter, max_batch=4, wait_s=0.05)
    painter.go.set()
    tickets = [batcher.submit(request(seed)) for seed in range(3)]
    assert [tickets[row].result(5) for row in (0, 2)] == [picture(request(0)), picture(request(2))]
    with pytest.raises(CheckpointError, match="bad seed"):
        tickets[1].result(5)
    assert batcher.submit(request(7)).result(5) == picture(request(7))
    batcher.close()


def test_closing_ends_what_waits(painter):
    batcher = Batcher(painter, max_batch=1)
    held = hold(batcher, painter)
    waiting = batcher.submit(request(1))
    threading.Timer(0.1, painter.go.set).start()
    batcher.close()
    assert held.result(5) == picture(request(99))
    with pytest.raises(Cancelled):
        waiting.result(5)
    with pytest.raises(Exception, match="closed"):
        batcher.submit(request(2))


def test_a_hundred_threads_get_their_own_pictures(painter):
    painter.go.set()
    batcher = Batcher(painter, max_batch=8, wait_s=0.01)
    found = {}

    def ask(seed):
        found[seed] = batcher.submit(request(seed), caller=str(seed % 5)).result(30)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batcher.close()
    assert found == {seed: picture(request(seed)) for seed in range(100)}
    assert max(map(len, painter.batches)) <= 8


@pytest.mark.parametrize("steps", [4])
def test_the_bundled_model_paints_the_same_in_a_batch(steps):
    from generator.options import ModelOptions
    from generator.pipeline import CoverPainter

    painter = CoverPainter(options=ModelOptions(max_batch=4))
    batcher = Batcher(painter, max_batch=4, wait_s=1)
    requests = [CoverRequest(prompt=prompt, negative="", width=320, height=200, steps=steps, guidance=guidance, seed=seed,
                             checkpoint=painter.checkpoint)
                for seed, (prompt, guidance) in enumerate([("云原生，主体位于右侧", 3.0), ("a red lighthouse", 1.0),
                                                           ("Kubernetes 集群 #2F4A3E", 5.0)])]
    tickets = [batcher.submit(each) for each in requests]
    together = [ticket.result(60) for ticket in tickets]
    batcher.close()
    for ours, each in zip(together, requests, strict=True):
        alone = painter.generate(each)
        different = sum(a != b for a, b in zip(ours.rgb, alone.rgb, strict=True))
        assert different <= len(alone.rgb) / 1000
        assert max(abs(a - b) for a, b in zip(ours.rgb, alone.rgb, strict=True)) <= 1
