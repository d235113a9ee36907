"""PrefectFleet: the runs of a Prefect server, as the sweep sees and moves them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.events import emit_event
from prefect.events.filters import EventAnyResourceFilter, EventFilter

from flows.prefect_server import PrefectServer
from flows.sweep import LEFT, SLOT_LOST, Fleet, Run, following, reminded
from integrations.errors import NotFound, Refused

FLOWS = ("cover-post", "cover-backlog")
REMINDER = "fengmian.review.reminder"
"""The event that an automation can send on to people."""
PAGE = 200
STATES: dict[StateType, Literal["at work", "cancelling", "waiting", "crashed", "failed"]] = {
    StateType.PENDING: "at work", StateType.RUNNING: "at work", StateType.CANCELLING: "cancelling", StateType.PAUSED: "waiting",
    StateType.CRASHED: "crashed", StateType.FAILED: "failed", StateType.CANCELLED: "crashed"}


class PrefectFleet(Fleet):
    """server: the one that the workers ask."""

    def __init__(self, server: PrefectServer) -> None:
        self._ask = server.ask

    def list_runs(self, since: float) -> list[Run]:
        """Those that are not over, and those that crashed or failed at `since` or later, or lost their slot."""
        under_way = [kind for kind, state in STATES.items() if state not in ("crashed", "failed")]
        ended = FlowRunFilterEndTime.model_validate({"after_": datetime.fromtimestamp(since, UTC)})
        over = FlowRunFilter(state=_in([StateType.CRASHED, StateType.FAILED]), end_time=ended)
        found = [_run(run) for wanted in (FlowRunFilter(state=_in(under_way)), over) for run in self._find(wanted)]
        cancelled = self._find(FlowRunFilter(state=_in([StateType.CANCELLED]), end_time=ended))
        return found + [_run(run) for run in cancelled if run.state and (run.state.message or "").startswith(SLOT_LOST)]

    def last_sign(self, run: Run) -> float:
        """The newest of its logs, and of the events about it and its tasks, heartbeats among them."""
        about = EventFilter(any_resource=EventAnyResourceFilter(id=[f"prefect.flow-run.{run.id}"]))
        page = self._ask(lambda client: client.read_events(about, limit=1))
        logs = self._ask(lambda client: client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run.id)])), limit=1,
                                                         sort=LogSort.TIMESTAMP_DESC))
        heard = [event.occurred.timestamp() for event in page.events] if page else []
        return max([run.since, *heard, *(log.timestamp.timestamp() for log in logs or [])])

    def list_started(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys under which a run was started."""
        found: set[str] = set()
        for start in range(0, len(keys), PAGE):
            some = FlowRunFilterIdempotencyKey(any_=list(keys[start:start + PAGE]))
            found |= {run.idempotency_key for run in self._find(FlowRunFilter(idempotency_key=some)) if run.idempotency_key}
        return found

    def count_tagged(self, tag: str) -> int:
        """How many runs have this tag."""
        return sum(1 for _ in self._find(FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]))))

    def end(self, run: Run, state: Literal["crashed", "cancelled"], reason: str) -> bool:
        """End it, unless it has moved on by now."""
        now = self._read(run)
        if now.state is None or now.state.timestamp.timestamp() != run.since:
            return False
        kind = StateType.CRASHED if state == "crashed" else StateType.CANCELLED
        proposed: State[Any] = State(type=kind, message=reason)
        answer = self._ask(lambda client: client.set_flow_run_state(UUID(run.id), proposed))
        return answer is not None and answer.status == SetStateStatus.ACCEPT

    def start_again(self, run: Run, key: str, parameters: Mapping[str, Any], tags: Sequence[str]) -> str:
        """The one run of this key; its id. Raises NotFound where its deployment is gone."""
        deployment_id = self._read(run).deployment_id
        started = self._ask(lambda client: client.create_flow_run_from_deployment(
            deployment_id, parameters=dict(parameters), tags=[*following(run.tags, run.id), *tags], idempotency_key=key,
            name=f"again {run.post_id or run.source}"[:200])) if deployment_id else None
        if started is None:
            raise NotFound(f"prefect: the deployment of run {run.id} is gone")
        return str(started.id)

    def leave(self, run: Run) -> None:
        """A tag, which the gateway asks for."""
        self._ask(lambda client: client.update_flow_run(UUID(run.id), tags=[*run.tags, LEFT]))

    def remind(self, run: Run) -> None:
        """An event about the run, and then a tag: one that cannot be set means another reminder, never none."""
        found = self._read(run)
        resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": found.name}
        flow = {"prefect.resource.id": f"prefect.flow.{found.flow_id}", "prefect.resource.role": "flow",
                "prefect.resource.name": "cover-post"}  # what the automation that tells people asks for
        emit_event(REMINDER, resource, related=[flow],
                   payload={"question": run.question, "source": run.source, "post_id": run.post_id})
        self._ask(lambda client: client.update_flow_run(UUID(run.id), tags=[*run.tags, reminded(run)]))

    def _read(self, run: Run) -> FlowRun:
        found = self._ask(lambda client: client.read_flow_run(UUID(run.id)))
        if found is None:
            raise NotFound(f"prefect: run {run.id} is gone")
        return found

    def _find(self, wanted: FlowRunFilter) -> Iterator[FlowRun]:
        for offset in range(0, 100 * PAGE, PAGE):
            page = self._ask(lambda client, offset=offset: client.read_flow_runs(  # type: ignore[misc]
                flow_filter=_of_ours(), flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE,
                offset=offset)) or []
            yield from page
            if len(page) < PAGE:
                return
        raise Refused(f"prefect: more than {100 * PAGE} runs at once; the sweep looks at no more")


def _of_ours() -> FlowFilter:
    return FlowFilter(name=FlowFilterName(any_=list(FLOWS)))


def _in(kinds: Sequence[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds)))


def _run(run: FlowRun) -> Run:
    assert run.state is not None
    return Run(id=str(run.id), state=STATES[run.state.type], since=run.state.timestamp.timestamp(),
               message=run.state.message or "", parameters=run.parameters, tags=frozenset(run.tags),
               question=run.state.state_details.pause_key or "", can_start_again=run.deployment_id is not None)
