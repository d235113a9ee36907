"""Jobs of the gateway as runs of a Prefect deployment, and what a run leaves behind for them."""

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort

from flows.prefect_server import PrefectServer
from flows.record import CoverRecord
from flows.sweep import DAY_S, JOB, LEFT, OVER_BUDGET, SLOT_LOST, may_pass
from integrations.errors import NotFound, Unavailable
from integrations.gateway.ports import OVER, Job, Order, Picture, Runs, Status

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


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a job whose run died may wait for the next: for the first of the sweep's runs, and for further ones. 0: none."""

    first_s: float = 0.0
    later_s: float = 0.0


class PrefectRuns(Runs):
    """api_url: of the server. deployment: FLOW/NAME; its own wishes hold where an order has none. Safe between threads.

    A job whose run died is as far as the newest run that the sweep has started in its place; while it waits for one it is
    queued, and failed where the sweep has left it or patience ends.
    """

    def __init__(self, api_url: str, deployment: str, timeout_s: float = 10,
                 patience: Patience = Patience()) -> None:
        self._ask = PrefectServer(api_url, timeout_s).ask
        self._patience = patience
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
        return self._job(run, self._follow([run])[run.id], [])

    def find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs that exist, by id; what those that are over left behind is asked for in a second question."""
        found: dict[str, Job] = {}
        for first in range(0, len(job_ids), PAGE):
            found |= self._find(job_ids[first:first + PAGE])
        return found

    def _find(self, job_ids: Sequence[str]) -> dict[str, Job]:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(job_id) for job_id in job_ids]))
        runs = self._ask(lambda client: client.read_flow_runs(flow_run_filter=wanted)) or []
        newest = self._follow(runs)
        done = [run.id for run in newest.values() if run.state_type == StateType.COMPLETED]
        results: dict[UUID, list[dict[str, Any]]] = {}
        if done:
            left = self._ask(lambda client: client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[RESULT_KEY])),
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=done))))
            results = {each.flow_run_id: _rows(each.data) for each in left or () if each.flow_run_id}
        return {str(run.id): self._job(run, newest[run.id], results.get(newest[run.id].id, [])) for run in runs}

    def _follow(self, runs: Sequence[FlowRun]) -> dict[UUID, FlowRun]:
        """The newest run of each chain, by the id of its first; a run that nothing follows is its own."""
        newest, unwell = {run.id: run for run in runs}, (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
        if tags := [f"{JOB}{run.id}" for run in runs if run.state_type in unwell]:
            for follower in self._list_tagged(tags):
                first = next(UUID(tag.removeprefix(JOB)) for tag in follower.tags if tag in tags)
                newest[first] = follower
        return newest

    def _list_tagged(self, tags: Sequence[str]) -> Iterator[FlowRun]:
        """The runs that have any of the tags, oldest first."""
        wanted = FlowRunFilter(tags=FlowRunFilterTags(any_=list(tags)))
        for offset in itertools.count(0, PAGE):
            page = self._ask(lambda client, offset=offset: client.read_flow_runs(  # type: ignore[misc]
                flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE, offset=offset)) or []
            yield from page
            if len(page) < PAGE:
                return

    def cancel(self, job_id: str) -> None:
        """Ask a run to end; Prefect's worker ends its process. One that died is not begun again."""
        found = self._ask(lambda client: client.read_flow_run(UUID(job_id)))
        if found is None:
            raise NotFound(f"job {job_id} does not exist")
        newest = self._follow([found])[found.id]
        is_dead = self._is_pending(newest)
        state: State[Any] = State(type=StateType.CANCELLED if is_dead else StateType.CANCELLING)
        answer = self._ask(lambda client: client.set_flow_run_state(newest.id, state, force=is_dead))
        if answer is None:
            raise NotFound(f"job {job_id} does not exist")
        if answer.status == SetStateStatus.WAIT:
            raise Unavailable(f"prefect: job {job_id} cannot be cancelled just now")

    def _is_pending(self, run: FlowRun) -> bool:
        """Whether the run is over and another one is to follow it."""
        if run.state is None or LEFT in run.tags:
            return False
        told, state_type = run.state.message or "", run.state_type
        is_passing = (state_type == StateType.CRASHED or (state_type == StateType.FAILED and may_pass(told))
                      or (state_type == StateType.CANCELLED and told.startswith(SLOT_LOST)))
        is_follower = any(tag.startswith(JOB) for tag in run.tags)
        within_s = self._patience.later_s if is_follower else self._patience.first_s
        until = run.state.timestamp.timestamp() + within_s + (DAY_S if told.startswith(OVER_BUDGET) else 0)
        return is_passing and bool(within_s) and time.time() < until

    def _job(self, first: FlowRun, newest: FlowRun, rows: list[dict[str, Any]]) -> Job:
        is_pending = self._is_pending(newest)
        return _job(first, newest, "queued" if is_pending else STATUS[newest.state_type or StateType.SCHEDULED], rows)

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


def _job(first: FlowRun, newest: FlowRun, status: Status, rows: list[dict[str, Any]]) -> Job:
    """first: the run that the job is known by. newest: the one that says how far it is."""
    tags = dict(tag.partition(":")[::2] for tag in first.tags)
    is_unwell = newest.state_type in (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)
    said = newest.state.message if newest.state and is_unwell else ""
    created, ended = first.created or first.expected_start_time, newest.end_time if status in OVER else None
    named = rows[0] if rows else {}
    return Job(
        id=str(first.id), status=status, tenant=tags.get("tenant", ""), order=tags.get("order", ""),
        post_id=str(first.parameters.get("post_id", "")), reason=said or "",
        created_at=created.timestamp() if created else 0.0, ended_at=ended.timestamp() if ended else None,
        title=named.get("title", ""), alt_text=named.get("alt_text", ""), cover=named.get("cover", ""),
        pictures=tuple(Picture(**{name: row[name] for name in ("url", "width", "height", "format", "sha256")}) for row in rows))
