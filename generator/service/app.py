"""The generator as a web service: one FastAPI app, alone under uvicorn or in Ray Serve replicas.

Built from ready values; flows/serving.py builds it from the settings.
"""

import asyncio
import base64
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Form, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from generator.errors import Cancelled, GeneratorError
from generator.placement import DoesNotFit
from generator.service.desk import Busy, Closing, Desk, Painted
from generator.service.editing import EditDesk, PictureFiles
from generator.service.guard import Guard
from generator.service.shapes import (
    Edit,
    Generation,
    Picture,
    Pictures,
    Problem,
    Sampling,
    ShortAnswer,
    ShortGeneration,
    make_requests,
)

log = logging.getLogger(__name__)
Result = TypeVar("Result")
CLIENT_GONE = 499
"""What nobody reads any more; nginx's number, for the metrics."""
KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "invalid_request_error", 429: "rate_limit_exceeded"}
ANSWERS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": what} for code, what in {
        400: "A value breaks a rule", 401: "No key, or a wrong one", 404: "Another model is loaded", 413: "The body is too large",
        429: "The queue is full; Retry-After says when to ask again", 503: "Shutting down, or no memory",
        504: "Past the deadline"}.items()}


@dataclass(frozen=True, kw_only=True)
class Service:
    """Everything the app needs. steps, guidance: for who asks for none. token: what callers must bring, "" for none.
    public_url: how callers reach the service, "" for the address that they asked at. deadline_s: for one request.
    """

    desk: Desk
    edits: EditDesk
    files: PictureFiles
    steps: int
    guidance: float
    public_url: str = ""
    token: str = ""
    deadline_s: float = 600
    max_body_bytes: int = 64 * 2**20


class EditForm(Edit):
    """POST /v1/images/edits. mask: transparent where to paint; without transparency, white there."""

    image: UploadFile
    mask: UploadFile | None = None


def build_app(service: Service) -> FastAPI:
    """The app; it warms the model as it starts."""
    desk = service.desk

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(_warm(desk))
        yield
        warming.cancel()
        await desk.close()

    app = FastAPI(title="Fengmian generator", version="1", lifespan=life, redoc_url=None)
    app.add_middleware(Guard, token=service.token, max_body_bytes=service.max_body_bytes)
    _add_problems(app)
    _add_calls(app, service)
    _add_probes(app, service)
    return app


async def _warm(desk: Desk) -> None:
    try:
        await desk.warm()
    except Exception:  # the service stays up and not ready: its log says why
        log.exception("service: the model could not be warmed")


