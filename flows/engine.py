"""The same story as Prefect flows and tasks: retries with back-off, seen in the UI, scheduled by deploy/prefect.yaml.

Imported only where a Prefect server is configured; the command line alone never pays for it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache, partial
from typing import Any

import httpx
from prefect import flow
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.tasks import Task, exponential_backoff

from flows import cover_backlog as backlog
from flows import cover_post as story
from flows import steps, wiring
from flows.artifacts import show_cover, show_table
from flows.errors import BacklogFailed
from flows.fencing import fenced
from flows.gateway_wiring import patience_of
from flows.progress import told_to_followers
from flows.record import CoverRecord, Wishes
from flows.review import is_reviewed
from flows.review_form import ask_editor
from flows.runs import PrefectRuns, leave_result
from flows.site_settings import SITE
from integrations.errors import IntegrationError, Refused, Unavailable
from integrations.gateway.dispatch import run_key
from integrations.gateway.ports import Order

log = logging.getLogger(__name__)
MOST_FOLLOWERS = 30
"""Runs that may fail one after another about one version of a post, one each night, before a person is asked."""
RETRIES = 3
BACKOFF_S = 2.0
"""Wait before the first retry; doubled for each further one."""


@flow(name="cover-post", flow_run_name="cover {post_id}", persist_result=True)
def cover_post(source: str, post_id: str, wishes: Wishes = Wishes()) -> CoverRecord:  # noqa: B008 (frozen)
    """One post in, one cover out. The run suspends where the site wants an editor to look, and starts over with the answer."""
    review = ask_editor if is_reviewed(source, post_id) and not wishes.waive_review else None
    with told_to_followers(), fenced():
        record = story.cover_post(source, post_id, wishes, as_task, review)
    leave_result(record)
    try:
        show_cover(record)
    except IntegrationError as exc:  # the post has its cover; only people miss a picture of it here
        log.warning("cover of %s: its picture cannot be shown: %s", record.id, exc)
    return record


@flow(name="cover-backlog", flow_run_name="backlog of {source}")
def cover_backlog(source: str, wishes: Wishes = Wishes(write=True), limit: int | None = None) -> dict[str, int]:  # noqa: B008
    """Every post of `source` without a cover; how many had which outcome. Raises BacklogFailed, all others done."""
    with fenced():
        outcomes = backlog.cover_backlog(source, wishes, limit=limit, run=as_task, ask=partial(ask_in_a_run, source))
    rows = [{"post": each.post_id, "title": each.title, "result": each.result, "reason": each.reason} for each in outcomes]
    show_table(f"backlog-{source}", rows, f"{len(outcomes)} posts of {source}")
    if failed := list(backlog.list_failures(outcomes)):
        reasons = "; ".join(f"{outcome.post_id}: {outcome.reason}" for outcome in failed[:20])
        raise BacklogFailed(f"{len(failed)} of {len(outcomes)} posts got no cover: {reasons}")
    return {result: sum(outcome.result == result for outcome in outcomes) for result in ("covered", "kept", "asked")}


def ask_in_a_run(source: str, post_id: str, wishes: Wishes) -> bool:
    """Start the run of cover-post that asks an editor about this version of a post; False where a backlog or a message has.

    A run that failed is followed by another one, as a post without review is tried again by every backlog.
    """
    ports, name = wiring.ports(), source.removeprefix(SITE)
    key = run_key(name, post_id, steps.tell_version(source, post_id))
    wished = {wish: value for wish, value in asdict(wishes).items() if value is not None}
    runs = PrefectRuns(ports.settings.prefect_api_url or PREFECT_API_URL.value(), ports.settings.gateway.deployment,
                       patience=patience_of(ports.settings.fleet))
    order = Order(source=source, post_id=post_id, site=name, wishes=wished)
    job = runs.start(order, key)
    for _ in range(MOST_FOLLOWERS):
        if job.status not in ("failed", "cancelled"):
            return job.status == "queued"
        job = runs.start(order, f"{key}:{job.id}")
    raise Refused(f"{post_id}: {MOST_FOLLOWERS} runs about this version of it failed, the last with: {job.reason}")


@cache
def as_task(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of the story as a Prefect task. Our own cache is CoverCache, so Prefect keeps none."""
    return Task(
        step, name=step.__name__.replace("_", "-"), retries=RETRIES, retry_delay_seconds=exponential_backoff(BACKOFF_S),
        retry_jitter_factor=0.2, retry_condition_fn=is_transient, cache_policy=NO_CACHE)


async def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass by itself is tried again: Unavailable. A refusal, a bad prompt or a rejected cover is not."""
    return isinstance(await state.aresult(raise_on_failure=False), Unavailable)


@contextmanager
def on_server(api_url: str) -> Iterator[None]:
    """Flows called in this block run in this process and are recorded by the Prefect server at `api_url`.

    Raises Unavailable if there is none.
    """
    try:
        answer = httpx.get(f"{api_url.rstrip('/')}/health", timeout=10)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise Unavailable(f"prefect: no server answers at {api_url}: {exc}") from exc
    with temporary_settings({PREFECT_API_URL: api_url}):
        yield
