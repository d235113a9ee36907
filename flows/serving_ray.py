"""The generator service in Ray Serve replicas: `serve run flows.serving_ray:app`, or a RayService that imports the same name.

Every replica holds the configured weights and the very app that `fengmian serve` runs, over HTTP and gRPC.
Replicas, GPUs and autoscaling are set in Serve's own config file (deploy/ray/serve.yaml).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from ray import serve
from ray.serve.grpc_util import RayServegRPCContext

from flows.serving import build_service
from generator.errors import GeneratorError
from generator.service.app import build_app
from generator.service.painter_pb2 import (
    EditRequest,
    GenerateEvent,
    GenerateReply,
    GenerateRequest,
    ListModelsReply,
    ListModelsRequest,
)
from generator.service.rpc import Calls, read_status

_service: Any = None


def service() -> Any:
    """The one service of this replica's process, for its HTTP app and its gRPC calls alike."""
    global _service
    _service = _service or build_service()
    return _service


@serve.deployment(name="painter", max_ongoing_requests=16, max_queued_requests=64, health_check_period_s=5,
                  graceful_shutdown_timeout_s=600)
@serve.ingress(lambda: build_app(service()))
class PainterReplica:
    """One replica. Requests that it holds when it dies fail at once; who asked asks again."""

    def __init__(self) -> None:
        self._calls = Calls(service())

    async def Generate(self, request: GenerateRequest, grpc_context: RayServegRPCContext) -> GenerateReply:
        """One picture."""
        with _told(grpc_context):
            return await self._calls.generate(request)

    async def GenerateWithProgress(self, request: GenerateRequest,
                                   grpc_context: RayServegRPCContext) -> AsyncIterator[GenerateEvent]:
        """Every step, then the picture."""
        with _told(grpc_context):
            async for event in self._calls.generate_with_progress(request):
                yield event

    async def Edit(self, request: EditRequest, grpc_context: RayServegRPCContext) -> GenerateReply:
        """A picture painted anew inside a mask, or as a whole."""
        with _told(grpc_context):
            return await self._calls.edit(request)

    async def ListModels(self, request: ListModelsRequest) -> ListModelsReply:
        """The checkpoint names."""
        return await self._calls.list_models(request)


@contextmanager
def _told(context: RayServegRPCContext) -> Iterator[None]:
    """Every foreseen error of the block has its status and one plain line; one that nobody foresaw stays as it is."""
    try:
        yield
    except Exception as exc:
        if (status := read_status(exc)) is None:
            raise
        context.set_code(status[0])
        context.set_details(status[1])
        raise GeneratorError(status[1]) from exc


app = PainterReplica.bind()  # type: ignore[attr-defined]
