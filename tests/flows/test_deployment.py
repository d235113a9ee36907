"""deploy/prefect.yaml as it stands, on a real server: deployed, run by a real worker, and due every night."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import BLOCKED, ENGLISH, REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect")]
PREFECT = str(Path(sys.executable).with_name("prefect"))


@pytest.fixture
def prefect(site, prefect_server):
    """Runs the prefect command line against the server, in the environment that a worker of this site has."""
    environment = {
        **site.environment,
        "PREFECT_HOME": str(prefect_server.home),
        "PREFECT_API_URL": prefect_server.api_url,
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "COVER_SITE": str(site.folder),
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *words],
            cwd=site.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def deployed(prefect):
    prefect("work-pool", "create", "fengmian", "--type", "process", "--overwrite")
    prefect("deploy", "--all", "--prefect-file", str(REPOSITORY / "deploy" / "prefect.yaml"))


def work(prefect) -> None:
    prefect("worker", "start", "--pool", "fengmian", "--type", "process", "--run-once")


def find_runs(server, name):
    answer = httpx.post(f"{server.api_url}/flow_runs/filter", timeout=30, trust_env=False, json={
        "deployments": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_ASC"})
    return answer.raise_for_status().json()


def test_the_nightly_deployment_covers_the_site(site, prefect, deployed, prefect_server):
    post, bad = site.post("a.md", ENGLISH), site.post("b.md", BLOCKED)
    prefect("deployment", "run", "cover-backlog/nightly")
    work(prefect)
    assert "../covers/a-" in post.read_text()
    assert bad.read_text() == BLOCKED
    assert len(site.covers) == 2
    ended = [
        run["state"] for run in find_runs(prefect_server, "nightly") if run["state_type"] in ("COMPLETED", "FAILED")
    ]
    assert [state["name"] for state in ended] == ["Failed"]
    assert "1 of 2 posts got no cover: posts/b.md: words.body says block" in ended[0]["message"]


def test_the_nightly_deployment_is_due_every_night(deployed, prefect_server):
    answer = httpx.get(f"{prefect_server.api_url}/deployments/name/cover-backlog/nightly", timeout=30, trust_env=False)
    (schedule,) = answer.raise_for_status().json()["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (
        True,
        "30 3 * * *",
        "Asia/Shanghai",
    )


def test_the_on_demand_deployment_covers_one_post(site, prefect, deployed):
    asked, other = site.post("a.md", ENGLISH), site.post("b.md", ENGLISH)
    prefect("deployment", "run", "cover-post/on-demand", "--param", "post_id=posts/a.md")
    work(prefect)
    assert "../covers/a-" in asked.read_text()
    assert other.read_text() == ENGLISH