def _add_calls(app: FastAPI, service: Service) -> None:
    desk, metrics = service.desk, service.desk.metrics

    async def answer(call: str, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """The work's result within the deadline; given up as soon as the caller has gone. Counts how it ended."""
        outcome = "error"
        try:
            async with asyncio.timeout(service.deadline_s):
                result = await _while_there(request, work)
            outcome = "done"
            return result
        except TimeoutError:
            outcome = "late"
            raise HTTPException(504, f"deadline: not done within {service.deadline_s:g} s") from None
        except (Busy, ClientGone) as exc:
            outcome = "busy" if isinstance(exc, Busy) else "gone"
            raise
        finally:
            metrics.requests.labels(call, outcome).inc()

    async def paint(asked: Sampling, caller: str) -> list[Painted]:
        requests = make_requests(asked, choose_checkpoint(desk, asked.model), service.steps, service.guidance)
        async with asyncio.TaskGroup() as group:  # the first error gives up the rest
            tasks = [group.create_task(desk.paint(each, caller=asked.user or caller)) for each in requests]
        return [Painted(picture=task.result(), seed=each.seed, fingerprint=each.fingerprint, checkpoint=each.checkpoint)
                for each, task in zip(requests, tasks, strict=True)]

    @app.post("/v1/images/generations", response_model_exclude_none=True, responses=ANSWERS)
    async def generate(asked: Generation, request: Request) -> Pictures:
        """Pictures for a prompt, as OpenAI's images.generate."""
        painted = await answer("generate", request, _ungrouped(paint(asked, _caller(request))))
        return await _tell(service, asked, painted, request)

    @app.post("/v1/images/edits", response_model_exclude_none=True, responses=ANSWERS)
    async def edit(asked: Annotated[EditForm, Form(media_type="multipart/form-data")], request: Request) -> Pictures:
        """A picture painted anew inside a mask, or as a whole, as OpenAI's images.edit."""
        choose_checkpoint(desk, asked.model)
        files = await asked.image.read(), await asked.mask.read() if asked.mask else None
        painted = await answer("edit", request, service.edits.edit(asked, *files))
        return await _tell(service, asked, painted, request)

    @app.post("/v1/generate", responses=ANSWERS)
    async def generate_short(asked: ShortGeneration, request: Request) -> ShortAnswer:
        """One picture for a prompt."""
        full = asked.as_generation()
        painted = await answer("generate", request, _ungrouped(paint(full, _caller(request))))
        told = await _tell(service, full, painted, request)
        picture = told.data[0]
        return ShortAnswer(image_url=picture.url or f"data:image/png;base64,{picture.b64_json}", seed=picture.seed,
                           fingerprint=picture.fingerprint, model=told.model)


    @app.get("/v1/files/{name:path}", response_class=Response, responses={404: ANSWERS[404]})
    async def file(name: str) -> Response:
        """A picture that was asked for as a url. Its address is the key to it."""
        data = await asyncio.to_thread(service.files.find, name)
        if data is None:
            raise HTTPException(404, f"file: {name[:120]!r} is not here, or no more")
        return Response(data, media_type=f"image/{name.rpartition('.')[2]}", headers={"Cache-Control": "private, immutable"})


def _add_probes(app: FastAPI, service: Service) -> None:
    desk = service.desk

    @app.get("/v1/models", responses={401: ANSWERS[401]})
    async def models() -> dict[str, Any]:
        """The checkpoint names that a request may ask for."""
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "fengmian", "lora": lora}
                                           for name, lora in desk.painter.checkpoints.items()]}

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "up"}

    @app.get("/ready", responses={503: {"model": Problem, "description": "Not yet, or no more"}})
    async def ready(response: Response) -> dict[str, str]:
        """Whether the model is loaded and has painted. The header x-fengmian-replica tells replicas apart."""
        response.headers["x-fengmian-replica"] = str(os.getpid())
        if not desk.is_ready:
            raise HTTPException(503, "the model is not warm yet")
        return {"status": "ready", "model": desk.painter.checkpoint}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(desk.metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")


class UnknownModel(ValueError):
    """A model that is not the one loaded."""


def choose_checkpoint(desk: Desk, model: str | None) -> str:
    """The checkpoint that `model` names, with or without its revision. Raises UnknownModel."""
    names = desk.painter.checkpoints
    found = next((name for name in names if model in (None, name, name.partition("@")[0])), None)
    if found is None:
        raise UnknownModel(f"model: {str(model)[:100]!r} is not loaded; loaded is {' or '.join(map(repr, names))}")
    return found


async def _tell(service: Service, asked: Sampling, painted: list[Painted], request: Request) -> Pictures:
    form, files = asked.output_format, service.files
    base = f"{(service.public_url or str(request.base_url)).rstrip('/')}/v1/files/"

    def tell(one: Painted) -> Picture:
        data = files.encode(one.picture, form)
        told = ({"url": base + files.keep(one, data, form)} if asked.response_format == "url"
                else {"b64_json": base64.b64encode(data).decode()})
        return Picture(seed=one.seed, fingerprint=one.fingerprint, width=one.picture.width, height=one.picture.height, **told)

    data = [await asyncio.to_thread(tell, one) for one in painted]
    return Pictures(created=int(time.time()), model=painted[0].checkpoint, output_format=form, data=data)


class ClientGone(Exception):
    """The caller hung up."""


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; cancelled, and ClientGone raised, when the caller hangs up before."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaving(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _ungrouped(work: Awaitable[Result]) -> Result:
    """A TaskGroup's first error, bare."""
    try:
        return await work
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _caller(request: Request) -> str:
    return request.headers.get("x-fengmian-caller", "") or (request.client.host if request.client else "")


def _add_problems(app: FastAPI) -> None:
    """Every error in OpenAI's shape."""
    def problem(status: int, message: str, param: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
        kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return JSONResponse({"error": {"message": message, "type": kind, "code": status, "param": param}}, status, headers)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def invalid(request: Request, exc: RequestValidationError | ValidationError) -> JSONResponse:
        first = exc.errors()[0]
        names = [str(part) for part in first["loc"] if part not in ("body", "query", "fields")]
        where, what = ".".join(names), str(first["msg"]).removeprefix("Value error, ")
        value = first.get("input")
        told = f" {value!r}" if isinstance(value, str | int | float) and len(str(value)) <= 60 else ""
        return problem(400, f"{where or 'body'}{told}: {what}", where or None)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> JSONResponse:
        return problem(exc.status_code, str(exc.detail), headers=dict(exc.headers or {}))

    @app.exception_handler(ValueError)
    async def bad(request: Request, exc: ValueError) -> JSONResponse:
        return problem(404 if isinstance(exc, UnknownModel) else 400, str(exc))

    @app.exception_handler(Busy)
    async def busy(request: Request, exc: Busy) -> JSONResponse:
        return problem(429, str(exc), headers={"Retry-After": str(exc.retry_after_s)})

    @app.exception_handler(ClientGone)
    async def gone(request: Request, exc: ClientGone) -> JSONResponse:
        return problem(CLIENT_GONE, "the caller has gone")

    @app.exception_handler(GeneratorError)
    async def failed(request: Request, exc: GeneratorError) -> JSONResponse:
        if isinstance(exc, Closing | Cancelled):
            return problem(503, str(exc), headers={"Retry-After": "1"})
        if isinstance(exc, DoesNotFit):
            return problem(503, str(exc))
        log.error("service: %s", exc)
        return problem(500, str(exc))
