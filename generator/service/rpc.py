"""The service over gRPC: the same desk, in protobuf's shapes. Under Ray Serve its ingress calls Calls."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
from pydantic import ValidationError

from generator.errors import Cancelled, GeneratorError
from generator.placement import DoesNotFit
from generator.service.app import Service, UnknownModel, choose_checkpoint
from generator.service.desk import Busy, Closing, Painted
from generator.service.guard import NO_TOKEN
from generator.service.painter_pb2 import (
    EditRequest,
    GenerateEvent,
    GenerateReply,
    GenerateRequest,
    ListModelsReply,
    ListModelsRequest,
    Progress,
    Sampling,
)
from generator.service.painter_pb2_grpc import PainterServicer, add_PainterServicer_to_server
from generator.service.shapes import Edit, Generation, make_requests

CODES: tuple[tuple[type[BaseException], grpc.StatusCode], ...] = (
    (Busy, grpc.StatusCode.RESOURCE_EXHAUSTED), (Closing, grpc.StatusCode.UNAVAILABLE), (Cancelled, grpc.StatusCode.UNAVAILABLE),
    (DoesNotFit, grpc.StatusCode.UNAVAILABLE), (UnknownModel, grpc.StatusCode.NOT_FOUND),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED), (GeneratorError, grpc.StatusCode.INTERNAL),
    (ValueError, grpc.StatusCode.INVALID_ARGUMENT))
"""What a caller is told, by the first class that fits."""


def read_status(exc: BaseException) -> tuple[grpc.StatusCode, str] | None:
    """Code and message for what a call raises; None for what nobody foresaw."""
    code = next((code for kind, code in CODES if isinstance(exc, kind)), None)
    if code is None:
        return None
    if isinstance(exc, ValidationError):
        first = exc.errors()[0]
        return code, f"{'.'.join(map(str, first['loc']))}: {str(first['msg']).removeprefix('Value error, ')}"
    return code, str(exc) or "past the deadline"


class Calls:
    """The calls, from message to message. They raise what the desk raises."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def generate(self, request: GenerateRequest, caller: str = "") -> GenerateReply:
        """The picture."""
        async for event in self.generate_with_progress(request, caller):
            if event.HasField("reply"):
                return event.reply
        raise AssertionError("a call that raises nothing ends with its picture")

    async def generate_with_progress(self, request: GenerateRequest, caller: str = "") -> AsyncIterator[GenerateEvent]:
        """Every step, then the picture. Closing the iterator gives the picture up."""
        service, asked = self._service, Generation.model_validate(_fields(request.sampling))
        wanted, = make_requests(asked, choose_checkpoint(service.desk, asked.model), service.steps, service.guidance)
        events: asyncio.Queue[GenerateEvent | None] = asyncio.Queue()

        def tell(step: int, steps: int) -> None:
            events.put_nowait(GenerateEvent(progress=Progress(step=step, steps=steps)))

        painting = asyncio.create_task(service.desk.paint(wanted, caller=caller, progress=tell))
        painting.add_done_callback(lambda _: events.put_nowait(None))
        try:
            async with asyncio.timeout(service.deadline_s):
                while event := await events.get():
                    yield event
            painted = Painted(picture=painting.result(), seed=wanted.seed, fingerprint=wanted.fingerprint,
                              checkpoint=wanted.checkpoint)
            yield GenerateEvent(reply=await self._reply(painted, asked))
        finally:
            painting.cancel()

    async def edit(self, request: EditRequest) -> GenerateReply:
        """The edited picture."""
        asked = Edit.model_validate(_fields(request.sampling) | ({"strength": request.strength} if request.strength else {}))
        choose_checkpoint(self._service.desk, asked.model)
        async with asyncio.timeout(self._service.deadline_s):
            painted, = await self._service.edits.edit(asked, request.image, request.mask or None)
        return await self._reply(painted, asked)

    async def list_models(self, request: ListModelsRequest) -> ListModelsReply:
        """Every checkpoint name."""
        return ListModelsReply(models=list(self._service.desk.painter.checkpoints))

    async def _reply(self, painted: Painted, asked: Generation | Edit) -> GenerateReply:
        picture, form = painted.picture, asked.output_format
        return GenerateReply(image=await asyncio.to_thread(self._service.files.encode, picture, form), output_format=form,
                             width=picture.width, height=picture.height, seed=painted.seed, fingerprint=painted.fingerprint,
                             model=painted.checkpoint)


def _fields(sampling: Sampling) -> dict[str, object]:
    """The fields that were set, by the names that REST has for them."""
    names = {"prompt": "prompt", "negative_prompt": "negative_prompt", "model": "model", "size": "size",
             "steps": "num_inference_steps", "guidance": "true_cfg_scale", "output_format": "output_format"}
    given: dict[str, object] = {rest: getattr(sampling, name) for name, rest in names.items() if getattr(sampling, name)}
    return {"prompt": "", **given} | ({"seed": sampling.seed} if sampling.HasField("seed") else {})


Context: TypeAlias = Any
"""grpc.aio.ServicerContext; grpc has no types."""


class _Servicer(PainterServicer):
    def __init__(self, service: Service) -> None:
        self._calls, self._token = Calls(service), service.token

    async def Generate(self, request: GenerateRequest, context: Context) -> GenerateReply:
        async with self._told(context):
            return await self._calls.generate(request, context.peer())

    async def GenerateWithProgress(self, request: GenerateRequest, context: Context) -> AsyncIterator[GenerateEvent]:
        async with self._told(context):
            async for event in self._calls.generate_with_progress(request, context.peer()):
                yield event

    async def Edit(self, request: EditRequest, context: Context) -> GenerateReply:
        async with self._told(context):
            return await self._calls.edit(request)

    async def ListModels(self, request: ListModelsRequest, context: Context) -> ListModelsReply:
        async with self._told(context):
            return await self._calls.list_models(request)

    @asynccontextmanager
    async def _told(self, context: Context) -> AsyncIterator[None]:
        """Whoever brings no token is sent away, and every foreseen error has its status."""
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if self._token and not hmac.compare_digest(str(given).encode(), f"Bearer {self._token}".encode()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, NO_TOKEN)
        try:
            yield
        except Exception as exc:
            status = read_status(exc)
            if status is None:
                raise
            await context.abort(*status)


@asynccontextmanager
async def serving_grpc(service: Service, address: str) -> AsyncIterator[None]:
    """A gRPC server at `address` ("127.0.0.1:8101") in this block; calls under way are finished as it ends."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", service.max_body_bytes), ("grpc.so_reuseport", 0)])
    add_PainterServicer_to_server(_Servicer(service), server)  # type: ignore[no-untyped-call]
    if not server.add_insecure_port(address):
        raise GeneratorError(f"gRPC: cannot listen at {address}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(service.deadline_s)
