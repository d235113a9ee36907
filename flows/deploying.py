"""What `fengmian deploy` registers on a Prefect server: work pool, deployments with their schedules, and automations.

Every step can be done twice: what is as it should be is left alone. deploy/prefect.yaml is the same for one folder of posts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from flows import engine, engine_keeping
from flows.errors import BadInput
from flows.prefect_server import PrefectServer
from flows.settings import Settings
from flows.site_settings import SITE, SiteSettings

OURS, OF_A_SITE = "fengmian", "fengmian-site"
"""Tags by which our deployments are known."""
COVERS = "covers"
"""The queue of the pool that lets out so many covers at once, oldest first. The other flows do not wait behind them."""
Done = Literal["made", "changed", "as it was", "unscheduled"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One deployment. cron: "" for one that runs when asked for. at_once: how many runs; None: as its queue lets out."""

    flow: Flow[..., Any]
    name: str
    description: str
    cron: str = ""
    timezone: str = "UTC"
    at_once: int | None = None
    queue: str = "default"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = (OURS,)

    @property
    def full_name(self) -> str:
        """FLOW/NAME."""
        return f"{self.flow.name}/{self.name}"

    @property
    def entrypoint(self) -> str:
        """The module and function, which a worker imports."""
        return f"{self.flow.fn.__module__}.{self.flow.fn.__name__}"


def plan(settings: Settings) -> list[Wanted]:
    """All deployments of these settings."""
    sites = list(settings.sites)
    only = {"source": f"{SITE}{sites[0]}"} if len(sites) == 1 else {}
    return [
        Wanted(flow=engine.cover_post, name="on-demand", description="One post, when asked for. Give source and post_id.",
               queue=COVERS, parameters=only),
        *(_plan_backlog(name, site) for name, site in settings.sites.items()),
        # No limit: a sweep that died must not keep the next one from running.
        Wanted(flow=engine_keeping.sweep, name="fleet", cron="*/5 * * * *",
               description="Runs that died are started again; open reviews are reminded of."),
        Wanted(flow=engine_keeping.verify_published, name="fleet", cron="17 5 * * *",
               description="Posts and pictures of the last week are read again; fails where they are not as published."),
        Wanted(flow=engine_keeping.retention, name="fleet", cron="47 5 * * 0", parameters={"dry_run": settings.retention.dry_run},
               description="Pictures that no post was given, deleted or, in a dry run, listed."),
        Wanted(flow=engine_keeping.weekly_report, name="fleet", cron="7 6 * * 1",
               description="Covers, acceptance, painting and reasons of rejections of the last week."),
    ]


def _plan_backlog(name: str, site: SiteSettings) -> Wanted:
    return Wanted(flow=engine.cover_backlog, name=name, description=f"Every post of {name} without a cover.", cron=site.schedule,
                  timezone=site.timezone, at_once=1, parameters={"source": f"{SITE}{name}"}, tags=(OURS, OF_A_SITE))


def deploy(server: PrefectServer, settings: Settings, folder: Path) -> Iterator[tuple[str, Done]]:
    """Bring the server to what the settings say, one thing after another. folder: where flows run, with fengmian.yaml.

    Raises BadInput for a schedule that is none, Unavailable, Refused.
    """
    pool, wanted = settings.fleet.work_pool, plan(settings)
    schedules = {each.full_name: _schedules(each) for each in wanted}  # before anything is changed
    yield f"work pool {pool}", _bring_pool(server, pool)
    yield f"work queue {COVERS}", _bring_queue(server, pool, settings.fleet.covers_at_once)
    for each in wanted:
        yield each.full_name, _bring(server, _fields(each, pool, folder, schedules[each.full_name]), each)
    for name in _unschedule_others(server, {each.full_name for each in wanted}):
        yield name, "unscheduled"


def _bring_pool(server: PrefectServer, name: str) -> Done:
    if server.ask(lambda client: client.read_work_pool(name)) is not None:
        return "as it was"
    pool = WorkPoolCreate(name=name, type="process", base_job_template=ProcessWorker.get_default_base_job_template())
    server.ask(lambda client: client.create_work_pool(pool))
    return "made"


