"""Runs that lost their process when the one worker of this machine ended: they are put back, so that the next worker has them."""

from typing import Any

import httpx

TIMEOUT_S = 10.0
PUT_BACK: dict[str, Any] = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "its worker ended; it is begun again"}
CANCELLED: dict[str, Any] = {"type": "CANCELLED", "message": "its worker ended"}


def put_back(api_url: str, pool: str) -> None:
    """Every run of the pool that is under way is due again, under its own id; one that was being cancelled is cancelled.

    Only to be called where no process of the pool runs: a run of another worker would be begun a second time. Begun again, a
    run paints what it had not finished. Raises httpx.HTTPError.
    """
    with httpx.Client(base_url=api_url, timeout=TIMEOUT_S, trust_env=False) as server:
        for kinds, state in ((["PENDING", "RUNNING"], PUT_BACK), (["CANCELLING"], CANCELLED)):
            wanted = {"flow_runs": {"state": {"type": {"any_": kinds}}}, "work_pools": {"name": {"any_": [pool]}}}
            for run in server.post("/flow_runs/filter", json=wanted).raise_for_status().json():
                answer = server.post(f"/flow_runs/{run['id']}/set_state", json={"state": state, "force": True})
                answer.raise_for_status()
