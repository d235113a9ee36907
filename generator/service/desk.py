"""Desk: where an asyncio server takes requests for one painter. Batches, deadlines, cancelling; knows no HTTP and no gRPC."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from generator.batching import Batcher, QueueFull, Ticket
from generator.errors import GeneratorError
from generator.pipeline import Order, Progress
from generator.request import CoverImage, CoverRequest
from generator.service.metrics import Metrics

MIN_RETRY_S = 1


class Closing(GeneratorError):
    """The service is going down: ask another replica."""


class Busy(GeneratorError):
    """Too many requests wait already. retry_after_s: when there may be room again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Painter(Protocol):
    """What paints: CoverPainter."""

    @property
    def checkpoint(self) -> str:
        """Name and revision of the weights."""
        ...

    @property
    def checkpoints(self) -> dict[str, str | None]:
        """Every checkpoint name that a request may carry."""
        ...

    def generate_batch(self, orders: Sequence[Order]) -> list[CoverImage | None]:
        """The picture of each order, None if it was cancelled."""
        ...


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A picture as it is told to callers. fingerprint: names what was asked for. checkpoint: name and revision of the weights."""

    picture: CoverImage
    seed: int
    fingerprint: str
    checkpoint: str


@dataclass(frozen=True, kw_only=True)
class DeskLimits:
    """max_batch: pictures painted together. max_queue: how many may wait. keep_bytes: finished pixels kept for who asks again."""

    max_batch: int = 4
    max_queue: int = 64
    keep_bytes: int = 64 * 2**20


@dataclass(eq=False)
class _Job:
    """One fingerprint being painted, and everybody who waits for it."""

    ticket: Ticket
    done: asyncio.Future[CoverImage]
    waiting: int = 0
    listeners: list[Progress] = field(default_factory=list)


class Desk:
    """The same request from several callers is painted once; a request that nobody waits for any more is cancelled.

    To be used from one event loop.
    """

    def __init__(self, painter: Painter, limits: DeskLimits | None = None, metrics: Metrics | None = None) -> None:
        self.painter, self.limits, self.metrics = painter, limits or DeskLimits(), metrics or Metrics()
        self._batcher = Batcher(_Measured(painter, self.metrics), max_batch=self.limits.max_batch,
                                max_queue=self.limits.max_queue)
        self.metrics.watch_queue(lambda: self._batcher.waiting)
        self._jobs: dict[str, _Job] = {}
        self._kept: OrderedDict[str, CoverImage] = OrderedDict()
        self._kept_bytes = 0
        self.is_ready, self._is_closing = False, False

    async def paint(self, request: CoverRequest, *, caller: str = "", progress: Progress | None = None) -> CoverImage:
        """The picture for `request`. Cancelling the call gives up the place of this caller; progress hears every step.

        Raises Busy, Closing, GeneratorError, and ValueError for a checkpoint that is not loaded.
        """
        if self._is_closing:
            raise Closing("service: it is shutting down")
        if kept := self._kept.get(request.fingerprint):
            self._kept.move_to_end(request.fingerprint)
            self.metrics.cache_hits.inc()
            return kept
        job = self._jobs.get(request.fingerprint) or self._submit(request, caller)
        job.waiting += 1
        if progress is not None:
            job.listeners.append(progress)
        try:
            return await asyncio.shield(job.done)
        finally:
            job.waiting -= 1
            if progress is not None:
                job.listeners.remove(progress)
            if not job.waiting and not job.done.done():
                job.ticket.cancel()
                self._forget(request.fingerprint, job)

    async def warm(self, width: int = 1200, height: int = 630) -> None:
        """Load the weights and paint once, so that the first caller waits for neither; then `is_ready`."""
        await self.paint(CoverRequest(prompt="warm", negative="", width=width, height=height, steps=1, guidance=1, seed=0,
                                      checkpoint=self.painter.checkpoint))
        self.is_ready = True

    async def close(self) -> None:
        """Take nothing new, and finish what is there, whoever asked for it."""
        self._is_closing, self.is_ready = True, False
        await asyncio.gather(*(job.done for job in self._jobs.values()), return_exceptions=True)
        await asyncio.to_thread(self._batcher.close)

    def _submit(self, request: CoverRequest, caller: str) -> _Job:
        loop = asyncio.get_running_loop()

        def tell(step: int, steps: int) -> None:
            loop.call_soon_threadsafe(lambda: [listen(step, steps) for listen in list(job.listeners)])

        try:
            ticket = self._batcher.submit(request, caller=caller, progress=tell)
        except QueueFull as exc:
            self.metrics.refused.inc()
            raise Busy(str(exc), self._retry_after_s()) from exc
        job = _Job(ticket, asyncio.wrap_future(ticket.future))
        self._jobs[request.fingerprint] = job
        job.done.add_done_callback(lambda done: self._settle(request.fingerprint, job, done))
        return job

    def _settle(self, fingerprint: str, job: _Job, done: "asyncio.Future[CoverImage]") -> None:
        self._forget(fingerprint, job)
        if done.cancelled() or done.exception() is not None:  # asking for the exception marks it as seen
            return
        picture = done.result()
        self._kept[fingerprint] = picture
        self._kept_bytes += len(picture.rgb)
        while self._kept_bytes > self.limits.keep_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest.rgb)

    def _forget(self, fingerprint: str, job: _Job) -> None:
        """Who asks now starts anew; a later job of the same fingerprint is not touched."""
        if self._jobs.get(fingerprint) is job:
            del self._jobs[fingerprint]

    def _retry_after_s(self) -> int:
        """About when the queue will have drained by a quarter."""
        return max(MIN_RETRY_S, round(self.metrics.seconds_per_picture * self.limits.max_queue / 4))


class _Measured:
    """A painter whose batches are measured."""

    def __init__(self, painter: Painter, metrics: Metrics) -> None:
        self._painter, self._metrics = painter, metrics

    def generate_batch(self, orders: Sequence[Order]) -> list[CoverImage | None]:
        """As the painter's."""
        started = time.perf_counter()
        pictures = self._painter.generate_batch(orders)
        self._metrics.note_batch(len(orders), orders[0].request.steps, time.perf_counter() - started)
        return pictures
