"""The story as Prefect flows against a real server: what is tried again, what the server sees, what is scheduled."""

import subprocess
import sys

import httpx
import pytest

from flows import wiring
from integrations.errors import Refused, Unavailable
from integrations.ports import PostSource
from prompts.article import Article
from tests.flows.conftest import BLOCKED, ENGLISH

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect")]


@pytest.fixture
def served(site, monkeypatch, prefect_server):
    """A site whose stories run on the server, without long pauses between tries."""
    monkeypatch.setenv("PREFECT_HOME", str(prefect_server.home))
    site.settle(monkeypatch, PREFECT_API_URL=prefect_server.api_url)
    from flows import engine

    monkeypatch.setattr(engine, "BACKOFF_S", 0.05)
    engine.as_task.cache_clear()
    yield site
    engine.as_task.cache_clear()


class Source(PostSource):
    """One post, whose reading fails in turn with each of `failures`."""

    def __init__(self, *failures: Exception):
        self.failures, self.reads = list(failures), 0

    def list_posts(self):
        return iter(["one"])

    def read(self, post_id):
        self.reads += 1
        if self.failures:
            raise self.failures.pop(0)
        return Article(
            id=post_id,
            title="How caching works",
            text="Caching keeps a small site fast.",
            language="en",
            source=post_id,
        )

    def write_cover(self, post_id, cover, *, force=False):
        raise Refused("read only")


@pytest.fixture
def desk(served):
    """Adapters whose one source is given by the test."""
    wiring.use(None)
    ports = wiring.ports()
    ports.generator = served.painter
    return ports


def cover(desk, source, api_url):
    from flows import engine
    from flows.record import Wishes

    desk.open_source = lambda _: source
    with engine.on_server(api_url):
        return engine.cover_post("there", "one", Wishes())


def runs(api_url, kind="flow_runs", **filters):
    answer = httpx.post(
        f"{api_url}/{kind}/filter", json={"sort": "EXPECTED_START_TIME_DESC", **filters}, timeout=30, trust_env=False
    )
    found = answer.raise_for_status().json()
    return [run for run in found if run["state_type"] != "SCHEDULED"]  # other tests' schedules are on this server too


def test_a_source_that_is_unavailable_twice_is_tried_again(desk, prefect_server):
    source = Source(Unavailable("cms: not now"), Unavailable("cms: not now"))
    record = cover(desk, source, prefect_server.api_url)
    assert (record.status, source.reads) == ("covered", 3)


def test_a_source_that_stays_away_is_given_up(desk, prefect_server):
    source = Source(*[Unavailable("cms: not now")] * 9)
    with pytest.raises(Unavailable, match="cms: not now"):
        cover(desk, source, prefect_server.api_url)
    assert source.reads == 4


@pytest.mark.parametrize("error", [Refused("cms: 403"), KeyError("a bug")])
def test_what_will_not_pass_by_itself_is_tried_once(desk, prefect_server, error):
    source = Source(error)
    with pytest.raises(type(error)):
        cover(desk, source, prefect_server.api_url)
    assert source.reads == 1


def test_a_blocked_post_is_tried_once_and_its_run_failed(served, prefect_server):
    served.post("bad.md", BLOCKED)
    answer = served.run("cover", "posts/bad.md")
    assert (answer.code, served.painter.calls) == (1, 0)
    assert answer.err.startswith("fengmian: bad.md: words.body says block (gambling: 真人荷官在线发牌")
    assert answer.err.count("\n") == 1
    assert runs(prefect_server.api_url)[0]["state_name"] == "Failed"


def test_a_command_is_a_flow_run_that_the_server_saw(served, prefect_server):
    served.post("a.md")
    answer = served.run("cover", "posts/a.md", "--seed", "3", "--json")
    assert (answer.code, answer.err, answer.record["status"]) == (0, "", "covered")
    run = next(run for run in runs(prefect_server.api_url) if run["name"] == "cover a.md")
    assert run["state_name"] == "Completed"
    assert run["parameters"]["wishes"]["seed"] == 3
    tasks = runs(prefect_server.api_url, "task_runs", flow_runs={"id": {"any_": [run["id"]]}})
    assert {task["name"].rpartition("-")[0] for task in tasks} == {"fetch", "summarise", "paint-once", "deliver"}


def test_the_backlog_runs_on_the_server_too(served, prefect_server):
    served.post("a.md", BLOCKED)
    served.post("b.md", ENGLISH)
    answer = served.run("backlog", "posts")
    assert answer.code == 1
    assert answer.out.rstrip().endswith("1 covered, 1 failed")
    run = runs(prefect_server.api_url)[0]
    assert (run["name"], run["state_name"]) == ("backlog of posts", "Failed")
    assert "1 of 2 posts got no cover: a.md: words.body says block" in run["state"]["message"]
    served.post("a.md", ENGLISH)
    assert served.run("backlog", "posts").code == 0
    assert runs(prefect_server.api_url)[0]["state_name"] == "Completed"


def test_without_a_server_no_engine_is_loaded(site):
    site.post("a.md")
    code = ("import sys, flows.cli\nassert flows.cli.run(['cover', 'posts/a.md']) == 0\n"
            "assert flows.cli.run(['backlog', 'posts']) == 0\nassert 'prefect' not in sys.modules\nprint('plain')")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=site.folder, env=site.environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "plain"), done.stderr


def test_a_server_out_of_reach_is_one_line(site, monkeypatch):
    site.post("a.md")
    site.settle(monkeypatch, PREFECT_API_URL="http://127.0.0.1:1/api")
    answer = site.run("cover", "posts/a.md")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("fengmian: prefect: no server answers at http://127.0.0.1:1/api: ")
    assert answer.err.count("\n") == 1
