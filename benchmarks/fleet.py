"""A whole fleet under load: python -m benchmarks.fleet [--jobs 500] [--posts 60] [--plain]; needs what `make services` installs.

Everything real on this machine: Prefect server on PostgreSQL, Redis, RadosGW, WordPress, gateway, one `fengmian work`, and a
generator in two Ray replicas (a tiny checkpoint, 2 steps, 320x160: little painting, so that what is measured is the rest). Two
JSON lines. overhead: posts whose pictures are finished and remembered, covered one after another by the backlog (seconds of its
run for each post), and one by one by orders: from the order to the begin of its run, and from there to its end. drain: so many
orders are placed while no worker runs; then one begins, and the seconds until none is left, and what became of them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from flows import wiring
from tests.chaos.inspection import inspect
from tests.chaos.posts import make_posts
from tests.chaos.rounds import empty
from tests.chaos.world import PREFECT, settle_here, world_in

UNCOVER = """foreach (get_posts(array('post_type' => 'post', 'post_status' => 'publish', 'numberposts' => -1)) as $each) {
delete_post_thumbnail($each->ID); }"""
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def place(world, posts, mark):
    """Orders for all of the posts; job ids by post, and the seconds that it took."""
    began, jobs = time.monotonic(), {}
    with httpx.Client(base_url=world.gateway_url, headers={"Authorization": f"Bearer {world.key}"}, timeout=60,
                      trust_env=False) as client:
        for post_id in posts:
            answer = client.post("/v1/covers", json={"site": "blog", "post_id": post_id},
                                 headers={"Idempotency-Key": f"{mark}-{post_id}"})
            jobs[post_id] = answer.raise_for_status().json()["job_id"]
    return jobs, time.monotonic() - began


def look(world, run_id):
    return world.ask("GET", f"flow_runs/{run_id}")


def wait_for(world, run_id):
    while (run := look(world, run_id))["state_type"] not in OVER:
        time.sleep(0.1)
    return run


def seconds(run, since, until):
    moments = [datetime.fromisoformat(run[name]) for name in (since, until)]
    return (moments[1] - moments[0]).total_seconds()


def measure_overhead(world, count):
    """Everything but painting: each picture is there already."""
    posts = make_posts(world, count)
    wait_for(world, world.start_backlog())  # paints, so that all is remembered
    world.wordpress.run(UNCOVER)
    backlog = wait_for(world, world.start_backlog())
    world.wordpress.run(UNCOVER)
    runs = []
    for post_id in posts[:count // 3]:
        jobs, _ = place(world, [post_id], "overhead")
        runs.append(wait_for(world, jobs[post_id]))
    begin = [seconds(run, "created", "start_time") for run in runs]
    inside = [seconds(run, "start_time", "end_time") for run in runs]
    return {"posts": count, "backlog_s_a_post": round(seconds(backlog, "start_time", "end_time") / count, 3),
            "order_to_begin_s": _cuts(begin), "begin_to_end_s": _cuts(inside),
            "states": Counter(run["state_type"] for run in [backlog, *runs])}


def measure_drain(world, count):
    """So many queued jobs, and then a worker."""
    empty(world)
    posts = make_posts(world, count)
    world.servers["worker"].end()
    jobs, placing_s = place(world, posts, "drain")
    began = time.monotonic()
    world.servers["worker"].start()
    while world.open_runs():
        time.sleep(1)
    spent = time.monotonic() - began
    wiring.use(None)
    harm = inspect(world, posts, jobs).wrong
    return {"jobs": count, "orders_a_second": round(count / placing_s, 1), "drained_s": round(spent, 1),
            "s_a_job": round(spent / count, 2), "wrong": {kind: len(told) for kind, told in harm.items()},
            "first": {kind: told[0] for kind, told in harm.items()}}


def _cuts(values):
    return {"median": round(statistics.median(values), 2), "worst": round(max(values), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--posts", type=int, default=60)
    parser.add_argument("--plain", action="store_true", help="with Prefect's own worker instead of fengmian work")
    parser.add_argument("--folder", type=Path, help="of the logs; default: a temporary one")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fengmian-fleet-") as temporary, pytest.MonkeyPatch.context() as patch:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with world_in(folder, **({"worker": (PREFECT, "worker", "start", "--pool", "chaos")} if chosen.plain else {})) as world:
            settle_here(world, patch)
            if chosen.posts:
                print(json.dumps({"overhead": measure_overhead(world, chosen.posts)}), flush=True)
            if chosen.jobs:
                print(json.dumps({"drain": measure_drain(world, chosen.jobs)}), flush=True)


if __name__ == "__main__":
    main()
