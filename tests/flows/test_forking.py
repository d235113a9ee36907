"""Runs that begin as copies of one process: whole, each in its own environment, ended and told of as Prefect's own are."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from tests.flows.conftest import ENGLISH
from tests.flows.fleet import SOURCE, Fleet

POST = f"post-{uuid.uuid4().hex[:8]}.md"


def test_what_is_imported_before_the_copies_are_made_starts_no_thread_and_loads_no_torch():
    code = ("import importlib, sys, threading\nfrom flows.forking import PRELOADED\n"
            "for name in PRELOADED: importlib.import_module(name)\n"
            "assert threading.enumerate() == [threading.main_thread()], threading.enumerate()\n"
            "assert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def fleet(site, monkeypatch, prefect_server):
    blog = {"kind": "markdown", "folder": str(site.posts), "out": str(site.folder / "covers")}
    site.settle(monkeypatch, PREFECT_API_URL=prefect_server.api_url, FLEET__WORK_POOL=f"pool-{uuid.uuid4().hex[:8]}",
                SITES=json.dumps({"blog": blog}), GENERATOR__STEPS="200")
    site.post(POST, ENGLISH)
    fleet = Fleet(site, prefect_server, site.environment["FENGMIAN_FLEET__WORK_POOL"])
    assert site.run("deploy").code == 0
    return fleet


def family(worker):
    """The processes of runs: copies are in sessions of their own."""
    return [each for each in psutil.Process(worker.pid).children(recursive=True) if os.getsid(each.pid) == each.pid]


def wait_for(is_so, within_s=60):
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.1)
    return found


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_is_a_process_of_its_own_whose_death_is_told_and_that_can_be_cancelled(fleet, site):
    with fleet.working() as worker:
        killed = fleet.start("cover-post/on-demand", source=SOURCE, post_id=POST)
        fleet.wait_until_painting()
        (process,) = family(worker)
        os.kill(process.pid, signal.SIGKILL)
        assert "SIGKILL" in fleet.wait_for(killed, "Crashed", within_s=30)["message"]
        cancelled = fleet.start("cover-post/on-demand", source=SOURCE, post_id=POST)
        fleet.wait_for(cancelled, "Running")
        fleet.ask("POST", f"flow_runs/{cancelled}/set_state", json={"state": {"type": "CANCELLING"}})
        fleet.wait_for(cancelled, "Cancelled", within_s=60)
        wait_for(lambda: not family(worker))
    assert (site.posts / POST).read_text() == ENGLISH


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_run_begins_soon_and_a_bad_one_fails_with_its_reason(fleet, site):
    with fleet.working():
        bad = fleet.start("cover-post/on-demand", source=SOURCE, post_id="nowhere.md")
        assert "nowhere.md" in fleet.wait_for(bad, "Failed")["message"]
        again = fleet.start("cover-post/on-demand", source=SOURCE, post_id="nowhere.md")
        fleet.wait_for(again, "Failed")
    run = fleet.ask("GET", f"flow_runs/{again}")
    assert run["estimated_start_time_delta"] < 5, run["estimated_start_time_delta"]
