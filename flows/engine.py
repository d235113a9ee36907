"""The same story as Prefect flows and tasks: retries with back-off, seen in the UI, scheduled by deploy/prefect.yaml.

Imported only where a Prefect server is configured; the command line alone never pays for it.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from flows import cover_backlog as backlog
from flows import cover_post as story
from flows.record import CoverRecord, Wishes
from integrations.errors import Unavailable

RETRIES = 3


async def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass by itself is tried again: Unavailable. A refusal, a bad prompt or a rejected cover is not."""
    try:
        await state.aresult()
    except Unavailable:
        return True
    except BaseException:
        return False
    return False


@cache
def as_task(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of the story as a Prefect task. Our own cache is CoverCache, so Prefect keeps none."""
    wrapped: Callable[..., Any] = task(
        step, name=step.__name__.replace("_", "-"), retries=RETRIES, retry_delay_seconds=exponential_backoff(2),
        retry_jitter_factor=0.2, retry_condition_fn=is_transient, cache_policy=NO_CACHE)
    return wrapped


@flow(name="cover-post", flow_run_name="cover {post_id}", log_prints=False)
def cover_post(source: str, post_id: str, style: str | None = None, seed: int | None = None,
               size: tuple[int, int] | None = None, language: str = "auto", out: str = "", write: bool = False,
               force: bool = False) -> dict[str, Any]:
    """One post in, one cover out; the record as plain values."""
    wishes = Wishes(style=style, seed=seed, size=size, language=language, out=out, write=write, force=force)  # type: ignore[arg-type]
    return story.cover_post(source, post_id, wishes, as_task).as_json()


@flow(name="cover-backlog", flow_run_name="backlog of {source}", log_prints=False)
def cover_backlog(source: str, style: str | None = None, size: tuple[int, int] | None = None, out: str = "",
                  write: bool = True, limit: int | None = None) -> dict[str, Any]:
    """Every post of `source` without a cover. Fails, after all have been tried, if any failed."""
    outcomes = backlog.cover_backlog(source, Wishes(style=style, size=size, out=out, write=write), limit=limit, run=as_task)
    failed = list(backlog.list_failures(outcomes))
    report = {"covered": sum(outcome.result == "covered" for outcome in outcomes),
              "kept": sum(outcome.result == "kept" for outcome in outcomes),
              "failed": {outcome.post_id: outcome.reason for outcome in failed}}
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(outcomes)} posts failed: {report['failed']}")
    return report


def run_on_server(api_url: str, source: str, post_id: str, wishes: Wishes) -> CoverRecord:
    """Run one post as a flow in this process, recorded by the Prefect server at `api_url`."""
    from prefect.settings import PREFECT_API_URL, temporary_settings
    os.environ.setdefault("DO_NOT_TRACK", "1")
    box: list[CoverRecord] = []

    @flow(name="cover-post", flow_run_name=f"cover {post_id}"[:200])
    def tell() -> dict[str, Any]:
        box.append(story.cover_post(source, post_id, wishes, as_task))
        return box[0].as_json()

    with temporary_settings({PREFECT_API_URL: api_url}):
        tell()
    return box[0]
