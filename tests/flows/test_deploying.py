"""`fengmian deploy` on a real Prefect server: what is registered, that twice changes nothing, and that the automations act."""

import json
import time
import uuid

import httpx
import pytest

from tests.flows.conftest import ENGLISH
from tests.services.receiver import receiving

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect")]
BLOG = {"kind": "markdown", "folder": "posts", "out": "covers"}


class Server:
    def __init__(self, api_url):
        self.api_url = api_url

    def ask(self, method, route, **more):
        answer = httpx.request(method, f"{self.api_url}/{route}", timeout=30, trust_env=False, **more)
        return answer.raise_for_status().json() if answer.content else None

    def deployment(self, name):
        return self.ask("GET", f"deployments/name/{name}")

    def automations(self):
        found = self.ask("POST", "automations/filter", json={})
        return {each["name"]: each for each in found if each["name"].startswith("fengmian: ")}

    def start(self, name, **parameters):
        return self.ask("POST", f"deployments/{self.deployment(name)['id']}/create_flow_run", json={"parameters": parameters})

    def move(self, run, kind, **state):
        self.ask("POST", f"flow_runs/{run['id']}/set_state", json={"state": {"type": kind, **state}, "force": True})

    def read(self, run):
        return self.ask("GET", f"flow_runs/{run['id']}")

    def beat(self, run):
        """A heartbeat, as a run's own process sends it."""
        flow = {"prefect.resource.id": f"prefect.flow.{run['flow_id']}", "prefect.resource.role": "flow",
                "prefect.resource.name": "cover-post"}
        self.ask("POST", "events", json=[{
            "id": str(uuid.uuid4()), "event": "prefect.flow-run.heartbeat", "related": [flow], "payload": {},
            "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run['id']}", "prefect.resource.name": run["name"]}}])

    def artifacts(self, key):
        return self.ask("POST", "artifacts/filter", json={"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"})

    def newest(self, key):
        data = self.artifacts(key)[0]["data"]
        return json.loads(data) if data.startswith("[") else data


@pytest.fixture
def server(prefect_server):
    return Server(prefect_server.api_url)


@pytest.fixture
def fleet(site, monkeypatch, prefect_server):
    """A site on the server, whose flows run in this process."""
    monkeypatch.setenv("PREFECT_HOME", str(prefect_server.home))
    site.post("a.md", ENGLISH)
    site.settle(monkeypatch, PREFECT_API_URL=prefect_server.api_url, FLEET__WORK_POOL=f"pool-{uuid.uuid4().hex[:8]}")
    settle(site, monkeypatch)
    return site


def settle(site, monkeypatch, **blog):
    site.settle(monkeypatch, SITES=json.dumps({"blog": {**BLOG, **blog}}))


def done(site):
    answer = site.run("deploy", "--json")
    assert answer.code == 0, answer.err
    return {each["name"]: each["done"] for each in answer.records}


def eventually(found, within_s=60):
    deadline = time.monotonic() + within_s
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return value


def run_here(site, flow, *given, **parameters):
    from flows import engine, wiring

    wiring.use(None)
    wiring.ports().generator = site.painter
    with engine.on_server(site.environment["FENGMIAN_PREFECT_API_URL"]):
        return flow(*given, **parameters)


