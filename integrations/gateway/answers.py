"""How what goes wrong becomes an answer: one shape, a code for programs, a sentence for people."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from integrations.errors import NotFound, Refused, Unavailable
from integrations.gateway.views import ErrorView, problem

RETRY_S = 5
NAMES = {400: "bad_request", 401: "invalid_api_key", 404: "not_found", 405: "method_not_allowed", 408: "request_timeout",
         413: "body_too_large", 415: "unsupported_media_type"}


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        self.body = problem(message, code, _kind(status))


def declare(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers, for OpenAPI."""
    retry = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}, "required": True}}
    return {status: {"model": ErrorView, "description": NAMES.get(status, "not accepted").replace("_", " "),
                     **({"headers": retry} if status in (429, 503) else {})} for status in statuses}


def respond(exc: ApiError) -> JSONResponse:
    """The answer itself."""
    return JSONResponse(exc.body, exc.status, headers=exc.headers)


def install(app: FastAPI) -> None:
    """Answer in one shape, whatever went wrong."""
    app.add_exception_handler(ApiError, lambda _, exc: respond(exc))
    app.add_exception_handler(RequestValidationError, _answer_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _answer_http)  # type: ignore[arg-type]
    app.add_exception_handler(Unavailable, _answer_unavailable)
    app.add_exception_handler(Refused, _answer_refused)


def unavailable(exc: Exception) -> ApiError:
    """What we need does not answer: nothing is let through, and the caller may come again."""
    return ApiError(503, "unavailable", f"not now: {str(exc).partition(':')[0]} does not answer", {"Retry-After": str(RETRY_S)})


def _answer_invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
    first = exc.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    given = first.get("input")
    shown = f" {given!r}"[:80] if isinstance(given, str | int | float) and first["type"] != "missing" else ""
    return JSONResponse(problem(f"{where or 'body'}{shown}: {first['msg']}", first["type"], param=where or None), 422)


def _answer_http(request: Request, exc: HTTPException) -> JSONResponse:
    return JSONResponse(problem(str(exc.detail), NAMES.get(exc.status_code, "error"), _kind(exc.status_code)),
                        exc.status_code, headers=exc.headers)


def _answer_unavailable(request: Request, exc: Exception) -> JSONResponse:
    return respond(unavailable(exc))


def _answer_refused(request: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, NotFound):
        return respond(ApiError(404, "not_found", str(exc)))
    return respond(ApiError(409, "refused", str(exc)))


def _kind(status: int) -> str:
    return {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error")
