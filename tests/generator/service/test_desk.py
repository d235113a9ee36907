"""The desk with a painter that waits to be told: who shares, who gives up, who is sent away."""

import asyncio
import threading

import pytest

from generator.errors import GeneratorError
from generator.request import CoverImage, CoverRequest
from generator.service.desk import Busy, Closing, Desk, DeskLimits


def request(seed=0):
    return CoverRequest(prompt="灯塔", negative="", width=64, height=64, steps=2, guidance=1, checkpoint="slow@1", seed=seed)


class SlowPainter:
    """Paints when `go` is set; between the two steps it looks whether it was cancelled, as CoverPainter does."""

    checkpoint, checkpoints = "slow@1", {"slow@1": None}

    def __init__(self):
        self.go, self.seen, self.cancelled = threading.Event(), [], []

    def generate_batch(self, orders):
        ends = []
        for order in orders:
            self.seen.append(order.request.seed)
            order.progress(1, 2)
            assert self.go.wait(10)
            if order.cancelled():
                self.cancelled.append(order.request.seed)
                ends.append(None)
                continue
            if order.request.seed == 13:
                raise GeneratorError("seed 13 brings bad luck")
            order.progress(2, 2)
            ends.append(CoverImage(width=64, height=64, rgb=bytes([order.request.seed]) * 64 * 64 * 3))
        return ends


async def settle(ready, within_s=5.0):
    for _ in range(int(within_s / 0.01)):
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


def on_desk(check, **limits):
    """Run `check(desk, painter)` on a fresh desk and close it."""
    async def run():
        painter = SlowPainter()
        desk = Desk(painter, DeskLimits(max_batch=1, **limits))
        try:
            await check(desk, painter)
        finally:
            painter.go.set()
            await desk.close()
    asyncio.run(run())


def test_the_same_request_of_two_callers_is_painted_once_and_then_remembered():
    async def check(desk, painter):
        both = [asyncio.create_task(desk.paint(request(7), caller=name)) for name in "ab"]
        await settle(lambda: painter.seen == [7])
        painter.go.set()
        first, second = await asyncio.gather(*both)
        assert first is second
        assert first.rgb[0] == 7
        assert await desk.paint(request(7)) is first
        assert painter.seen == [7]
        assert desk.metrics.cache_hits._value.get() == 1
    on_desk(check)


def test_what_nobody_waits_for_any_more_is_cancelled_and_the_others_go_on():
    async def check(desk, painter):
        leaving, staying = (asyncio.create_task(desk.paint(request(seed))) for seed in (1, 2))
        await settle(lambda: painter.seen == [1])
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        painter.go.set()
        assert (await staying).rgb[0] == 2
        assert painter.cancelled == [1]
    on_desk(check)


def test_one_of_two_callers_that_leaves_takes_nothing_from_the_other():
    async def check(desk, painter):
        leaving, staying = (asyncio.create_task(desk.paint(request(3))) for _ in range(2))
        await settle(lambda: painter.seen == [3])
        leaving.cancel()
        painter.go.set()
        assert (await staying).rgb[0] == 3
        assert painter.cancelled == []
    on_desk(check)


def test_who_asks_again_after_giving_up_gets_a_picture():
    async def check(desk, painter):
        first = asyncio.create_task(desk.paint(request(4)))
        await settle(lambda: painter.seen == [4])
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = asyncio.create_task(desk.paint(request(4)))
        await asyncio.sleep(0)
        painter.go.set()
        assert (await again).rgb[0] == 4
        assert painter.cancelled == [4]
    on_desk(check)


def test_a_full_queue_says_when_to_ask_again_and_a_failure_reaches_only_its_caller():
    async def check(desk, painter):
        bad = asyncio.create_task(desk.paint(request(13)))
        await settle(lambda: painter.seen == [13])
        waiting = [asyncio.create_task(desk.paint(request(seed))) for seed in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="2 requests wait") as found:
            await desk.paint(request(3))
        assert found.value.retry_after_s >= 1
        painter.go.set()
        with pytest.raises(GeneratorError, match="bad luck"):
            await bad
        assert [picture.rgb[0] for picture in await asyncio.gather(*waiting)] == [1, 2]
    on_desk(check, max_queue=2)


def test_progress_is_told_on_the_loop_to_everybody_who_waits():
    async def check(desk, painter):
        told = {"a": [], "b": []}
        both = [asyncio.create_task(desk.paint(request(5), progress=lambda *at, name=name: told[name].append(at)))
                for name in told]
        await settle(lambda: told["a"] == [(1, 2)] == told["b"])
        painter.go.set()
        await asyncio.gather(*both)
        await settle(lambda: told["a"][-1] == (2, 2))
        assert told["a"] == told["b"] == [(1, 2), (2, 2)]
    on_desk(check)


def test_finished_pictures_are_kept_up_to_the_bytes_allowed():
    async def check(desk, painter):
        painter.go.set()
        for seed in (1, 2, 3, 1):
            await desk.paint(request(seed))
        assert painter.seen == [1, 2, 3, 1]  # two pictures have room, so the first had to go
        await desk.paint(request(3))
        assert painter.seen == [1, 2, 3, 1]
    on_desk(check, keep_bytes=2 * 64 * 64 * 3)


def test_closing_finishes_what_waits_and_takes_nothing_new():
    async def check(desk, painter):
        waiting = [asyncio.create_task(desk.paint(request(seed))) for seed in (1, 2, 3)]
        await settle(lambda: painter.seen == [1])
        closing = asyncio.create_task(desk.close())
        await asyncio.sleep(0)
        with pytest.raises(Closing):
            await desk.paint(request(4))
        painter.go.set()
        assert [picture.rgb[0] for picture in await asyncio.gather(*waiting)] == [1, 2, 3]
        await closing
    on_desk(check)


def test_a_closed_desk_takes_no_more():
    async def check(desk, painter):
        painter.go.set()
        await desk.close()
        with pytest.raises(Closing):
            await desk.paint(request(1))
    on_desk(check)
