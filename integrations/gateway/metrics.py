"""What Prometheus is told of one gateway: its answers, what became of webhooks and callbacks, and the jobs of all gateways."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from integrations.errors import IntegrationError
from integrations.gateway.desk import Desk
from integrations.gateway.guard import App, Message, Receive, Scope, Send
from integrations.gateway.ports import Backlog, Item, Queue, Taken

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
Values = list[tuple[tuple[str, ...], float]]
"""Of one gauge, by the values of its labels."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
FRESH_S = 10.0
"""So long what was asked of engine and database is told again: many who look cost no more than one."""


class Metrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self, desk: Desk, streams: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("fengmian_gateway_answers", "Answers by route and status", ("method", "route", "status"),
                               registry=self.registry)
        self.seconds = Histogram("fengmian_gateway_answer_seconds", "Until an answer began", ("route",), buckets=SECONDS,
                                 registry=self.registry)
        self.finished = Counter("fengmian_gateway_finished", "Webhooks and callbacks by what became of them",
                                ("queue", "outcome"), registry=self.registry)
        self.registry.register(_Shared(desk, streams))

    def as_text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class CountedQueue(Queue):
    """A queue whose finished items are counted."""

    def __init__(self, queue: Queue, name: str, finished: Counter) -> None:
        self._queue, self._name, self._finished = queue, name, finished

    def add(self, items: Sequence[Item]) -> Collection[str]:
        """As the queue's."""
        return self._queue.add(items)

    def take(self, limit: int, lease_s: float) -> list[Taken]:
        """As the queue's."""
        return self._queue.take(limit, lease_s)

    def finish(self, ids: Collection[str], outcome: str, detail: str = "") -> None:
        """As the queue's, counted once it is done."""
        self._queue.finish(ids, outcome, detail)
        self._finished.labels(self._name, outcome).inc(len(ids))

    def postpone(self, ids: Collection[str], after_s: float, detail: str = "", *, counted: bool = True) -> None:
        """As the queue's."""
        self._queue.postpone(ids, after_s, detail, counted=counted)

    def forget(self, older_than_s: float) -> int:
        """As the queue's."""
        return self._queue.forget(older_than_s)

    def backlog(self) -> Backlog:
        """As the queue's."""
        return self._queue.backlog()


class AnswerCounter:
    """ASGI middleware, outermost, so that it sees what the gates answer too."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; a WebSocket is not counted here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _route(scope)
                self._metrics.answers.labels(_method(scope), route, str(message["status"])).inc()
                self._metrics.seconds.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def _method(scope: Scope) -> str:
    """As HTTP has it; whatever else a stranger makes up is one word, for the label's values must stay few."""
    return scope["method"] if scope["method"] in METHODS else "other"


def _route(scope: Scope) -> str:
    """The route as OpenAPI writes it, never what a stranger made up: the label's values must stay few."""
    return str(getattr(scope.get("route"), "path", "none"))


class _Shared(Collector):
    """What is the same for all gateways. If a system cannot be asked, that is told, and its figures are left out."""

    def __init__(self, desk: Desk, streams: Callable[[], int]) -> None:
        self._desk, self._streams = desk, streams
        self._asking = threading.Lock()
        self._kept: list[Metric] = []
        self._asked_at = -FRESH_S

    def describe(self) -> Sequence[Metric]:
        """Nothing yet: to be registered asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As of at most FRESH_S ago, and the open streams of now."""
        with self._asking:
            if time.monotonic() - self._asked_at >= FRESH_S:
                self._kept, self._asked_at = self._ask(), time.monotonic()
            yield from self._kept
        yield _gauge("fengmian_gateway_streams", "Open streams of events", [], [((), self._streams())])

    def _ask(self) -> list[Metric]:
        reached: Values = []
        jobs: Values = []
        lengths: Values = []
        ages: Values = []
        with _noting(reached, "engine"):
            jobs += [((status,), count) for status, count in self._desk.runs.count().items()]
        with _noting(reached, "database"):
            for name, queue in (("webhooks", self._desk.inbox), ("callbacks", self._desk.outbox)):
                left = queue.backlog()
                lengths.append(((name,), left.count))
                ages.append(((name,), left.oldest_s))
        return [
            _gauge("fengmian_gateway_reached", "Whether the system answered", ["system"], reached),
            _gauge("fengmian_jobs", "Jobs by state, of all that the engine remembers", ["status"], jobs),
            _gauge("fengmian_gateway_queue_length", "What is still to be done", ["queue"], lengths),
            _gauge("fengmian_gateway_queue_oldest_seconds", "How long the oldest of it has waited", ["queue"], ages)]


@contextmanager
def _noting(reached: Values, system: str) -> Iterator[None]:
    """Note whether the system could be asked."""
    try:
        yield
    except IntegrationError:
        reached.append(((system,), 0))
    else:
        reached.append(((system,), 1))


def _gauge(name: str, what: str, labels: list[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family

