"""Guard: the token and the size of the body, checked before anything is read."""

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_TOKEN = "authorization: a bearer token is needed, and this is none of ours"
OPEN = ("/health", "/ready", "/metrics", "/v1/files/")
"""What is told without a token: to probes, and to who knows a file's unguessable name."""


class Guard:
    """ASGI middleware. token: "" lets everybody in."""

    def __init__(self, app: ASGIApp, token: str, max_body_bytes: int) -> None:
        self._app, self._token, self._max = app, token.encode(), max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if not scope["path"].startswith(OPEN) and not self._may_enter(headers.get(b"authorization", b"")):
            await _refuse(401, NO_TOKEN)(scope, receive, send)
        elif (length := headers.get(b"content-length", b"0")).isdigit() and int(length) > self._max:
            await _refuse(413, f"body: {int(length)} bytes; at most {self._max} are allowed")(scope, receive, send)
        else:
            await self._pass_counted(scope, receive, send)

    def _may_enter(self, given: bytes) -> bool:
        return not self._token or hmac.compare_digest(given, b"Bearer " + self._token)

    async def _pass_counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The body of a caller that does not say how long it is ends where the limit is; then that is the answer."""
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            return {"type": "http.disconnect"} if read > self._max else message

        async def told(message: Message) -> None:
            if read <= self._max:
                await send(message)

        await self._app(scope, counted, told)
        if read > self._max:
            await _refuse(413, f"body: more than {self._max} bytes")(scope, receive, send)


def _refuse(status: int, message: str) -> JSONResponse:
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "code": status, "param": None}}, status,
                        {"WWW-Authenticate": "Bearer"} if status == 401 else None)