def test_everything_is_registered_once_and_again_nothing_changes(fleet, monkeypatch, server):
    settle(fleet, monkeypatch, schedule="30 3 * * *", timezone="Asia/Shanghai")
    first = done(fleet)
    backlog = server.deployment("cover-backlog/blog")
    (schedule,) = backlog["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (
        True, "30 3 * * *", "Asia/Shanghai")
    assert (backlog["parameters"], backlog["global_concurrency_limit"]["limit"]) == ({"source": "site:blog"}, 1)
    assert backlog["pull_steps"] == [
        {"prefect.deployments.steps.set_working_directory": {"directory": str(fleet.folder)}}]
    cover, sweep = (server.deployment(name) for name in ("cover-post/on-demand", "sweep/fleet"))
    assert (cover["global_concurrency_limit"], cover["work_queue_name"], sweep["work_queue_name"]) == (None, "covers", "default")
    pool = fleet.environment["FENGMIAN_FLEET__WORK_POOL"]
    assert server.ask("GET", f"work_pools/{pool}/queues/covers")["concurrency_limit"] == 4
    assert server.deployment("retention/fleet")["parameters"] == {"dry_run": True}
    assert {"sweep/fleet", "verify-published/fleet", "weekly-report/fleet", "fengmian: silent runs are dead"} <= set(first)
    names = [name for name in first if "/" in name]
    before = [server.deployment(name) for name in names], server.automations()
    assert set(done(fleet).values()) == {"as it was"}
    assert ([server.deployment(name) for name in names], server.automations()) == before
    settle(fleet, monkeypatch, schedule="0 4 * * *")
    assert [name for name, what in done(fleet).items() if what != "as it was"] == ["cover-backlog/blog"]
    fleet.settle(monkeypatch, FLEET__COVERS_AT_ONCE="2")
    assert [name for name, what in done(fleet).items() if what != "as it was"] == ["work queue covers"]
    assert server.ask("GET", f"work_pools/{pool}/queues/covers")["concurrency_limit"] == 2


def test_a_limit_that_an_earlier_release_gave_the_covers_is_taken_off(fleet, server):
    done(fleet)
    found = server.deployment("cover-post/on-demand")
    server.ask("PATCH", f"deployments/{found['id']}", json={"concurrency_limit": 4})
    assert done(fleet)["cover-post/on-demand"] == "changed"
    assert server.deployment("cover-post/on-demand")["global_concurrency_limit"] is None
    assert set(done(fleet).values()) == {"as it was"}


def test_the_backlog_of_a_site_that_is_no_more_is_not_run_and_comes_back_with_it(fleet, monkeypatch, server):
    old = f"old-{uuid.uuid4().hex[:6]}"
    fleet.settle(monkeypatch, SITES=json.dumps({old: {**BLOG, "schedule": "0 4 * * *"}}))
    done(fleet)
    settle(fleet, monkeypatch)
    assert done(fleet)[f"cover-backlog/{old}"] == "unscheduled"
    assert server.deployment(f"cover-backlog/{old}")["schedules"] == []
    assert f"cover-backlog/{old}" not in done(fleet)
    fleet.settle(monkeypatch, SITES=json.dumps({old: {**BLOG, "schedule": "0 4 * * *"}}))
    assert done(fleet)[f"cover-backlog/{old}"] == "changed"
    assert len(server.deployment(f"cover-backlog/{old}")["schedules"]) == 1


def test_what_is_no_schedule_address_or_server_is_refused_before_anything_changes(fleet, monkeypatch, server):
    settle(fleet, monkeypatch, schedule="99 3 * * *")
    answer = fleet.run("deploy")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "fengmian: cover-backlog/blog: the schedule '99 3 * * *' is not cron's five fields, as 30 3 * * *\n"
    settle(fleet, monkeypatch)
    fleet.settle(monkeypatch, FLEET__NOTIFY_URL="nonsense://secret")
    answer = fleet.run("deploy")
    assert (answer.code, "secret" in answer.err, "fleet.notify_url" in answer.err) == (2, False, True)
    fleet.settle(monkeypatch, PREFECT_API_URL="")
    answer = fleet.run("deploy")
    assert (answer.code, answer.err.startswith("fengmian: setting prefect_api_url: it is empty")) == (2, True)