def _bring_queue(server: PrefectServer, pool: str, at_once: int) -> Done:
    found = server.ask(lambda client: client.read_work_queue_by_name(COVERS, pool))
    if found is not None and found.concurrency_limit == at_once:
        return "as it was"
    if found is None:
        server.ask(lambda client: client.create_work_queue(COVERS, concurrency_limit=at_once, work_pool_name=pool))
        return "made"
    server.ask(lambda client: client.update_work_queue(found.id, concurrency_limit=at_once))
    return "changed"


def _schedules(wanted: Wanted) -> list[DeploymentScheduleCreate]:
    if not wanted.cron:
        return []
    try:
        cron = CronSchedule(cron=wanted.cron, timezone=wanted.timezone)
    except ValueError:
        raise BadInput(f"{wanted.full_name}: the schedule {wanted.cron!r} is not cron's five fields, as 30 3 * * *") from None
    return [DeploymentScheduleCreate(schedule=cron, slug=wanted.name)]


def _fields(wanted: Wanted, pool: str, folder: Path, schedules: Sequence[DeploymentScheduleCreate]) -> dict[str, Any]:
    return {
        "name": wanted.name, "description": wanted.description, "entrypoint": wanted.entrypoint, "work_pool_name": pool,
        "work_queue_name": wanted.queue, "parameters": dict(wanted.parameters), "tags": list(wanted.tags),
        "concurrency_limit": wanted.at_once,
        "schedules": list(schedules), "parameter_openapi_schema": parameter_schema(wanted.flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]}


def _bring(server: PrefectServer, fields: Mapping[str, Any], wanted: Wanted) -> Done:
    found = server.ask(lambda client: client.read_deployment_by_name(wanted.full_name))
    if found is not None and _told(found) == _wished(fields):
        return "as it was"

    def create(client: SyncPrefectClient) -> None:
        client.create_deployment(client.create_flow(wanted.flow), **fields)

    server.ask(create)
    if found is not None and found.global_concurrency_limit and wanted.at_once is None:
        server.ask(lambda client: client.update_deployment(found.id, DeploymentUpdate(concurrency_limit=None)))
    return "made" if found is None else "changed"


def _told(found: DeploymentResponse) -> dict[str, Any]:
    """What we decide of a deployment, as the server has it."""
    limit = found.global_concurrency_limit
    return {"description": found.description, "entrypoint": found.entrypoint, "work_pool_name": found.work_pool_name,
            "work_queue_name": found.work_queue_name, "parameters": found.parameters, "tags": sorted(found.tags),
            "concurrency_limit": limit.limit if limit else None,
            "schedules": [_cron(each.schedule) for each in found.schedules], "pull_steps": found.pull_steps,
            "parameter_openapi_schema": found.parameter_openapi_schema}


def _wished(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Callable[[Any], Any]] = {"tags": sorted, "schedules": lambda them: [_cron(each.schedule) for each in them]}
    return {name: kept.get(name, lambda value: value)(value) for name, value in fields.items()
            if name not in ("name", "enforce_parameter_schema")}


def _cron(schedule: Any) -> tuple[str, str]:
    return getattr(schedule, "cron", ""), getattr(schedule, "timezone", "") or "UTC"


def _unschedule_others(server: PrefectServer, wanted: set[str]) -> list[str]:
    """Backlogs of sites that the settings know no longer run no more; what they did is somebody's history and stays."""
    of_sites = DeploymentFilter(tags=DeploymentFilterTags(all_=[OF_A_SITE]))
    found = server.ask(lambda client: client.read_deployments(deployment_filter=of_sites)) or []
    others = {f"{engine.cover_backlog.name}/{each.name}": each for each in found if each.schedules}
    gone = sorted(set(others) - wanted)
    for name in gone:
        for schedule in others[name].schedules:
            server.ask(lambda client, of=others[name].id, one=schedule.id: client.delete_deployment_schedule(  # type: ignore[misc]
                of, one))
    return gone
