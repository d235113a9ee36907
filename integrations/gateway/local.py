"""MemoryRuns: the local twin of the engine, for tests and measurements. It keeps the real one's promises but outlives nothing."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from integrations.errors import NotFound
from integrations.gateway.ports import Job, Order, Picture, Runs, Status


class MemoryRuns(Runs):
    """Runs that wait until they are told how they went."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self.orders: list[Order] = []

    def start(self, order: Order, idempotency_key: str) -> Job:
        """The one run of this key."""
        with self._lock:
            if idempotency_key not in self._ids:
                job_id = self._ids[idempotency_key] = str(uuid.uuid4())
                self._jobs[job_id] = Job(id=job_id, status="queued", tenant=order.tenant, order=order.digest,
                                         post_id=order.post_id, created_at=time.time())
                self.orders.append(order)
            return self._jobs[self._ids[idempotency_key]]

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that exist, by id."""
        return {job_id: self._jobs[job_id] for job_id in job_ids if job_id in self._jobs}

    def cancel(self, job_id: str) -> None:
        """End a run that is not over."""
        if job_id not in self._jobs:
            raise NotFound(f"job {job_id} does not exist")
        if not self._jobs[job_id].is_over:
            self._jobs[job_id] = replace(self._jobs[job_id], status="cancelled", ended_at=time.time())

    def count(self) -> dict[Status, int]:
        """How many there are in each state."""
        seen = Counter(job.status for job in self._jobs.values())
        return {status: seen[status] for status in get_args(Status)}

    def go_on(self, job_id: str) -> None:
        """The run is at work."""
        self._jobs[job_id] = replace(self._jobs[job_id], status="running")

    def succeed(self, job_id: str, *pictures: Picture) -> None:
        """The run has painted."""
        self._jobs[job_id] = replace(self._jobs[job_id], status="succeeded", ended_at=time.time(), pictures=pictures)

    def fail(self, job_id: str, reason: str) -> None:
        """The run has failed."""
        self._jobs[job_id] = replace(self._jobs[job_id], status="failed", ended_at=time.time(), reason=reason)