def test_people_hear_of_a_cover_that_waits_of_a_run_that_died_and_of_silence(fleet, monkeypatch, server):
    with receiving() as people:
        address = people.url.replace("http://", "json://")
        fleet.settle(monkeypatch, FLEET__NOTIFY_URL=address, FLEET__SILENT_S="10")
        assert "secret" not in json.dumps(done(fleet))
        assert set(done(fleet).values()) == {"as it was"}
        waits, dies, lives = (server.start("cover-post/on-demand", post_id=name) for name in ("waits.md", "dies.md", "lives.md"))

        def told(run, subject):
            return people.wait_for(lambda each: subject in each.body.decode() and run["id"] in each.body.decode(), within_s=60)

        for run in (dies, lives):
            server.move(run, "RUNNING")
            server.beat(run)
        server.move(waits, "PAUSED", name="Suspended")
        assert told(waits, "A cover waits for you")
        assert eventually(lambda: server.beat(lives) or server.read(dies)["state_type"] == "CRASHED")
        assert server.read(dies)["state"]["message"] == "no heartbeat for 10 s"
        assert told(dies, "A run died")
        assert server.read(lives)["state_type"] == "RUNNING"
    server.move(lives, "CANCELLED")
    server.move(waits, "CANCELLED")
    fleet.settle(monkeypatch, FLEET__NOTIFY_URL="")
    assert "removed" in done(fleet).values()
    assert set(server.automations()) == {"fengmian: silent runs are dead"}


def test_an_open_review_is_reminded_of_by_an_event_that_reaches_people(fleet, monkeypatch, server):
    from flows import engine_keeping

    settle(fleet, monkeypatch, review={"policy": "always", "remind_hours": 0.0001})
    with receiving() as people:
        fleet.settle(monkeypatch, FLEET__NOTIFY_URL=people.url.replace("http://", "json://"))
        done(fleet)
        run = server.start("cover-post/on-demand", source="site:blog", post_id="a.md")
        server.move(run, "PAUSED", name="Waiting", state_details={"pause_key": "review-1"})
        time.sleep(0.5)
        assert run_here(fleet, engine_keeping.sweep)["reminded"] >= 1
        assert people.wait_for(lambda each: run["id"] in each.body.decode(), within_s=60)
    assert "reminded:review-1" in server.read(run)["tags"]
    assert "reminded" not in run_here(fleet, engine_keeping.sweep)
    server.move(run, "CANCELLED")


def test_flows_leave_what_people_look_at(fleet, server):
    from flows import engine, engine_keeping
    from flows.errors import NotAsPublished

    assert run_here(fleet, engine.cover_backlog, "site:blog") == {"covered": 1, "kept": 0, "asked": 0}
    assert server.newest("backlog-site-blog")[0] == {
        "post": "a.md", "title": "How caching keeps small sites fast", "result": "covered", "reason": ""}
    run_here(fleet, engine.cover_post, "posts", "a.md")
    assert server.newest("picture").startswith("data:image/webp;base64,")
    assert run_here(fleet, engine_keeping.verify_published) == {"as published": 1}
    assert run_here(fleet, engine_keeping.retention) == {"pictures": 0, "entries": 0}
    assert run_here(fleet, engine_keeping.weekly_report) == {"covers": 1, "rejected": 0}
    assert "| site:blog | 1 | – |" in server.newest("weekly-report")
    assert server.newest("weekly-report-days").startswith("data:image/png;base64,")
    for file in fleet.covers:
        file.unlink()
    with pytest.raises(NotAsPublished, match=r"1 of 1 covers are not as published: site:blog a\.md: the picture is gone"):
        run_here(fleet, engine_keeping.verify_published)
    assert server.newest("verify-published")[0]["post"] == "a.md"


def test_the_backlog_of_a_reviewed_site_asks_about_each_version_of_a_post_once(fleet, monkeypatch, server):
    from flows import engine

    settle(fleet, monkeypatch, review="always")
    done(fleet)
    words = f"version {uuid.uuid4()}"
    post = fleet.post("a.md", ENGLISH.replace("layers of cache", words))

    def asked():
        runs = server.ask("POST", "flow_runs/filter", json={"deployments": {"name": {"any_": ["on-demand"]}}, "limit": 200})
        return [run for run in runs if run["parameters"].get("wishes", {}).get("only_missing")]

    before = len(asked())
    for _ in range(2):
        assert run_here(fleet, engine.cover_backlog, "site:blog")["asked"] == 1
    assert len(asked()) == before + 1
    assert asked()[0]["parameters"]["source"] == "site:blog"
    post.write_text(post.read_text().replace(words, f"another {uuid.uuid4()}"))
    run_here(fleet, engine.cover_backlog, "site:blog")
    assert len(asked()) == before + 2
    assert fleet.painter.calls == 0
