"""The commands of compose.yaml as plain processes over real PostgreSQL, Redis and S3: a post gets a cover. And a Ray cluster."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import httpx
import psycopg
import pytest
import yaml

from tests.deploy.files import DEPLOY, EXAMPLE, compose, instructions, manifests
from tests.flows.conftest import ENGLISH
from tests.services.process import Command, free_port, needs, or_skip, running

OURS = ("prefect", "generator", "deployments", "worker", "gateway")
PROGRAMS = Path(sys.executable).parent
WITHIN_S = 150


def commands():
    return {name: service["command"] for name, service in compose()["services"].items() if name in OURS}


def test_kubernetes_runs_the_same_commands():
    inside = {container["name"]: container["command"] for each in manifests() if each["kind"] in ("Deployment", "Job")
              for container in each["spec"]["template"]["spec"]["containers"]}
    same = commands()
    assert inside == {"prefect": same["prefect"], "registration": same["deployments"], "worker": same["worker"],
                      "gateway": same["gateway"]}
    for file, name in (("Dockerfile.flows", "gateway"), ("Dockerfile.generator", "generator")):
        (default,) = [words for instruction, words in instructions(file) if instruction == "CMD"]
        assert default == str(same[name]).replace("'", '"')


def healthcheck(name):
    """What the image's HEALTHCHECK runs, in the environment that the service has."""
    file = "Dockerfile.generator" if name == "generator" else "Dockerfile.flows"
    check = next(words for instruction, words in instructions(file) if instruction == "HEALTHCHECK")
    url = re.search(r"HEALTH_URL=(\S+)", next(words for instruction, words in instructions(file) if instruction == "ENV"))[1]
    return json.loads(check.partition("CMD ")[2]), url


