"""Webhooks at the door: whose it is, that it is kept, 202. Nothing else is done before the answer."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from starlette.concurrency import run_in_threadpool

from integrations.errors import Refused
from integrations.gateway.answers import ApiError, declare
from integrations.gateway.desk import Desk
from integrations.gateway.dispatch import make_items
from integrations.gateway.messages import read_message
from integrations.gateway.ports import Item, Queue, Site
from integrations.gateway.views import MaybeText, Received

MAX_BATCH = 500
NO_SITE = Site(source="")
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}},
                        "description": "As the site's kind of sender writes it; what was signed are its bytes."}}


class Keeper:
    """Adds to a queue what comes while another addition is under way in one transaction: a commit serves many messages."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: list[tuple[list[Item], asyncio.Future[int]]] = []
        self._work: asyncio.Task[None] | None = None

    async def keep(self, items: list[Item]) -> int:
        """How many were new, once they are kept. Raises Unavailable."""
        if not items:
            return 0
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._keep_all())
        return await answer

    async def _keep_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            batch = [(items, answer) for items, answer in batch if not answer.done()]  # some clients have left
            try:
                fresh = set(await run_in_threadpool(self._queue.add, [item for items, _ in batch for item in items]))
            except Exception as exc:  # whoever waits shall hear of it, whatever it is
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(exc)
                continue
            for items, answer in batch:
                ours = fresh & {item.id for item in items}
                fresh -= ours
                if not answer.done():
                    answer.set_result(len(ours))
        self._work = None


def make_router(desk: Desk, wake: Callable[[], None]) -> APIRouter:
    """wake: called when there is something to do."""
    router, keeper = APIRouter(tags=["webhooks"]), Keeper(desk.inbox)

    @router.post("/webhooks/{site}", status_code=202, response_model=Received, openapi_extra=BODY,
                 summary="Take a site's message that posts have changed", responses=declare(400, 401, 408, 413, 422, 503))
    async def receive(
        request: Request,
        site: Annotated[str, Path(max_length=64)],
        webhook_id: Annotated[MaybeText, Header(description="Standard Webhooks.")] = None,
        webhook_timestamp: Annotated[MaybeText, Header(description="Standard Webhooks.")] = None,
        webhook_signature: Annotated[MaybeText, Header(description="Standard Webhooks.")] = None,
        x_ghost_signature: Annotated[MaybeText, Header(description="Ghost.")] = None,
        x_hub_signature_256: Annotated[MaybeText, Header(alias="X-Hub-Signature-256", description="GitHub.")] = None,
        x_github_event: Annotated[MaybeText, Header(alias="X-GitHub-Event", description="GitHub.")] = None,
    ) -> Received:
        """Signed by the site's own sender, and not long ago. The same message again is known, and starts nothing."""
        try:
            message = read_message(desk.sites.get(site, NO_SITE), request.headers, await request.body(), time.time())
        except Refused as exc:  # one answer for a wrong signature and for a site that does not exist
            raise ApiError(401, "invalid_signature", "the message is not signed by this site, or not lately") from exc
        except ValueError as exc:
            raise ApiError(400, "bad_request", str(exc)) from exc
        fresh = await keeper.keep(make_items(site, message))
        if fresh:
            wake()
        return Received(posts=len(message.posts), new=fresh)

    return router
