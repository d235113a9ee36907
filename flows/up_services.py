"""What `fengmian up` keeps running, made from the settings: which processes, where each listens, how its health is asked."""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx

from flows.errors import SettingsError
from flows.settings import PREFIX, Settings
from flows.up_runs import put_back

FENGMIAN = (sys.executable, "-m", "flows.cli")
DEFAULT_API_URL = "http://127.0.0.1:4200/api"
PROBE_S = 5.0
WORKER = f"up-{socket.gethostname()}"
SHORTEST_HEARTBEAT_S = 30
"""Prefect takes no less."""
TIMEOUT_SHARE = 0.8
"""Of cache.hold_s, that one picture may take where generator.timeout_s would be more."""
QUICK = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
"""How often the worker asks for work; of Prefect's own ten seconds an order would take nine more."""
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where the server keeps who holds its slots. In memory, its own default, a restart forgets that, and cancels runs for it."""
Probe = Callable[[float], bool]
"""Whether a process that was started at that time (since the epoch) is healthy."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process. url: where people find it. setting: what moves it from there. probe: None for a job, which is done when it
    has ended well. needs: what must be healthy, or done, before it is started. before: done then, while it does not run.
    """

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    setting: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    probe: Probe | None = None
    needs: tuple[str, ...] = ()
    before: Callable[[], None] | None = None


def make_services(settings: Settings, folder: Path) -> tuple[Service, ...]:
    """The processes in the order in which they start. folder: the site's own, where fengmian.yaml lies. Raises SettingsError."""
    api_url = settings.prefect_api_url.rstrip("/") or DEFAULT_API_URL
    server = _make_server(api_url, settings)
    pool = settings.fleet.work_pool
    generator = () if settings.generator.url else (_make_generator(settings),)
    common = _common_environment(settings, folder, api_url)
    needs = ("server",) if server else ()
    register = Service(name="deployments", words=(*FENGMIAN, "deploy"), needs=needs, environment=common)
    worker = Service(
        name="worker", words=(*FENGMIAN, "work", "--pool", pool, "--name", WORKER),
        environment={**common, **QUICK, **_distant_painting(settings)}, needs=(*needs, "deployments"),
        probe=partial(_is_online, api_url, pool), before=partial(put_back, api_url, pool) if server else None)
    gateway = (_make_gateway(settings, common, needs),) if settings.gateway.pepper.get_secret_value() else ()
    return (*server, *generator, register, worker, *gateway)


def _local_server(api_url: str) -> httpx.URL | None:
    """The address of the Prefect server if it is on this machine, else None: then it is somebody else's. Raises SettingsError."""
    url = httpx.URL(api_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingsError(f"setting prefect_api_url {api_url!r}: it must be an address such as {DEFAULT_API_URL}")
    return url if _is_loopback(url.host) else None


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _common_environment(settings: Settings, folder: Path, api_url: str) -> dict[str, str]:
    return {**_prefect_environment(settings, api_url), f"{PREFIX}PREFECT_API_URL": api_url, "COVER_SITE": str(folder)}


def _prefect_environment(settings: Settings, api_url: str) -> dict[str, str]:
    """What Prefect's own programs need: a home in the state folder, a server, and nobody told."""
    home = str((settings.state_folder / "prefect").absolute())
    return {"PREFECT_HOME": home, "PREFECT_API_URL": api_url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
            "PREFECT_UI_STATIC_DIRECTORY": f"{home}/ui",  # its own place is beside its code, where it may not be allowed to write
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(max(SHORTEST_HEARTBEAT_S, int(settings.fleet.silent_s / 3)))}


def _make_server(api_url: str, settings: Settings) -> tuple[Service, ...]:
    url = _local_server(api_url)
    if url is None:
        return ()
    port = url.port or 80
    # No --host: it is 127.0.0.1 unless Prefect's own PREFECT_SERVER_API_HOST says otherwise.
    words = (_program("prefect"), "server", "start", "--port", str(port))
    return (Service(name="server", words=words, environment=_prefect_environment(settings, api_url), port=port, host=url.host,
                    setting="prefect_api_url", url=api_url.removesuffix("/api"), probe=partial(_answers, f"{api_url}/health")),)


def _make_generator(settings: Settings) -> Service:
    chosen = settings.service
    url = _reachable(chosen.host, chosen.port)
    return Service(name="generator", words=(*FENGMIAN, "serve"), url=url, setting="service.port",
                   host=chosen.host, port=chosen.port, probe=partial(_answers, f"{url}/ready"))


def _make_gateway(settings: Settings, environment: Mapping[str, str], needs: tuple[str, ...]) -> Service:
    chosen = settings.gateway
    url = _reachable(chosen.host, chosen.port)
    return Service(name="gateway", words=(*FENGMIAN, "gateway"), environment=environment, url=url,
                   setting="gateway.port", host=chosen.host, port=chosen.port, needs=needs,
                   probe=partial(_answers, f"{url}/health"))


def _distant_painting(settings: Settings) -> dict[str, str]:
    """Flow runs paint on the one generator of this machine, with the steps that they would take themselves."""
    chosen = settings.generator
    if chosen.url:
        return {}
    timeout_s = min(chosen.timeout_s, TIMEOUT_SHARE * settings.cache.hold_s)
    given = {"URL": _reachable(settings.service.host, settings.service.port), "STEPS": str(chosen.steps),
             "GUIDANCE": str(chosen.guidance), "TIMEOUT_S": str(timeout_s), "TOKEN": settings.service.token.get_secret_value()}
    return {f"{PREFIX}GENERATOR__{name}": value for name, value in given.items()}


def _reachable(host: str, port: int) -> str:
    """How this machine itself reaches what listens there."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


def _program(name: str) -> str:
    """A program of the environment that we run in, whatever the PATH says."""
    return os.path.join(os.path.dirname(sys.executable), name)


def _answers(url: str, since: float) -> bool:
    try:
        return httpx.get(url, timeout=PROBE_S, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _is_online(api_url: str, pool: str, since: float) -> bool:
    """Whether the server has lately heard from the worker that was started then."""
    try:
        answer = httpx.post(f"{api_url}/work_pools/{pool}/workers/filter", json={}, timeout=PROBE_S, trust_env=False)
        workers = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return False
    return any(each["name"] == WORKER and each["status"] == "ONLINE"
               and datetime.fromisoformat(each["last_heartbeat_time"]).timestamp() >= since for each in workers)
