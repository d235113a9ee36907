"""What stands before the app, as ASGI middleware: who asks, how often, and how much of a body is read."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from integrations.errors import IntegrationError
from integrations.gateway.answers import ApiError, respond, unavailable
from integrations.gateway.desk import Desk, Limits
from integrations.gateway.ports import ApiKey

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
GUARDED = "/v1/"
MINUTE_S = 60


class KeyGate:
    """Lets nobody below /v1/ without a key, nor more often than the key allows; the key goes on in the request's state."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass; else go on."""
        if scope["type"] == "lifespan" or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["key"] = await run_in_threadpool(self._admit, _bearer(scope))
        except ApiError as exc:
            await _answer(exc, scope, receive, send)
        except IntegrationError as exc:
            await _answer(unavailable(exc), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admit(self, presented: str) -> ApiKey:
        """The key. Raises ApiError, Unavailable."""
        key = self._desk.ring.find(presented)
        if key is None:
            raise ApiError(401, "invalid_api_key", "a key is needed, as the header `Authorization: Bearer fm_...`; this is none "
                           "of ours, or was revoked", {"WWW-Authenticate": "Bearer"})
        limit = self._desk.limits.per_minute if key.per_minute is None else key.per_minute
        admission = self._desk.tally.admit(f"minute:{key.prefix}", limit, MINUTE_S)
        if not admission.admitted:
            raise ApiError(429, "rate_limit_exceeded", f"this key may ask {limit} times a minute",
                           {"Retry-After": str(math.ceil(admission.reset_s))})
        return key


class BodyGate:
    """Reads the whole body before the app sees any of it: not more than so many bytes, nor longer than so many seconds."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a body that is too large or too slow; else go on with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await self._read(scope, receive)
        except TimeoutError:
            late = f"the body did not come within {self._limits.body_timeout_s:g} s"
            await _answer(ApiError(408, "request_timeout", late, CLOSE), scope, receive, send)
        except ApiError as exc:
            await _answer(exc, scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None where the client has gone. Raises ApiError."""
        most = self._limits.max_body_bytes
        declared = _header(scope, b"content-length")
        if declared.isdigit() and int(declared[:20]) > most:
            raise _too_large(most)
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                raise _too_large(most)
            if not message.get("more_body", False):
                return b"".join(pieces)


CLOSE: Mapping[str, str] = {"Connection": "close"}
"""What was not read must not be taken for the next request."""


def _too_large(most: int) -> ApiError:
    return ApiError(413, "body_too_large", f"the body has more than {most} bytes", CLOSE)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever comes after it."""
    is_told = False

    async def tell() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return tell


def _bearer(scope: Scope) -> str:
    scheme, _, key = _header(scope, b"authorization").partition(" ")
    return key if scheme.lower() == "bearer" else ""


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for given, value in scope["headers"] if given == name), "")


async def _answer(exc: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Over HTTP the answer itself; a WebSocket's handshake gets it too where the server can, else it is only refused."""
    if scope["type"] == "http":
        await respond(exc)(scope, receive, send)
        return
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(name.lower().encode(), value.encode()) for name, value in exc.headers.items()]
        await send({"type": "websocket.http.response.start", "status": exc.status,
                    "headers": [(b"content-type", b"application/json"), *headers]})
        await send({"type": "websocket.http.response.body", "body": json.dumps(exc.body).encode()})
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": str(exc)[:120]})
