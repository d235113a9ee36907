"""The whole of Fengmian on this machine, in real processes on 127.0.0.1 that can be killed and started again."""

import json
import os
import shutil
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from flows.up_services import LEASES
from integrations.storage.s3 import S3Account, make_client
from tests.generator.tiny_bundled import write_tiny_bundled
from tests.services.generator import ray_server
from tests.services.postgres import postgres_in
from tests.services.prefect import environment as prefect_environment
from tests.services.prefect import is_healthy
from tests.services.process import Command, Server, free_port, listens
from tests.services.radosgw import RadosGateway, cluster
from tests.services.wordpress import WEBHOOK_SECRET, WordPress, wordpress_in

REPOSITORY = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
SOURCE, BUCKET, SIZE = "site:blog", "covers", (320, 160)
PEPPER = "a pepper of the chaos"
SUPERVISOR_S = 1.0
"""How soon whoever keeps processes alive (systemd, Kubernetes, fengmian up) begins a dead one again."""


@dataclass
class World:
    """servers: by name, each of which the monkey can end. kept: those that are begun again whenever they end by themselves."""

    folder: Path
    servers: dict[str, Server] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    wordpress: WordPress = None
    radosgw: RadosGateway = None
    redis_folder: Path = None
    api_url: str = ""
    gateway_url: str = ""
    key: str = ""
    held: set[str] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)

    def ask(self, method, route, **more):
        """Prefect's own answer."""
        answer = httpx.request(method, f"{self.api_url}/{route}", timeout=30, trust_env=False, **more)
        return answer.raise_for_status().json() if answer.content else None

    def open_runs(self):
        """The runs of ours that are not over."""
        wanted = {"flows": {"name": {"any_": ["cover-post", "cover-backlog"]}}, "limit": 200, "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]}}}}
        return self.ask("POST", "flow_runs/filter", json=wanted)

    def start_backlog(self):
        found = self.ask("GET", "deployments/name/cover-backlog/blog")
        return self.ask("POST", f"deployments/{found['id']}/create_flow_run", json={})["id"]

    def bucket(self):
        return make_client(S3Account(endpoint_url=self.radosgw.endpoint_url, region=self.radosgw.region, key=self.radosgw.key,
                                     secret=self.radosgw.secret, addressing="path"))

    def replicas(self):
        """The processes of the generator's replicas."""
        return [each for each in self.family("generator") if any("ServeReplica" in word for word in _words(each))]

    def family(self, name):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.servers[name].process.pid)
            return [process, *process.children(recursive=True)]
        return []

    @contextmanager
    def supervised(self, names=("worker", "gateway", "generator", "prefect")):
        """As systemd would: what ends by itself is begun again, unless the monkey holds it down."""
        ending = threading.Event()

        def watch():
            while not ending.wait(SUPERVISOR_S):
                for name in names:
                    if name not in self.held and not self.servers[name].lives:
                        self.restarts[name] = self.restarts.get(name, 0) + 1
                        self.servers[name].end()
                        self.servers[name].launch()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()


def _words(process):
    with suppress(psutil.Error):
        return process.cmdline()
    return []


@contextmanager
def world_in(folder: Path, worker: tuple[str, ...] = (sys.executable, "-m", "flows.cli", "work")):
    """Everything up, deployments registered, worker and gateway at work. worker: the program."""
    world = World(folder)
    with ExitStack() as stack:
        stack.callback(_end_leftovers, folder)
        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(start, world, stack) for start in (_start_prefect, _start_cms, _start_bucket, _start_generator)]
            for each in done:
                each.result()
        _settle(world)
        fengmian = [sys.executable, "-m", "flows.cli"]
        _once(world, [*fengmian, "deploy", "--folder", str(folder)])
        world.key = json.loads(_once(world, [*fengmian, "keys", "create", "--tenant", "acme", "--scope", "covers:write",
                                             "--scope", "jobs:read", "--site", "blog", "--json"]))["key"]
        for name, words, is_up in (("worker", worker, lambda: True), ("gateway", [*fengmian, "gateway"], _gateway_is_up(world))):
            command = Command(["env", "-C", str(folder), *words], folder / f"{name}.log", world.environment)
            _add(world, stack, name, Server(command, is_up, 60))
        yield world


def _add(world, stack, name, server):
    server.start()
    world.servers[name] = server
    stack.callback(server.end)


def _start_prefect(world, stack):
    folder = Path(tempfile_in(stack, "fengmian-chaos-pg-"))
    postgres = stack.enter_context(postgres_in(folder, connections=200))
    ours, theirs, port = postgres.make_database(), postgres.make_database(), free_port()
    world.api_url, home = f"http://127.0.0.1:{port}/api", world.folder / "prefect"
    home.mkdir()
    environment = prefect_environment(home) | {
        "PREFECT_API_DATABASE_CONNECTION_URL": theirs.replace("+psycopg", "+asyncpg"),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES}
    command = Command([PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
                      world.folder / "prefect.log", environment)
    world.environment |= {"FENGMIAN_DATABASE_URL": ours, "FENGMIAN_PREFECT_API_URL": world.api_url, "PREFECT_HOME": str(home),
                          "PREFECT_API_URL": world.api_url}
    _add(world, stack, "prefect", Server(command, lambda: is_healthy(world.api_url), 120))


def tempfile_in(stack, prefix):
    import tempfile
    return stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))


