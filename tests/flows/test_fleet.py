"""A fleet on a real Prefect server: registered by `fengmian deploy`, run by real workers that are killed, swept and told of."""

import json
import uuid

import pytest

from tests.flows.conftest import ENGLISH
from tests.flows.fleet import SOURCE, Fleet, kill_all

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect")]
POST = f"post-{uuid.uuid4().hex[:8]}.md"
"""Of this file alone: other tests have runs on the same server."""


@pytest.fixture
def fleet(site, monkeypatch, prefect_server):
    pool = f"pool-{uuid.uuid4().hex[:8]}"
    blog = {"kind": "markdown", "folder": str(site.posts), "out": str(site.folder / "covers")}
    site.settle(monkeypatch, PREFECT_API_URL=prefect_server.api_url, FLEET__WORK_POOL=pool, FLEET__SILENT_S="35",
                CACHE__HOLD_S="5", GENERATOR__STEPS="40", SITES=json.dumps({"blog": blog}))
    site.post(POST, ENGLISH)
    fleet = Fleet(site, prefect_server, pool)
    assert site.run("deploy").code == 0
    return fleet


def test_a_run_whose_worker_was_killed_while_it_painted_ends_in_one_cover(fleet, site):
    died = fleet.start("cover-post/on-demand", source=SOURCE, post_id=POST)
    with fleet.working() as worker:
        fleet.wait_until_painting()
        kill_all(worker)
    assert fleet.state(died)["name"] == "Running"
    with fleet.working("second.log"):
        followers = fleet.sweep_until(lambda: [run for run in fleet.runs_of(POST) if run["id"] != died], within_s=180)
        assert fleet.state(died)["name"] == "Crashed"
        for _ in range(2):
            fleet.wait_for(fleet.start("sweep/fleet"), "Completed")
        fleet.wait_for(followers[0]["id"], "Completed")
        fleet.wait_for(fleet.start("sweep/fleet"), "Completed")
    assert len(fleet.runs_of(POST)) == 2
    assert len(fleet.told("published", POST)) == 1
    assert len(site.covers) == 2
