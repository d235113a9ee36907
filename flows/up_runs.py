"""Runs that lost their process when the one worker of this machine ended: they are put back, so that the next worker has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from flows.sweep import LEFT, key_after

TIMEOUT_S = 10.0
PUT_BACK: dict[str, Any] = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "its worker ended; it is begun again"}
CANCELLED: dict[str, Any] = {"type": "CANCELLED", "message": "its worker ended"}


ABORTED = "Execution was aborted by a termination signal"
"""How a run that was ended with its worker, and lived to tell, says so."""


def put_back(api_url: str, pool: str) -> None:
    """Every run of the pool that is under way, or that was ended with its worker, is due again, under its own id; one that was
    being cancelled is cancelled.

    Only to be called where no process of the pool runs: a run of another worker would be begun a second time. Begun again, a
    run paints what it had not finished. Raises httpx.HTTPError.
    """
    with httpx.Client(base_url=api_url, timeout=TIMEOUT_S, trust_env=False) as server:
        for kinds, state in ((["PENDING", "RUNNING"], PUT_BACK), (["CANCELLING"], CANCELLED)):
            _move(server, _find(server, {"state": {"type": {"any_": kinds}}}, pool), state)
        since = datetime.now(UTC) - timedelta(days=1)
        crashed = _find(server, {"state": {"type": {"any_": ["CRASHED"]}}, "end_time": {"after_": since.isoformat()}}, pool)
        ended = [run for run in crashed if (run["state"]["message"] or "").startswith(ABORTED) and LEFT not in run["tags"]]
        keys = {"idempotency_key": {"any_": [key_after(run["id"]) for run in ended]}}
        followed = {run["idempotency_key"] for run in _find(server, keys, pool)} if ended else set()
        _move(server, [run for run in ended if key_after(run["id"]) not in followed], PUT_BACK)


def _find(server: httpx.Client, wanted: dict[str, Any], pool: str) -> list[dict[str, Any]]:
    both = {"flow_runs": wanted, "work_pools": {"name": {"any_": [pool]}}}
    found: list[dict[str, Any]] = server.post("/flow_runs/filter", json=both).raise_for_status().json()
    return found


def _move(server: httpx.Client, runs: list[dict[str, Any]], state: dict[str, Any]) -> None:
    for run in runs:
        server.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True}).raise_for_status()