class Host:
    """One Docker host without Docker: each container's command on ports of its own, its folders in one of ours."""

    def __init__(self, folder, postgres, radosgw):
        self.folder, self.ports = folder, {}
        values = {**EXAMPLE, "S3_ACCESS_KEY": radosgw.key, "S3_SECRET_KEY": radosgw.secret}
        self.services = compose(values)["services"]
        for name, port in (("prefect", 4200), ("generator", 8100), ("gateway", 8200), ("worker", 8080), ("redis", 6379)):
            self.ports[name] = (port, free_port())
        self.addresses = {"postgres:5432": f"127.0.0.1:{postgres.port}", "s3:8333": radosgw.endpoint_url.removeprefix("http://")}
        self.addresses |= {f"{name}:{port}": f"127.0.0.1:{ours}" for name, (port, ours) in self.ports.items()}
        self.addresses |= {f"127.0.0.1:{port}": f"127.0.0.1:{ours}" for name, (port, ours) in self.ports.items()}

    def translate(self, text):
        for there, here in self.addresses.items():
            text = re.sub(rf"(?<![\w.]){re.escape(there)}\b", here, text)
        return {"/site": str(self.folder / "site"), "0.0.0.0": "127.0.0.1"}.get(text, text)

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name][1]}"

    def environment(self, name):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FENGMIAN_", "PREFECT_", "AWS_"))}
        image = {"FENGMIAN_STATE_FOLDER": str(self.folder / name), "PREFECT_HOME": str(self.folder / name / "prefect"),
                 "PREFECT_UI_STATIC_DIRECTORY": str(self.folder / name / "ui"), "DO_NOT_TRACK": "1",
                 "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "OMP_NUM_THREADS": "1"}
        ports = {f"FENGMIAN_{each}__PORT": str(self.ports[service][1])
                 for each, service in (("SERVICE", "generator"), ("GATEWAY", "gateway"))}
        given = {key: self.translate(value) for key, value in self.services[name].get("environment", {}).items()}
        if name == "worker":
            given["PREFECT_WORKER_WEBSERVER_PORT"] = str(self.ports["worker"][1])
        return {**kept, **image, **ports, **given}

    def words(self, name):
        words = [self.translate(word) for word in self.services[name]["command"]]
        if name == "prefect":
            words[words.index("--port") + 1] = str(self.ports["prefect"][1])
        return [shutil.which(words[0], path=f"{PROGRAMS}:{os.environ['PATH']}"), *words[1:]]

    @contextmanager
    def running(self, name, *more):
        (self.folder / name).mkdir(exist_ok=True)
        where = self.folder / ("site" if "working_dir" in self.services[name] else name)
        words = ["env", "-C", str(where), *self.words(name), *more]
        command = Command(words, self.folder / f"{name}.log", self.environment(name))
        with running(command, lambda: self.is_healthy(name), WITHIN_S) as process:
            yield process

    def is_healthy(self, name):
        if name == "redis":
            return self.once("redis", ["redis-cli", "-p", str(self.ports["redis"][1]), "ping"]) == 0
        words, default = healthcheck(name)
        told = self.services[name].get("environment", {}).get("HEALTH_URL", default)
        return self.once(name, [sys.executable, *words[1:]], HEALTH_URL=self.translate(told)) == 0

    def once(self, name, words, **more):
        with (self.folder / f"{name}.once").open("ab") as log:
            return subprocess.run(words, env={**self.environment(name), **more}, stdout=log, stderr=log, timeout=WITHIN_S,
                                  cwd=self.folder).returncode


@pytest.fixture
def host(request, tmp_path, postgres, radosgw):
    host = Host(tmp_path, postgres, radosgw)
    make_databases(postgres)
    s3 = boto3.client("s3", endpoint_url=radosgw.endpoint_url, aws_access_key_id=radosgw.key,
                      aws_secret_access_key=radosgw.secret, region_name="us-east-1")
    s3.create_bucket(Bucket="covers")
    host.s3 = s3
    (tmp_path / "site" / "posts").mkdir(parents=True)
    (tmp_path / "site" / "posts" / "a.md").write_text(ENGLISH)
    (tmp_path / "site" / "fengmian.yaml").write_text("sites:\n  blog: {kind: markdown, folder: posts}\n")
    with ExitStack() as stack:
        with or_skip(request, "compose's services"):
            needs("redis-server", "redis-cli")
            stack.enter_context(host.running("redis", "--port", str(host.ports["redis"][1]), "--bind", "127.0.0.1"))
        yield host


def make_databases(postgres):
    """What the image of PostgreSQL does with POSTGRES_USER and the mounted script."""
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=tests dbname=postgres", autocommit=True) as db:
        for statement in ("DROP DATABASE IF EXISTS fengmian", "DROP DATABASE IF EXISTS prefect", "DROP ROLE IF EXISTS fengmian",
                          "CREATE ROLE fengmian LOGIN CREATEDB", "CREATE DATABASE fengmian OWNER fengmian"):
            db.execute(statement)
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=fengmian dbname=fengmian", autocommit=True) as db:
        db.execute((DEPLOY / "compose" / "databases.sql").read_text())


@pytest.mark.slow
@pytest.mark.service("postgres")
def test_the_commands_of_compose_cover_a_post(host):
    with ExitStack() as stack:
        for name in ("generator", "prefect"):
            stack.enter_context(host.running(name))
        for _ in range(2):  # compose starts it again where it failed, and after every `up`
            assert host.once("deployments", ["env", "-C", str(host.folder / "site"), *host.words("deployments")]) == 0, logs(host)
        for name in ("worker", "gateway"):
            stack.enter_context(host.running(name))
        job = order(host, key(host))
        assert job["status"] == "succeeded", (job, logs(host))
        metrics = httpx.get(f"{host.url('gateway')}/metrics", timeout=10, trust_env=False).text
    stored = [each["Key"] for each in host.s3.list_objects_v2(Bucket="covers")["Contents"]]
    assert {picture["url"] for picture in job["pictures"]} == {f"{EXAMPLE['STORE_BASE_URL']}/{name}" for name in stored}
    assert EXAMPLE["STORE_BASE_URL"] in (host.folder / "site" / "posts" / "a.md").read_text()
    assert 'fengmian_gateway_reached{system="engine"} 1.0' in metrics
    assert 'fengmian_gateway_reached{system="database"} 1.0' in metrics


def key(host):
    words = ["env", "-C", str(host.folder / "site"), str(PROGRAMS / "fengmian"), "keys", "create", "--tenant", "acme", "--scope",
             "covers:write", "--scope", "jobs:read", "--site", "blog"]
    log = host.folder / "gateway.once"
    log.unlink(missing_ok=True)
    assert host.once("gateway", words) == 0, log.read_text()
    return re.search(r"key: (\S+)", log.read_text())[1]


def order(host, secret):
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=host.url("gateway"), headers=headers, timeout=30, trust_env=False) as client:
        answer = client.post("/v1/covers", json={"site": "blog", "post_id": "a.md"})
        assert answer.status_code == 202, answer.text
        deadline = time.monotonic() + WITHIN_S
        while (job := client.get(answer.json()["url"]).json())["status"] in ("queued", "running") and time.monotonic() < deadline:
            time.sleep(0.5)
        return job


def logs(host):
    return [(file.name, file.read_text(errors="replace")[-1500:]) for file in host.folder.glob("*.log")]


@pytest.mark.slow
def test_ray_serves_what_serve_yaml_says_but_for_the_gpu(tmp_path):
    """With no GPU and half a core for a replica, at 127.0.0.1; all else as it stands."""
    content, port = yaml.safe_load((DEPLOY / "ray" / "serve.yaml").read_text()), free_port()
    content["http_options"], content["grpc_options"]["port"] = {"host": "127.0.0.1", "port": port}, free_port()
    content["applications"][0]["deployments"][0]["ray_actor_options"] = {"num_gpus": 0, "num_cpus": 0.5}
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(content))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FENGMIAN_", "RAY_"))}
    environment = {**kept, "FENGMIAN_STATE_FOLDER": str(tmp_path / "state"), "FENGMIAN_SERVICE__TOKEN": EXAMPLE["SERVICE_TOKEN"],
                   "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-m", "tests.deploy.ray_driver", str(tmp_path / "serve.yaml")]

    def answers(path, **headers):
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=5, trust_env=False).status_code
        except httpx.HTTPError:
            return 0

    with running(Command(words, tmp_path / "log", environment), lambda: answers("/ready") == 200, WITHIN_S):
        assert answers("/v1/models") == 401
        assert answers("/v1/models", authorization=f"Bearer {EXAMPLE['SERVICE_TOKEN']}") == 200
