"""The API for other systems: ask for a cover, look at the job, cancel it, follow it by SSE or WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import (
    APIRouter,
    Body,
    Depends,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Security,
    WebSocket,
    WebSocketException,
)
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import Discriminator, StringConstraints, Tag
from pydantic.json_schema import SkipJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from integrations.errors import IntegrationError, Unavailable
from integrations.gateway.answers import RETRY_S, ApiError, declare
from integrations.gateway.desk import Desk
from integrations.gateway.jobs import Jobs
from integrations.gateway.ordering import cancel, place
from integrations.gateway.ports import ApiKey, Event
from integrations.gateway.strict_json import BadJson, loads
from integrations.gateway.views import Accepted, JobView, PageWanted, PostWanted
from integrations.gateway.watching import Watcher

ALWAYS = (401, 403, 408, 413, 422, 429, 503)
MaybeEvent = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}(-[0-9]{1,20})?$")] | SkipJsonSchema[None]
EventId = Annotated[MaybeEvent, Header(alias="Last-Event-ID", description="Events after this one only.")]
AfterId = Annotated[MaybeEvent, Query()]
IdempotencyKey = Annotated[Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")] | SkipJsonSchema[None],
                           Header(description="The same again is the same job.")]


def _tell_apart(body: Any) -> str:
    return "page" if isinstance(body, dict) and "url" in body else "post"


Wanted = Annotated[Annotated[PostWanted, Tag("post")] | Annotated[PageWanted, Tag("page")], Discriminator(_tell_apart)]
EVENTS: dict[int | str, dict[str, Any]] = {200: {
    "description": "Events `queued`, `running` … with the job as data, and what painters tell; ends with the job.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}}}}


class StrictRoute(APIRoute):
    """Reads bodies of JSON so that nobody else could read them in another way."""

    def get_route_handler(self) -> Any:
        """The handler, with our reader."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return loads(await self.body())
        except BadJson as exc:
            raise HTTPException(400, str(exc)) from exc


async def current_key(connection: HTTPConnection, scopes: SecurityScopes) -> ApiKey:
    """The key that the gate let in, if it has the scopes. Raises ApiError."""
    key: ApiKey = connection.state.key
    for scope in scopes.scopes:
        if scope not in key.scopes:
            raise ApiError(403, "missing_scope", f"this key lacks the scope {scope}")
    return key


BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `Authorization: Bearer fm_…`.")
Writer = Annotated[ApiKey, Security(current_key, scopes=["covers:write"])]
Reader = Annotated[ApiKey, Security(current_key, scopes=["jobs:read"])]


def make_router(desk: Desk, jobs: Jobs, watcher: Watcher) -> APIRouter:
    """Everything below /v1/ that is about jobs."""
    router = APIRouter(prefix="/v1", tags=["covers"], route_class=StrictRoute)
    shown = [Depends(BEARER)]

    @router.post("/covers", status_code=202, response_model=Accepted, dependencies=shown,
                 responses=declare(400, 404, 409, *ALWAYS), summary="Ask for a cover")
    def order_cover(response: Response, key: Writer, wanted: Annotated[Wanted, Body()],
                    idempotency_key: IdempotencyKey = None) -> Accepted:
        """The answer comes at once; the job goes on by itself, and survives restarts of everything."""
        placed = place(desk, key, wanted, idempotency_key)
        url = f"/v1/jobs/{placed.job_id}"
        response.headers["Location"] = url
        if placed.replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return Accepted(job_id=placed.job_id, status=placed.status, url=url, events_url=f"{url}/events")

    @router.get("/jobs/{job_id}", response_model=JobView, dependencies=shown, responses=declare(404, *ALWAYS),
                summary="Look at a job")
    def read_job(job_id: UUID, key: Reader) -> JobView:
        """One of the key's own tenant; any other does not exist."""
        return JobView.of(jobs.find(str(job_id), key.tenant))

    @router.post("/jobs/{job_id}/cancel", status_code=202, response_model=JobView, dependencies=shown,
                 responses=declare(404, 409, *ALWAYS), summary="Cancel a job")
    def cancel_job(job_id: UUID, key: Writer) -> JobView:
        """It ends soon; one that is over stays as it is."""
        cancel(desk, jobs.find(str(job_id), key.tenant))
        return JobView.of(jobs.find(str(job_id), key.tenant))

    @router.get("/jobs/{job_id}/events", response_class=StreamingResponse, dependencies=shown,
                responses={**EVENTS, **declare(404, *ALWAYS)}, summary="Follow a job (server-sent events)")
    async def follow_job(job_id: UUID, key: Reader, last_event_id: EventId = None) -> StreamingResponse:
        """Every event has an id; a client that comes back with Last-Event-ID misses nothing."""
        _check_room(desk, watcher)
        job = await run_in_threadpool(jobs.find, str(job_id), key.tenant)
        lines = (_as_lines(event) async for event in watcher.follow(job, last_event_id or ""))
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @router.websocket("/jobs/{job_id}/events")
    async def follow_job_by_socket(socket: WebSocket, job_id: UUID, key: Reader, after: AfterId = None) -> None:
        """The same events as JSON messages; `after` is the id of the last one seen."""
        try:
            _check_room(desk, watcher)
            job = await run_in_threadpool(jobs.find, str(job_id), key.tenant)
        except (IntegrationError, ApiError) as exc:
            raise WebSocketException(1013 if isinstance(exc, ApiError | Unavailable) else 1008, str(exc)[:120]) from exc
        await _serve_socket(socket, watcher.follow(job, after or ""))

    return router


async def _serve_socket(socket: WebSocket, events: AsyncIterator[Event | None]) -> None:
    await socket.accept()
    telling = asyncio.create_task(_tell(socket, events))
    leaving = asyncio.create_task(_wait_until_gone(socket))
    try:
        await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        telling.cancel()
        await asyncio.gather(leaving, telling, return_exceptions=True)


async def _tell(socket: WebSocket, events: AsyncIterator[Event | None]) -> None:
    try:
        async for event in events:
            if event is not None:
                await socket.send_json({"id": event.id, "event": event.name, "data": dict(event.data)})
    except Unavailable as exc:
        await socket.close(1013, str(exc)[:120])
    else:
        await socket.close()


async def _wait_until_gone(socket: WebSocket) -> None:
    """What a client says is not listened to, only that it leaves."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _check_room(desk: Desk, watcher: Watcher) -> None:
    if watcher.watched >= desk.limits.streams:
        raise ApiError(503, "too_many_streams", f"{watcher.watched} streams are open; ask for the job now and then",
                       {"Retry-After": str(RETRY_S)})


def _as_lines(event: Event | None) -> str:
    """As the standard writes it; a comment where there is nothing to tell."""
    if event is None:
        return ": still there\n\n"
    return f"id: {event.id}\nevent: {event.name}\ndata: {json.dumps(dict(event.data), ensure_ascii=False)}\n\n"
