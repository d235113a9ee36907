"""A site whose runs are those of a real Prefect server, with workers that can be killed."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from flows import wiring
from tests.flows.conftest import Site
from tests.services.prefect import PrefectServer
from tests.services.process import Command, running

PREFECT = str(Path(sys.executable).with_name("prefect"))
SOURCE = "site:blog"


@dataclass
class Fleet:
    site: Site
    server: PrefectServer
    pool: str
    environment: dict[str, str] = field(init=False)

    def __post_init__(self):
        self.environment = self.site.environment | {
            "PREFECT_HOME": str(self.server.home), "PREFECT_API_URL": self.server.api_url, "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}

    def prefect(self, *words):
        done = subprocess.run([PREFECT, "--no-prompt", *words], cwd=self.site.folder, env=self.environment, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, deployment, **parameters):
        """A run of a deployment; its id."""
        found = self.ask("GET", f"deployments/name/{deployment}")
        given = {"parameters": parameters}
        return self.ask("POST", f"deployments/{found['id']}/create_flow_run", json=given)["id"]

    def ask(self, method, route, **more):
        for _ in range(20):  # a Prefect server over SQLite answers 503 to those that write together
            answer = httpx.request(method, f"{self.server.api_url}/{route}", timeout=30, trust_env=False, **more)
            if answer.status_code != 503:
                break
            time.sleep(0.5)
        return answer.raise_for_status().json() if answer.content else None

    def state(self, run_id):
        return self.ask("GET", f"flow_runs/{run_id}")["state"]

    def wait_for(self, run_id, *names, within_s=90):
        deadline = time.monotonic() + within_s
        while (state := self.state(run_id))["name"] not in names:
            assert time.monotonic() < deadline, f"run {run_id} is {state['name']} after {within_s} s: {state['message']}"
            time.sleep(0.3)
        return state

    def sweep_until(self, found, within_s):
        """Sweep again and again, as the schedule does."""
        deadline = time.monotonic() + within_s
        while not (value := found()):
            assert time.monotonic() < deadline, f"the sweep found nothing within {within_s} s"
            self.wait_for(self.start("sweep/fleet"), "Completed")
        return value

    def runs_of(self, post_id):
        runs = self.ask("POST", "flow_runs/filter", json={"flows": {"name": {"any_": ["cover-post"]}}, "limit": 200})
        return [run for run in runs if run["parameters"].get("post_id") == post_id and run["parameters"]["source"] == SOURCE]

    def table(self, key):
        wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
        found = self.ask("POST", "artifacts/filter", json=wanted)
        return json.loads(found[0]["data"])

    def told(self, happening, post_id):
        wiring.use(None)
        return list(wiring.ports().ledger.entries(site=SOURCE, post_id=post_id, happening=happening))

    def wait_until_painting(self, within_s=60):
        """A process has claimed a cover and not finished it."""
        deadline, file = time.monotonic() + within_s, self.site.folder / "state" / "covers.sqlite"
        while not (file.exists() and _count_claims(file)):
            assert time.monotonic() < deadline, f"nobody paints after {within_s} s"
            time.sleep(0.05)

    @contextmanager
    def working(self, log="worker.log"):
        """A worker; it and all it started is killed at once at the end, if it lives."""
        words = [sys.executable, "-m", "flows.cli", "work", "--pool", self.pool]
        environment = self.environment | {"PWD": str(self.site.folder)}
        command = Command(["env", "-C", str(self.site.folder), *words], self.site.folder / log, environment)
        with running(command, lambda: True, within_s=10) as process:
            try:
                yield process
            finally:
                kill_all(process)


def kill_all(process):
    """The process and all it started, at once; runs are in sessions of their own and would outlive their worker."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=10)


def _count_claims(file):
    with sqlite3.connect(file) as db:
        try:
            return db.execute("SELECT count(*) FROM claims").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
