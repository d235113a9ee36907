"""The gateway under load: python -m benchmarks.gateway [--seconds 10] [--clients 32] [--redis redis://...] [--database postgresql+psycopg://...].

One JSON line: requests a second and latencies in ms of signed webhook receipts (each a new message, kept before the answer), of a
finished job looked at again, and of an order replayed by its Idempotency-Key. Gateway and clients are processes of their own on
this machine and share its cores; runs are the local twin's, for none is started in what is measured but the first.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path

import uvicorn

from integrations.errors import NotFound
from integrations.gateway.app import build_app
from integrations.gateway.courier import GuardedCourier
from integrations.gateway.desk import Desk, Limits
from integrations.gateway.keys import NewKey, SqlKeyRing
from integrations.gateway.local import MemoryRuns
from integrations.gateway.ports import ANY_SITE, SCOPES, Order, Picture, Site
from integrations.gateway.queue import SqlQueue
from integrations.gateway.signatures import derive_secret, sign_standard
from integrations.gateway.tables import open_database
from integrations.gateway.tally_redis import RedisTally, make_client
from integrations.gateway.tally_sqlite import SqliteTally
from integrations.http import FetchLimits

PEPPER = b"a pepper of the benchmark"
SECRET = derive_secret(PEPPER, "benchmark")
PICTURE = Picture(url="https://cdn.example/a.webp", width=1200, height=630, format="webp", sha256="ab" * 32)
ORDER = json.dumps({"site": "blog", "post_id": "7"}).encode()


def refuse(site, post_id):
    raise NotFound("posts: those of a benchmark do not exist")


def make_desk(folder, redis_url, database_url):
    database = open_database(database_url or f"sqlite:///{folder}/gateway.sqlite")
    tally = RedisTally(make_client(redis_url, 5), f"{folder}:") if redis_url else SqliteTally(Path(folder) / "tally.sqlite")
    return Desk(runs=MemoryRuns(), tally=tally, inbox=SqlQueue(database, "webhooks"), outbox=SqlQueue(database, "callbacks"),
                ring=SqlKeyRing(database, PEPPER), courier=GuardedCourier(FetchLimits()), version_of=refuse,
                refresh=lambda site, commit: None, sites={"blog": Site(source="posts", kind="standard", secrets=(SECRET,))},
                styles=(), pepper=PEPPER, limits=Limits(per_minute=2**50, per_day=2**50))


def serve(listener, folder, redis_url, database_url, told):
    desk = make_desk(folder, redis_url, database_url)
    key, _ = desk.ring.create(NewKey(tenant="acme", scopes=SCOPES, sites=[ANY_SITE]))
    job = desk.runs.start(Order(source="posts", post_id="8", tenant="acme"), "finished")
    desk.runs.succeed(job.id, PICTURE)
    told.send((key, job.id))
    uvicorn.Server(uvicorn.Config(build_app(desk), log_level="error", access_log=False)).run(sockets=[listener])


async def ask(port, make_request, until, latencies):
    """One client on one connection: a request, its whole answer, the next. Raises where an answer is no success."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(make_request())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            raise RuntimeError(head.decode())
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        latencies.append((time.perf_counter() - began) * 1000)
    writer.close()


def write_request(method, path, headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", "Content-Type: application/json",
             *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def make_webhook():
    message_id, body = os.urandom(12).hex(), b'{"event": "post.published", "id": 7}'
    return write_request("POST", "/webhooks/blog", sign_standard(SECRET, message_id, int(time.time()), body), body)


async def measure(port, clients, seconds, make_request):
    """Requests a second and their latencies, after a second to get warm."""
    await asyncio.gather(*(ask(port, make_request, time.perf_counter() + 1, []) for _ in range(clients)))
    latencies, began = [], time.perf_counter()
    await asyncio.gather(*(ask(port, make_request, began + seconds, latencies) for _ in range(clients)))
    spent, cuts = time.perf_counter() - began, statistics.quantiles(latencies, n=100)
    return {"per_s": round(len(latencies) / spent), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--redis", default="", help="count in this Redis instead of SQLite")
    parser.add_argument("--database", default="", help="keep in this database instead of SQLite")
    chosen = parser.parse_args()
    spawning = multiprocessing.get_context("spawn")
    listener, (here, there) = socket.create_server(("127.0.0.1", 0), backlog=1024), spawning.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        gateway = spawning.Process(target=serve, args=(listener, folder, chosen.redis, chosen.database, there), daemon=True)
        gateway.start()
        key, job_id = here.recv()
        port, authorization = listener.getsockname()[1], {"Authorization": f"Bearer {key}"}
        order = write_request("POST", "/v1/covers", {**authorization, "Idempotency-Key": "one"}, ORDER)
        look = write_request("GET", f"/v1/jobs/{job_id}", authorization)
        try:
            asyncio.run(measure(port, 1, 0.1, lambda: order))  # the first is no replay
            report = {"clients": chosen.clients, "tally": "redis" if chosen.redis else "sqlite",
                      "database": chosen.database.partition(":")[0] or "sqlite"}
            for name, make in (("webhooks", make_webhook), ("finished_job", lambda: look), ("replayed_order", lambda: order)):
                report[name] = asyncio.run(measure(port, chosen.clients, chosen.seconds, make))
            print(json.dumps(report))
        finally:
            gateway.terminate()
            gateway.join(10)


if __name__ == "__main__":
    main()
