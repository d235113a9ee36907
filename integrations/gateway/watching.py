"""Watcher: the states of the jobs that somebody looks at, written into their events; one question for all of them."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.concurrency import run_in_threadpool

from integrations.errors import IntegrationError
from integrations.gateway.jobs import Jobs
from integrations.gateway.ports import OVER, Event, Job, Tally
from integrations.gateway.views import JobView

log = logging.getLogger(__name__)
SILENCE_S = 10.0
"""After that a stream says something, for so it notices that nobody listens any more."""
GONE = "the job does not exist any more"


class Watcher:
    """poll_s: how often the engine is asked, and the tally."""

    def __init__(self, jobs: Jobs, tally: Tally, poll_s: float) -> None:
        self._jobs, self._tally, self._poll_s = jobs, tally, poll_s
        self._watched: Counter[str] = Counter()

    @property
    def watched(self) -> int:
        """How many streams are open."""
        return self._watched.total()

    async def run(self) -> None:
        """Ask for ever, as long as somebody looks."""
        while True:
            if ids := list(self._watched):
                try:
                    await run_in_threadpool(self._note, ids)
                except IntegrationError as exc:
                    log.warning("progress of %d jobs is not known just now: %s", len(ids), exc)
                except Exception:  # a task's entry point: it must not end, or nobody hears of any job again
                    log.exception("progress of %d jobs: not foreseen, please report it", len(ids))
            await asyncio.sleep(self._poll_s)

    async def follow(self, job: Job, after: str) -> AsyncIterator[Event | None]:
        """The job's events after that one, as they come, until it is over; None when there was nothing to tell for a while.

        Raises Unavailable.
        """
        with self._watching(job.id):
            await run_in_threadpool(self._write, job)
            told_at = time.monotonic()
            while True:
                for event in await run_in_threadpool(self._tally.events_after, job.id, after):
                    yield event
                    after, told_at = event.id, time.monotonic()
                    if event.name in OVER:
                        return
                if job.is_over:  # its last event was before `after`
                    return
                if time.monotonic() - told_at > SILENCE_S:
                    yield None
                    told_at = time.monotonic()
                await asyncio.sleep(self._poll_s)

    @contextmanager
    def _watching(self, job_id: str) -> Iterator[None]:
        self._watched[job_id] += 1
        try:
            yield
        finally:
            self._watched[job_id] -= 1
            if not self._watched[job_id]:
                del self._watched[job_id]

    def _note(self, ids: list[str]) -> None:
        found = self._jobs.find_all(ids)
        for job_id in ids:
            if job_id in found:
                self._write(found[job_id])
            else:  # the engine has forgotten it
                self._tally.append_event(job_id, "failed", {"id": job_id, "status": "failed", "reason": GONE}, once="failed")

    def _write(self, job: Job) -> None:
        """Every gateway may see the new state; the first one's word is kept."""
        self._tally.append_event(job.id, job.status, JobView.of(job).model_dump(mode="json"), once=job.status)
