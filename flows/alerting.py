"""Automations of the Prefect server: a run whose heartbeats end is Crashed, and people hear of what needs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from pydantic import SecretStr

from flows.errors import SettingsError
from flows.fleet_settings import FleetSettings
from flows.prefect_server import PrefectServer
from flows.sweep_prefect import FLOWS, REMINDER

Done = Literal["made", "changed", "as it was", "removed"]
HEARTBEAT = "prefect.flow-run.heartbeat"
LIFE = frozenset(f"prefect.flow-run.{state}" for state in (
    "heartbeat", "Completed", "Failed", "Crashed", "Cancelled", "Paused", "Suspended", "AwaitingRetry"))
"""After a heartbeat one of these comes in time, or the process is dead."""
ANY_RUN: dict[str, str | list[str]] = {"prefect.resource.id": "prefect.flow-run.*"}
SHORTEST_S = 10
"""Prefect waits no less for what does not come."""
BLOCK = "fengmian-people"
ALL_FLOWS = (*FLOWS, "sweep", "verify-published", "retention", "weekly-report")
LINK = "{{ flow_run.parameters.source }} {{ flow_run.parameters.post_id }}\n{{ flow_run|ui_url or flow_run.id }}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What people are told of. flows: whose runs. subject, body: Jinja, as Prefect has it."""

    name: str
    events: frozenset[str]
    flows: tuple[str, ...]
    subject: str
    body: str


ALERTS = (
    Alert(name="fengmian: a cover waits for an editor", events=frozenset(("prefect.flow-run.Suspended", REMINDER)),
          flows=("cover-post",), subject="A cover waits for you 有封面待审",
          body="{{ flow_run.name }}\n" + LINK),
    Alert(name="fengmian: a run died", events=frozenset(("prefect.flow-run.Crashed",)), flows=ALL_FLOWS,
          subject="A run died 任务崩溃", body="{{ flow_run.name }}: {{ flow_run.state.message }}\n" + LINK),
    Alert(name="fengmian: not as published", events=frozenset(("prefect.flow-run.Failed",)), flows=("verify-published",),
          subject="Covers are not as published 封面与发布时不符", body="{{ flow_run.state.message }}\n" + LINK),
)


def alert(server: PrefectServer, settings: FleetSettings) -> Iterator[tuple[str, Done]]:
    """Bring the automations to what the settings say; within flows.engine.on_server.

    Raises SettingsError for an address that Apprise does not know, Unavailable, Refused.
    """
    yield _bring(server, _crash_silent(settings.silent_s))
    url = settings.notify_url.get_secret_value()
    block = _save_block(url) if url else None
    if block is None:
        _forget_block(server)
    for each in ALERTS:
        if block:
            yield _bring(server, _tell(each, block))
        elif _remove(server, each.name):
            yield each.name, "removed"


def _crash_silent(silent_s: float) -> AutomationCore:
    trigger = EventTrigger(posture=Posture.Proactive, after={HEARTBEAT}, expect=set(LIFE), match=ANY_RUN,
                           match_related=_of_flows(ALL_FLOWS), for_each={"prefect.resource.id"}, threshold=1,
                           within=timedelta(seconds=max(silent_s, SHORTEST_S)))
    action = ChangeFlowRunState(state=StateType.CRASHED, name=None, message=f"no heartbeat for {silent_s:.0f} s", force=False)
    return AutomationCore(name="fengmian: silent runs are dead", description="The sweep starts them again.", trigger=trigger,
                          actions=[action])


def _tell(alert: Alert, block: UUID) -> AutomationCore:
    trigger = EventTrigger(posture=Posture.Reactive, expect=set(alert.events), match=ANY_RUN,
                           match_related=_of_flows(alert.flows), for_each={"prefect.resource.id"}, threshold=1,
                           within=timedelta(0))
    return AutomationCore(name=alert.name, trigger=trigger, actions=[
        SendNotification(block_document_id=block, subject=alert.subject, body=alert.body)])


def _of_flows(names: tuple[str, ...]) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": "flow", "prefect.resource.name": list(names)}


def _save_block(url: str) -> UUID:
    """Prefect's block for Slack takes any address of Apprise, and is the one that every server can load."""
    from apprise import Apprise

    if not Apprise().add(url):
        raise SettingsError("setting fleet.notify_url: Apprise does not know such an address; see https://github.com/caronc/apprise")
    saved = SlackWebhook(url=SecretStr(url)).save(BLOCK, overwrite=True)
    assert isinstance(saved, UUID)
    return saved


def _forget_block(server: PrefectServer) -> None:
    """An address that is not told any more is not kept either."""
    found = server.ask(lambda client: client.read_block_document_by_name(BLOCK, SlackWebhook.get_block_type_slug()))
    if found is not None:
        server.ask(lambda client: client.delete_block_document(found.id))


def _bring(server: PrefectServer, wanted: AutomationCore) -> tuple[str, Done]:
    found = next(iter(server.ask(lambda client: client.read_automations_by_name(wanted.name)) or []), None)
    if found is None:
        server.ask(lambda client: client.create_automation(wanted))
        return wanted.name, "made"
    if _plain(found) == _plain(wanted):
        return wanted.name, "as it was"
    server.ask(lambda client: client.update_automation(found.id, wanted))
    return wanted.name, "changed"


def _remove(server: PrefectServer, name: str) -> bool:
    found = server.ask(lambda client: client.read_automations_by_name(name)) or []
    for each in found:
        server.ask(lambda client, one=each.id: client.delete_automation(one))  # type: ignore[misc]
    return bool(found)


def _plain(automation: AutomationCore) -> dict[str, object]:
    """What we decide of an automation; that somebody has switched it off is theirs."""
    told = automation.model_dump(mode="json", include={"name", "description", "trigger", "actions"})
    trigger = told["trigger"]
    told["trigger"] = {**trigger, "id": None, **{name: sorted(trigger[name]) for name in ("after", "expect", "for_each")}}
    return told
