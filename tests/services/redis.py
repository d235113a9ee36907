"""redis_server: one real Redis for the session."""

import os
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.services.process import Command, free_port, listens, needs, or_skip, running


@dataclass(frozen=True)
class RedisServer:
    url: str


@pytest.fixture(scope="session")
def redis_server(request, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    words += ["--save", "", "--appendonly", "no"]
    with ExitStack() as stack:
        with or_skip(request, "redis"):
            needs("redis-server")
            command = Command(words, folder / "log", dict(os.environ))
            stack.enter_context(running(command, lambda: listens(port), within_s=10))
        yield RedisServer(f"redis://127.0.0.1:{port}/0")
