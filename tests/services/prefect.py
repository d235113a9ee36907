"""prefect_server: one real Prefect server for the session, with its own database in a temporary folder."""

import os
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.process import Command, free_port, needs, or_skip, running

START_WITHIN_S = 120


@dataclass(frozen=True)
class PrefectServer:
    api_url: str
    home: Path


@pytest.fixture(scope="session")
def prefect_server(request, tmp_path_factory):
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    api_url = f"http://127.0.0.1:{port}/api"
    prefect = Path(sys.executable).with_name("prefect")
    words = [str(prefect), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with ExitStack() as stack:
        with or_skip(request, "prefect"):
            needs(str(prefect), remedy="install this project's dependencies")
            told = {"PREFECT_UI_API_URL": api_url}  # else the pages ask at port 4200
            command = Command(words, home / "log", environment(home) | told)
            stack.enter_context(running(command, lambda: is_healthy(api_url), START_WITHIN_S))
        yield PrefectServer(api_url, home)


def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def is_healthy(api_url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{api_url}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
