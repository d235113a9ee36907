"""Fleets for the sweep's tests: one in memory, and the runs of a real Prefect server; with hands that do what workers do."""

import itertools
import time
import uuid
from dataclasses import replace
from uuid import UUID

from flows.sweep import LEFT, Fleet, Run, following, reminded
from integrations.errors import NotFound

POST = {"source": "site:blog", "post_id": "a.md"}


class MemoryFleet(Fleet):
    """The twin. Runs that it starts are at work at once."""

    def __init__(self):
        self.runs, self.signs, self.keys, self.ids = {}, {}, {}, itertools.count(1)

    # As the sweep sees it.

    def list_runs(self, since):
        open_ones = ("at work", "cancelling", "waiting")
        return [run for run in self.runs.values()
                if run.state in open_ones or (run.state in ("crashed", "failed") and run.since >= since)]

    def last_sign(self, run):
        return max(run.since, self.signs.get(run.id, 0))

    def list_started(self, keys):
        return set(keys) & set(self.keys)

    def count_tagged(self, tag):
        return sum(tag in run.tags for run in self.runs.values())

    def end(self, run, state, reason):
        if self._read(run).since != run.since:
            return False
        self.move(run.id, state, reason)
        return True

    def start_again(self, run, key, parameters, tags):
        if key not in self.keys:
            kept = following(self._read(run).tags, run.id)
            self.keys[key] = self.start(tags={*kept, *tags}, parameters=dict(parameters))
        return self.keys[key]

    def leave(self, run):
        self.runs[run.id] = replace(self._read(run), tags=run.tags | {LEFT})

    def remind(self, run):
        self.runs[run.id] = replace(self._read(run), tags=run.tags | {reminded(run)})

    def _read(self, run):
        if run.id not in self.runs:
            raise NotFound(f"run {run.id} is gone")
        return self.runs[run.id]

    # Hands.

    def start(self, tags=(), **changes):
        run_id = str(next(self.ids))
        given = {"parameters": POST, "state": "at work", "since": time.time(), **changes}
        self.runs[run_id] = Run(id=run_id, tags=frozenset(tags), **given)
        return run_id

    def move(self, run_id, state, message="", question=""):
        self.runs[run_id] = replace(self.runs[run_id], state=state, message=message, question=question, since=time.time())

    def find(self, run_id):
        return self.runs[run_id]


class OnPrefect:
    """The adapter over a deployment of its own, and what workers do to its runs."""

    def __init__(self, api_url):
        from prefect.client.orchestration import SyncPrefectClient

        from flows.prefect_server import PrefectServer
        from flows.sweep_prefect import PrefectFleet

        self.client = SyncPrefectClient(api_url)
        flow, name = self.client.create_flow_from_name("cover-post"), f"sweep-{uuid.uuid4().hex[:8]}"
        self.deployment = self.client.create_deployment(flow, name)
        self.fleet = PrefectFleet(PrefectServer(api_url))

    def start(self, tags=(), parameters=POST):
        run = self.client.create_flow_run_from_deployment(self.deployment, parameters=parameters, tags=tags)
        self.move(str(run.id), "at work")
        return str(run.id)

    def move(self, run_id, state, message="", question=""):
        from prefect.client.schemas.objects import State, StateDetails, StateType

        kinds = {"at work": StateType.RUNNING, "waiting": StateType.PAUSED, "succeeded": StateType.COMPLETED}
        kind = kinds.get(state) or StateType[state.upper()]
        new = State(type=kind, message=message, state_details=StateDetails(pause_key=question or None))
        self.client.set_flow_run_state(UUID(run_id), new, force=True)

    def find(self, run_id):
        (run,) = [run for run in self.fleet.list_runs(0) if run.id == run_id]
        return run

    def say(self, run_id, words):
        from prefect.client.schemas.actions import LogCreate

        self.client.create_logs([LogCreate(name="test", level=20, message=words, timestamp="2031-01-01T00:00:00Z",
                                           flow_run_id=UUID(run_id))])


class InMemory:
    def __init__(self):
        self.fleet = MemoryFleet()
        self.start, self.move, self.find = self.fleet.start, self.fleet.move, self.fleet.find

    def say(self, run_id, words):
        self.fleet.signs[run_id] = 1924992000.0
