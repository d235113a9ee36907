"""Jobs of the gateway as runs of a Prefect deployment, and what a run leaves behind for them."""

import json
import threading
from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID

from prefect.artifacts import create_table_artifact
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus

from flows.prefect_server import PrefectServer
from flows.record import CoverRecord
from integrations.errors import NotFound, Unavailable
from integrations.gateway.ports import Job, Order, Picture, Runs, Status

PAGE = 100
"""Runs asked for at once; a server answers with at most 200, and a run may have left two artifacts."""
RESULT_KEY, TENANT = "cover", "tenant:"
"""What a result is called, and how the tag begins that says whose a run is."""
STATUS: dict[StateType, Status] = {
    StateType.SCHEDULED: "queued", StateType.PENDING: "queued", StateType.RUNNING: "running", StateType.CANCELLING: "running",
    StateType.PAUSED: "waiting", StateType.COMPLETED: "succeeded", StateType.FAILED: "failed", StateType.CRASHED: "failed",
    StateType.CANCELLED: "cancelled"}


def leave_result(record: CoverRecord) -> None:
    """Keep what the cover became with the run itself, where people see it too; called inside the run."""
    rows = [{"url": file.path, "width": file.width, "height": file.height, "format": file.format, "sha256": file.sha256,
             "title": record.title, "alt_text": record.alt_text, "cover": record.cover} for file in record.files]
    create_table_artifact(key=RESULT_KEY, table=rows, description=f"{record.status}: {record.title}")


class PrefectRuns(Runs):
    """api_url: of the server. deployment: FLOW/NAME; its own wishes hold where an order has none. Safe between threads."""

    def __init__(self, api_url: str, deployment: str, timeout_s: float = 10) -> None:
        self._ask = PrefectServer(api_url, timeout_s).ask
        self._deployment = deployment
        self._writing = threading.Lock()

    def start(self, order: Order, idempotency_key: str) -> Job:
        """The one run of this key."""
        deployment = self._ask(lambda client: client.read_deployment_by_name(self._deployment))
        if deployment is None:
            raise Unavailable(f"prefect: there is no deployment {self._deployment!r} yet: run `prefect deploy`")
        wishes = {**(deployment.parameters.get("wishes") or {}), **order.wishes}
        tags = [f"order:{order.digest}", *([f"{TENANT}{order.tenant}"] if order.tenant else ["webhook"]),
                *([f"site:{order.site}"] if order.site else [])]
        with self._writing:  # a Prefect server over SQLite answers 503 to those that write together
            run = self._ask(lambda client: client.create_flow_run_from_deployment(
                deployment.id, parameters={"source": order.source, "post_id": order.post_id, "wishes": wishes}, tags=tags,
                idempotency_key=idempotency_key, name=f"cover {order.post_id}"[:200]))
        if run is None:
            raise Unavailable(f"prefect: the deployment {self._deployment!r} vanished")
        return _job(run, [])

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that exist, by id; what those that are over left behind is asked for in a second question."""
        found: dict[str, Job] = {}
        for first in range(0, len(job_ids), PAGE):
            found |= self._find(job_ids[first:first + PAGE])
        return found

    def _find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(job_id) for job_id in job_ids]))
        runs = self._ask(lambda client: client.read_flow_runs(flow_run_filter=wanted)) or []
        done = [run.id for run in runs if run.state_type == StateType.COMPLETED]
        results: dict[UUID, list[dict[str, Any]]] = {}
        if done:
            left = self._ask(lambda client: client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[RESULT_KEY])),
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=done))))
            results = {each.flow_run_id: _rows(each.data) for each in left or () if each.flow_run_id}
        return {str(run.id): _job(run, results.get(run.id, [])) for run in runs}

    def cancel(self, job_id: str) -> None:
        """Ask a run to end; Prefect's worker ends its process."""
        state: State[Any] = State(type=StateType.CANCELLING)
        answer = self._ask(lambda client: client.set_flow_run_state(UUID(job_id), state))
        if answer is None:
            raise NotFound(f"job {job_id} does not exist")
        if answer.status == SetStateStatus.WAIT:
            raise Unavailable(f"prefect: job {job_id} cannot be cancelled just now")

    def count(self) -> dict[Status, int]:
        """How many runs of the deployment there are in each state; one question a state."""
        of_ours = DeploymentFilter(name=DeploymentFilterName(any_=[self._deployment.partition("/")[2]]))
        counts: dict[Status, int] = {}
        for status in get_args(Status):
            kinds = FlowRunFilterStateType(any_=[kind for kind, meant in STATUS.items() if meant == status])
            wanted = FlowRunFilter(state=FlowRunFilterState(type=kinds))
            counts[status] = self._ask(lambda client, wanted=wanted: client.count_flow_runs(  # type: ignore[misc]
                deployment_filter=of_ours, flow_run_filter=wanted)) or 0
        return counts


def _rows(data: Any) -> list[dict[str, Any]]:
    rows = json.loads(data) if isinstance(data, str) else data
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _job(run: FlowRun, rows: list[dict[str, Any]]) -> Job:
    tags = dict(tag.partition(":")[::2] for tag in run.tags)
    status = STATUS[run.state_type or StateType.SCHEDULED]
    said = run.state.message if run.state and status in ("failed", "cancelled") else ""
    created = run.created or run.expected_start_time
    first = rows[0] if rows else {}
    return Job(
        id=str(run.id), status=status, tenant=tags.get("tenant", ""), order=tags.get("order", ""),
        post_id=str(run.parameters.get("post_id", "")), reason=said or "",
        created_at=created.timestamp() if created else 0.0, ended_at=run.end_time.timestamp() if run.end_time else None,
        title=first.get("title", ""), alt_text=first.get("alt_text", ""), cover=first.get("cover", ""),
        pictures=tuple(Picture(**{name: row[name] for name in ("url", "width", "height", "format", "sha256")}) for row in rows))
