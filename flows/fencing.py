"""The fence of a run: one that was taken for dead, and wakes up, does no work beside the run that follows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import StateType
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from flows.errors import Superseded
from flows.prefect_server import PrefectServer
from flows.sweep import key_after
from flows.wiring import ports


@contextmanager
def fenced() -> Iterator[None]:
    """Within this block of a flow, the steps ask whether the run is still the one that its server knows to be at work.

    Prefect lets a run that it has called Crashed run on, or even begin, so its own state is not enough: neither may another
    run have been started in its place.
    """
    api_url, run_id = PREFECT_API_URL.value(), flow_run.id
    if not api_url or not run_id:  # a server inside this process, which nobody else asks
        yield
        return
    server = PrefectServer(api_url)
    ports().fence = lambda: check_current(server, run_id)
    try:
        yield
    finally:
        ports().fence = None


def check_current(server: PrefectServer, run_id: str) -> None:
    """Raise Superseded for a run that is not running any more or that another one follows; Unavailable, Refused."""
    found = server.ask(lambda client: client.read_flow_run(UUID(run_id)))
    if found is None or found.state is None or found.state.type != StateType.RUNNING:
        told = f"is {found.state.name}" if found and found.state else "is gone"
        raise Superseded(f"run {run_id} {told} by now, so this process does no more")
    key = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key_after(run_id)]))
    if followers := server.ask(lambda client: client.read_flow_runs(flow_run_filter=key)):
        raise Superseded(f"run {run_id} was taken for dead, and {followers[0].id} was started in its place")