def _start_cms(world, stack):
    port, world.redis_folder = free_port(), world.folder / "redis"
    world.redis_folder.mkdir()
    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(world.redis_folder), "--appendonly", "yes"]
    _add(world, stack, "redis", Server(Command(words, world.folder / "redis.log", dict(os.environ)), lambda: listens(port), 20))
    world.environment |= {"FENGMIAN_CACHE__REDIS_URL": f"redis://127.0.0.1:{port}/0", "FENGMIAN_CACHE__KIND": "redis",
                          "FENGMIAN_GATEWAY__REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    world.wordpress = stack.enter_context(wordpress_in(Path(tempfile_in(stack, "fengmian-chaos-wp-"))))
    world.servers |= {"wordpress": world.wordpress.server, "mariadb": world.wordpress.database}
    blog = {"kind": "wordpress", "url": world.wordpress.url, "user": "editor", "password": world.wordpress.passwords["editor"],
            "size": f"{SIZE[0]}x{SIZE[1]}"}
    world.environment |= {"FENGMIAN_SITES": json.dumps({"blog": blog}), "FENGMIAN_GATEWAY__WEBHOOKS": json.dumps(
        {"blog": {"kind": "wordpress", "secret": WEBHOOK_SECRET}})}


def _start_bucket(world, stack):
    world.radosgw = gateway = stack.enter_context(cluster(Path(tempfile_in(stack, "fengmian-chaos-rgw-"))))
    world.servers["radosgw"] = gateway.server
    world.bucket().create_bucket(Bucket=BUCKET)
    told = {"KIND": "s3", "BUCKET": BUCKET, "ENDPOINT_URL": gateway.endpoint_url, "REGION": gateway.region,
            "ACCESS_KEY": gateway.key, "SECRET_KEY": gateway.secret, "ADDRESSING": "path",
            "BASE_URL": f"{gateway.endpoint_url}/{BUCKET}"}
    world.environment |= {f"FENGMIAN_STORE__{name}": value for name, value in told.items()}


def _start_generator(world, stack):
    checkpoint, folder = write_tiny_bundled(world.folder / "tiny"), world.folder / "replicas"
    folder.mkdir()
    server, service = ray_server(folder, FENGMIAN_GENERATOR__CHECKPOINT=str(checkpoint))
    _add(world, stack, "generator", server)
    world.environment |= {"FENGMIAN_GENERATOR__CHECKPOINT": str(checkpoint), "FENGMIAN_GENERATOR__URL": service.url,
                          "FENGMIAN_GENERATOR__STEPS": "2", "FENGMIAN_SAFETY__PUBLISH_UNSCREENED": "tiny"}


def _settle(world):
    """Times are as short as they can honestly be: Prefect takes no heartbeat more often than every 30 s."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FENGMIAN_", "PREFECT_", "RAY_"))}
    port = free_port()
    world.gateway_url = f"http://127.0.0.1:{port}"
    told = {"STATE_FOLDER": str(world.folder / "state"), "CACHE__HOLD_S": "20", "GENERATOR__TIMEOUT_S": "18",
            "FLEET__WORK_POOL": "chaos", "FLEET__COVERS_AT_ONCE": "3", "FLEET__SILENT_S": "35", "FLEET__ATTEMPTS": "40",
            "FLEET__PAUSE_S": "0.01", "GATEWAY__PORT": str(port), "GATEWAY__PEPPER": PEPPER, "GATEWAY__PER_DAY": "1000000",
            "GATEWAY__PER_MINUTE": "1000000"}
    world.environment = inherited | world.environment | {f"FENGMIAN_{name}": value for name, value in told.items()} | {
        "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PWD": str(world.folder)}


def _once(world, words):
    import subprocess
    done = subprocess.run(words, cwd=world.folder, env=world.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _gateway_is_up(world):
    def is_up():
        with suppress(httpx.HTTPError):
            return httpx.get(f"{world.gateway_url}/health", timeout=2, trust_env=False).status_code == 200
        return False
    return is_up


def _end_leftovers(folder):
    """Runs are in sessions of their own and outlive a worker that was killed alone: known by the settings that they got."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("FENGMIAN_STATE_FOLDER", "").startswith(str(folder)):
                process.kill()


def lose_data(world):
    """What Redis held is gone; it must be down."""
    shutil.rmtree(world.redis_folder)
    world.redis_folder.mkdir()


def settle_here(world, patch):
    """The adapters of this process are those of the world. patch: pytest's MonkeyPatch."""
    from flows import wiring

    for name in [name for name in os.environ if name.startswith("FENGMIAN_")]:
        patch.delenv(name)
    for name, value in world.environment.items():
        if name.startswith(("FENGMIAN_", "PREFECT_")):
            patch.setenv(name, value)
    wiring.use(None)


def new_id():
    return uuid.uuid4().hex[:8]


def wait_until(is_so, within_s, what):
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.5)
    return found
