"""What Prometheus is told of one service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SMOOTHING = 0.2
"""Weight of the newest batch in the mean that Retry-After is made from."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queue = Gauge("fengmian_queue_length", "Requests that wait", registry=self.registry)
        self.batch = Histogram("fengmian_batch_size", "Pictures painted together", buckets=(1, 2, 4, 8, 16, 32, 64),
                               registry=self.registry)
        self.step = Histogram("fengmian_step_seconds", "One denoising step of a batch, decoding included", buckets=SECONDS,
                              registry=self.registry)
        self.batch_s = Histogram("fengmian_batch_seconds", "A batch, from noise to pixels", buckets=SECONDS,
                                 registry=self.registry)
        self.cache_hits = Counter("fengmian_cache_hits", "Pictures that were there already", registry=self.registry)
        self.refused = Counter("fengmian_refused", "Requests that found the queue full", registry=self.registry)
        self.requests = Counter("fengmian_requests", "Requests by call and outcome", ("call", "outcome"), registry=self.registry)
        self.gpu = Gauge("fengmian_gpu_memory_bytes", "Memory that torch holds on the GPU; 0 without one", registry=self.registry)
        self.gpu.set_function(_gpu_bytes)
        self.seconds_per_picture = 0.0

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Ask `length` for the queue's length whenever somebody looks."""
        self.queue.set_function(length)

    def note_batch(self, pictures: int, steps: int, seconds: float) -> None:
        """A batch is done."""
        self.batch.observe(pictures)
        self.batch_s.observe(seconds)
        self.step.observe(seconds / steps)
        newest = seconds / pictures
        self.seconds_per_picture += (SMOOTHING if self.seconds_per_picture else 1) * (newest - self.seconds_per_picture)

    def as_text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


def _gpu_bytes() -> float:
    import torch

    return float(torch.cuda.memory_reserved()) if torch.cuda.is_available() else 0.0
