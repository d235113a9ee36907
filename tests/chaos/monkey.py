"""The monkey: one fault of a kind at a moment of its own choosing, and what whoever keeps processes alive does about it."""

import random
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

import psutil

from tests.chaos.world import World, lose_data

LONGEST_DOWN_S = 4.0


def kill_worker(world: World, luck: random.Random) -> str:
    """kill -9 of the worker alone, of one of its runs, of the process that runs are copied from, or of all, as of a container."""
    what = luck.choice(("worker and runs", "worker and runs", "one run", "worker alone", "the process that is copied"))
    family = world.family("worker")
    if what in ("one run", "the process that is copied"):
        helpers = _children(family[0], recursive=False)
        victims = helpers if what != "one run" else [each for helper in helpers for each in _children(helper)]
        if victims:
            _kill([luck.choice(victims)])
            return what
    with _held(world, "worker"):
        _kill(family[:1] if what == "worker alone" else family)
        _down(luck)
        world.servers["worker"].end()
        world.servers["worker"].start()
    return "worker alone" if what == "worker alone" else "worker and runs"


def kill_replica(world: World, luck: random.Random) -> str:
    """kill -9 of one of the generator's replicas; Ray begins another."""
    replicas = world.replicas()
    assert replicas, "there is no replica to kill"
    _kill([luck.choice(replicas)])
    _wait(lambda: len(world.replicas()) >= 2)
    return "one replica"


def kill_gateway(world: World, luck: random.Random) -> str:
    """kill -9."""
    return _restart(world, luck, "gateway", is_killed=True)


def restart_prefect(world: World, luck: random.Random) -> str:
    """Ended as systemd does, or killed."""
    return _restart(world, luck, "prefect", is_killed=luck.random() < 0.5)


def restart_redis(world: World, luck: random.Random) -> str:
    """Its data comes back with it."""
    return _restart(world, luck, "redis", is_killed=luck.random() < 0.5)


def restart_radosgw(world: World, luck: random.Random) -> str:
    """Its objects come back with it."""
    return _restart(world, luck, "radosgw", is_killed=luck.random() < 0.5)


def restart_wordpress(world: World, luck: random.Random) -> str:
    """PHP is killed in whatever it does; MariaDB is ended in order."""
    if luck.random() < 0.3:
        return _restart(world, luck, "mariadb", is_killed=False)
    return _restart(world, luck, "wordpress", is_killed=True)


def lose_redis(world: World, luck: random.Random) -> str:
    """Redis dies, and comes back empty."""
    return _restart(world, luck, "redis", is_killed=True, while_down=lose_data)


FAULTS: dict[str, Callable[[World, random.Random], str]] = {
    "worker killed": kill_worker, "replica killed": kill_replica, "gateway killed": kill_gateway,
    "Prefect restarted": restart_prefect, "Redis restarted": restart_redis, "RadosGW restarted": restart_radosgw,
    "WordPress restarted": restart_wordpress, "Redis lost": lose_redis}


def _restart(world, luck, name, *, is_killed, while_down=lambda world: None):
    server = world.servers[name]
    with _held(world, name):
        if is_killed:
            _kill(world.family(name))
        server.end()
        while_down(world)
        _down(luck)
        server.start()
    return f"{name} {'killed' if is_killed else 'ended'}"


@contextmanager
def _held(world, name):
    world.held.add(name)
    try:
        yield
    finally:
        world.held.discard(name)


def _down(luck):
    time.sleep(luck.uniform(0, LONGEST_DOWN_S))


def _children(process, *, recursive=True):
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=recursive)
    return []


def _kill(family):
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(family, timeout=10)


def _wait(is_so, within_s=90):
    deadline = time.monotonic() + within_s
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.2)
