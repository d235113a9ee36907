"""Batcher: collects requests of several callers into batches for one painter. In process; starts one thread."""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from generator.errors import Cancelled, GeneratorError
from generator.pipeline import Order, Progress
from generator.request import CoverImage, CoverRequest

log = logging.getLogger(__name__)


class QueueFull(GeneratorError):
    """More requests wait than are allowed: ask again later."""


class BatchPainter(Protocol):
    """What paints the batches: CoverPainter."""

    def generate_batch(self, orders: Sequence[Order]) -> list[CoverImage | None]:
        """The picture of each order, None if it was cancelled."""
        ...


@dataclass(eq=False)
class Ticket:
    """One request on its way. result() waits for its picture and raises what went wrong, Cancelled for one."""

    request: CoverRequest
    progress: Progress | None = None
    future: Future[CoverImage] = field(default_factory=Future)
    _is_cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> tuple[object, ...]:
        """Requests with the same key can share a batch."""
        return self.request.width, self.request.height, self.request.steps, self.request.checkpoint

    @property
    def is_cancelled(self) -> bool:
        """Whether its caller gave it up."""
        return self._is_cancelled.is_set()

    def cancel(self) -> None:
        """Give it up, waiting or half painted; others go on."""
        self._is_cancelled.set()

    def result(self, timeout_s: float | None = None) -> CoverImage:
        """The picture. Raises TimeoutError."""
        return self.future.result(timeout_s)

    def order(self) -> Order:
        """As the painter takes it."""
        return Order(request=self.request, progress=self.progress, cancelled=self._is_cancelled.is_set)

    def finish(self, outcome: CoverImage | BaseException | None) -> None:
        """The end of it: a picture, what went wrong, or None: cancelled."""
        if isinstance(outcome, CoverImage):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome or Cancelled("cancelled by its caller"))


class Batcher:
    """max_batch: pictures together. wait_s: how long the first of a batch waits for others. max_queue: how many may wait.

    Callers take turns, whoever asks for how many. What fails in a batch is painted alone, so that it fails alone.
    """

    def __init__(self, painter: BatchPainter, *, max_batch: int, wait_s: float = 0.005, max_queue: int = 256) -> None:
        self._painter, self._max_batch, self._wait_s, self._max_queue = painter, max_batch, wait_s, max_queue
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, request: CoverRequest, *, caller: str = "", progress: Progress | None = None) -> Ticket:
        """Queue a request. Raises QueueFull."""
        ticket = Ticket(request, progress)
        with self._changed:
            if self._is_closed:
                raise GeneratorError("batcher: it is closed")
            self._drop_cancelled()
            if sum(map(len, self._waiting.values())) >= self._max_queue:
                raise QueueFull(f"queue: {self._max_queue} requests wait already; ask again later")
            self._waiting.setdefault(caller, deque()).append(ticket)
            self._changed.notify()
        return ticket

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Finish the batch that is being painted; what waits ends as cancelled."""
        with self._changed:
            self._is_closed = True
            left = [ticket for queue in self._waiting.values() for ticket in queue]
            self._waiting.clear()
            self._changed.notify()
        for ticket in left:
            ticket.finish(None)
        self._thread.join()

    def _run(self) -> None:
        while batch := self._collect():
            self._paint(batch)

    def _collect(self) -> list[Ticket]:
        """The next batch; empty when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            until = time.monotonic() + self._wait_s
            while not self._is_closed and self._max_batch > 1 and (left := until - time.monotonic()) > 0:
                if sum(map(len, self._waiting.values())) >= self._max_batch:
                    break
                self._changed.wait(left)
            return self._take()

    def _take(self) -> list[Ticket]:
        """Whoever waits longest for a turn chooses the kind of the batch; then the callers in turn, one each, again and again."""
        self._drop_cancelled()
        batch: list[Ticket] = []
        found = True
        while found and len(batch) < self._max_batch:
            found = False
            for caller in list(self._waiting):
                queue = self._waiting[caller]
                fits: Callable[[Ticket], bool] = lambda ticket: not batch or ticket.key == batch[0].key  # noqa: E731
                ticket = next(filter(fits, queue), None)
                if ticket is None or len(batch) >= self._max_batch:
                    continue
                queue.remove(ticket)
                batch.append(ticket)
                self._waiting.move_to_end(caller)
                if not queue:
                    del self._waiting[caller]
                found = True
        return batch

    def _drop_cancelled(self) -> None:
        """Who gave up while waiting keeps no place."""
        for caller, queue in list(self._waiting.items()):
            for ticket in [ticket for ticket in queue if ticket.is_cancelled]:
                queue.remove(ticket)
                ticket.finish(None)
            if not queue:
                del self._waiting[caller]

    def _paint(self, batch: list[Ticket]) -> None:
        try:
            outcomes: Sequence[CoverImage | BaseException | None] = self._painter.generate_batch([t.order() for t in batch])
        except Exception as exc:  # whatever it is, the callers hear of it
            if len(batch) > 1:
                log.warning("a batch of %d failed, painting them one by one: %s", len(batch), exc)
                for ticket in batch:
                    self._paint([ticket])
                return
            outcomes = [exc]
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.finish(outcome)
