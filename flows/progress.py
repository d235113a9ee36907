"""Progress of a run that somebody asked the gateway for: each step of the painting, told to those who follow the job."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import flow_run

from flows.gateway_wiring import build_tally
from flows.runs import TENANT
from flows.sweep import JOB
from flows.wiring import ports
from integrations.errors import Unavailable

log = logging.getLogger(__name__)


@contextmanager
def told_to_followers() -> Iterator[None]:
    """Tell the gateway's tally of every step in this block, if the run is a tenant's; a tally out of reach stops nothing."""
    if ports().progress is not None or not any(tag.startswith(TENANT) for tag in flow_run.tags):
        yield
        return
    first = next((tag.removeprefix(JOB) for tag in flow_run.tags if tag.startswith(JOB)), flow_run.id)
    tally, job_id, is_heard = build_tally(ports().settings), first, True

    def tell(step: int, steps: int) -> None:
        nonlocal is_heard
        if not is_heard:  # waiting for it at every step would cost more than the painting
            return
        try:
            tally.append_event(job_id, "step", {"step": step, "steps": steps})
        except Unavailable as exc:
            is_heard = False
            log.warning("job %s: nobody hears of its steps from %d on: %s", job_id, step, exc)

    ports().progress = tell
    try:
        yield
    finally:
        ports().progress = None
