"""generator_service: the real generator service, once alone under uvicorn and once in two Ray Serve replicas."""

import json
import os
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.process import Command, Server, free_port, or_skip, running

START_WITHIN_S = 120


@dataclass(frozen=True)
class GeneratorService:
    url: str
    grpc_address: str
    engine: str
    log: Path


def environment(folder: Path, **settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FENGMIAN_", "RAY_"))}
    return inherited | {"FENGMIAN_STATE_FOLDER": str(folder), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"} | settings


def ask(url: str) -> dict | None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def uvicorn_service(stack: ExitStack, folder: Path, **settings: str) -> GeneratorService:
    """`fengmian serve` on ports of its own. settings: further FENGMIAN_ variables."""
    port, grpc_port = free_port(), free_port()
    told = {"FENGMIAN_SERVICE__PORT": str(port), "FENGMIAN_SERVICE__GRPC_PORT": str(grpc_port)}
    words = [str(Path(sys.executable).with_name("fengmian")), "serve"]
    command = Command(words, folder / "log", environment(folder, **told, **settings))
    url = f"http://127.0.0.1:{port}"
    stack.process = stack.enter_context(running(command, lambda: ask(f"{url}/ready") is not None, START_WITHIN_S))
    return GeneratorService(url, f"127.0.0.1:{grpc_port}", "uvicorn", folder / "log")


def ray_server(folder: Path, **settings: str) -> tuple[Server, GeneratorService]:
    """Two replicas on CPUs, by a driver process of their own. Not started. settings: further FENGMIAN_ variables."""
    port, grpc_port = free_port(), free_port()
    words = [sys.executable, "-m", "tests.services.ray_driver", str(port), str(grpc_port), str(folder / "up")]
    server = Server(Command(words, folder / "log", environment(folder, **settings)), (folder / "up").exists, START_WITHIN_S)
    return server, GeneratorService(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}", "ray", folder / "log")


def ray_service(stack: ExitStack, folder: Path) -> GeneratorService:
    """The same, up."""
    server, service = ray_server(folder)
    stack.callback(server.end)
    server.start()
    stack.process = server.process
    return service


@pytest.fixture(scope="session", params=["uvicorn", "ray"])
def generator_service(request, tmp_path_factory):
    """The same app under both engines: every test that takes it runs on each."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        with or_skip(request, f"generator service ({request.param})"):
            start = uvicorn_service if request.param == "uvicorn" else ray_service
            service = start(stack, folder)
        yield service
