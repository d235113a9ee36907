"""Callbacks: tells whoever asked for a cover, at the address it gave, how the job ended."""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx

from integrations.errors import Refused, Unavailable
from integrations.gateway.dispatch import pause_s
from integrations.gateway.lanes import Lanes
from integrations.gateway.ports import Courier, Item, Job, Queue, Runs, Taken
from integrations.gateway.signatures import derive_secret, sign_standard
from integrations.gateway.views import JobView

log = logging.getLogger(__name__)
BATCH = 40
LEASE_S = 120
"""Longer than a receiver that does not answer takes: a lease that ends early tells somebody twice."""
RECEIVERS_AT_ONCE = 8
PATIENCE_S = 1.0
"""How long the next batch waits for this one."""
MAX_ATTEMPTS = 12
POLL_S = 2.0
LONGEST_POLL_S = 30.0


def callback_secret(pepper: bytes, tenant: str) -> str:
    """What this tenant's callbacks are signed with; shown to it when a key is made."""
    return derive_secret(pepper, f"callback:{tenant}")


def make_item(job: Job, url: str) -> Item:
    """What is kept until the callback was delivered."""
    return Item(id=job.id, about=job.id, payload={"url": url, "tenant": job.tenant})


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Waits for jobs and delivers; at least once, with the same message id each time. pepper: the gateway's own.

    Receivers are told side by side, each of one job at a time, so that a slow one keeps no other waiting.
    """

    outbox: Queue
    runs: Runs
    courier: Courier
    pepper: bytes
    clock: Callable[[], float] = time.time
    lanes: Lanes = field(default_factory=lambda: Lanes(RECEIVERS_AT_ONCE))

    def work_once(self) -> int:
        """Deliver what can be, once; how many callbacks were looked at. Raises Unavailable for the outbox or the engine."""
        taken = self.outbox.take(BATCH, LEASE_S)
        jobs = self._find(taken)
        by_host: defaultdict[str, list[tuple[Taken, Job]]] = defaultdict(list)
        for item in taken:
            job = jobs.get(item.about)
            if job is None:
                self.outbox.finish([item.id], "skipped", "the job does not exist any more")
            elif job.is_over:
                by_host[httpx.URL(item.payload["url"]).host].append((item, job))
            else:
                waited = self.clock() - item.added_at
                self.outbox.postpone([item.id], min(LONGEST_POLL_S, POLL_S + waited / 20), counted=False)
        busy = [item.id for host, due in by_host.items() if not self.lanes.begin(host, partial(self._tell, due))
                for item, _ in due]
        self.outbox.postpone(busy, POLL_S, counted=False)
        self.lanes.wait(PATIENCE_S)
        return len(taken) - len(busy)

    def _tell(self, due: Sequence[tuple[Taken, Job]]) -> None:
        """One receiver, of one job after another; once it does not answer, or takes long, the others wait."""
        began = time.monotonic()
        for position, (item, job) in enumerate(due):
            if not self._deliver(item, job) or time.monotonic() > began + LEASE_S / 4:
                self.outbox.postpone([later.id for later, _ in due[position + 1:]], POLL_S, counted=False)
                return

    def _find(self, taken: Sequence[Taken]) -> dict[str, Job]:
        try:
            return self.runs.find([item.about for item in taken])
        except Unavailable:
            self.outbox.postpone([item.id for item in taken], LONGEST_POLL_S, counted=False)
            raise

    def _deliver(self, item: Taken, job: Job) -> bool:
        """Whether the receiver is worth being told of another job now."""
        body = json.dumps({"type": f"job.{job.status}", "data": JobView.of(job).model_dump(mode="json")},
                          ensure_ascii=False).encode()
        secret = callback_secret(self.pepper, item.payload["tenant"])
        headers = {"content-type": "application/json", **sign_standard(secret, f"job_{job.id}", int(self.clock()), body)}
        try:
            self.courier.post(item.payload["url"], body, headers)
        except Refused as exc:
            self.outbox.finish([item.id], "refused", str(exc))
        except Exception as exc:  # one receiver's trouble, foreseen or not, never stops the others
            if not isinstance(exc, Unavailable):
                log.exception("callback of job %s: not foreseen, please report it", job.id)
            if item.attempts >= MAX_ATTEMPTS:
                self.outbox.finish([item.id], "given up", str(exc))
            else:
                self.outbox.postpone([item.id], pause_s(item.attempts), str(exc))
            return False
        else:
            self.outbox.finish([item.id], "delivered")
        return True
