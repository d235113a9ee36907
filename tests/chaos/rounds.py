"""One round: posts, customers, faults at random moments, and then every invariant."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx

from flows import wiring
from tests.chaos.inspection import inspect
from tests.chaos.monkey import FAULTS
from tests.chaos.posts import Customers, Sweeping, Watch, make_posts, under_way
from tests.chaos.world import BUCKET, World

QUIET_WITHIN_S = 420.0
"""After the last fault: three periods of silence that make a run count as dead, and a claim's time."""


@dataclass
class Fault:
    """at: monotonic. affected: posts that runs were about at that moment. back_s: until what was down answered again."""

    what: str
    at: float
    affected: set[str]
    back_s: float = 0.0
    recovery_s: float | None = None


@dataclass
class Round:
    """kinds: the faults to come, each once, in this order. calm_s: the longest pause before each of them."""

    world: World
    kinds: list[str]
    count: int
    seed: int
    pace_s: float = 1.5
    calm_s: float = 12.0
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    told: Callable[[str], None] = print

    def play(self) -> dict:
        """What happened, as plain values."""
        luck, began = random.Random(self.seed), time.monotonic()
        wiring.use(None)
        empty(self.world)
        posts = make_posts(self.world, self.count)
        customers, watch = Customers(self.world, posts, random.Random(self.seed + 1), self.pace_s), Watch(self.world, posts)
        sweeping = Sweeping()
        with self.world.supervised(), _threads(customers.ask_for_all, watch.watch, sweeping.sweep):
            for kind in self.kinds:
                if not self._injected(kind, luck, watch):
                    break
            is_quiet = self._wait_for_quiet(customers, watch)
        spent = time.monotonic() - began
        self._measure(watch)
        harm = inspect(self.world, posts, customers.jobs).wrong
        if not is_quiet:
            harm.setdefault("stuck", []).append(f"not quiet {QUIET_WITHIN_S:g} s after the last fault")
        if sweeping.unforeseen:
            harm["sweep"] = sweeping.unforeseen
        return {"fault": self.kinds[0] if len(set(self.kinds)) == 1 else "mixed", "seed": self.seed, "posts": len(posts),
                "covered": len(watch.seen), "harm": harm, "seconds": round(spent, 1), "jobs": len(customers.jobs),
                "messages": len(customers.told), "swept": [f"{each.result}: {each.reason}"[:200] for each in sweeping.findings],
                "restarts": dict(self.world.restarts),
                "faults": [{"kind": kind, "what": fault.what, "affected": len(fault.affected), "back_s": round(fault.back_s, 1),
                            "recovery_s": None if fault.recovery_s is None else round(fault.recovery_s, 1)}
                           for kind, fault in self.faults]}

    def _injected(self, kind, luck, watch) -> bool:
        """Whether there was still work under way to disturb."""
        time.sleep(luck.uniform(1, self.calm_s))
        deadline = time.monotonic() + 60
        while not (affected := under_way(self.world)) and watch.missing and time.monotonic() < deadline:
            time.sleep(0.2)
        if not watch.missing:
            return False
        fault = Fault("", time.monotonic(), affected & watch.missing)
        fault.what = FAULTS[kind](self.world, luck)
        fault.back_s = time.monotonic() - fault.at
        self.faults.append((kind, fault))
        self.told(f"  {kind}: {fault.what}, back after {fault.back_s:.1f} s; {len(watch.missing)} posts to go")
        return True

    def _wait_for_quiet(self, customers, watch) -> bool:
        deadline = time.monotonic() + QUIET_WITHIN_S
        while time.monotonic() < deadline:
            if customers.is_done and not watch.missing and _nothing_runs(self.world):
                return True
            time.sleep(1)
        return False

    def _measure(self, watch):
        """From each fault until every post that a run was about then had its cover; where there was none, until the next one."""
        for _, fault in self.faults:
            if fault.affected <= watch.seen.keys() and fault.affected:
                fault.recovery_s = max(0.0, max(watch.seen[post_id] for post_id in fault.affected) - fault.at)
            elif not fault.affected:
                later = [at for at in watch.seen.values() if at > fault.at]
                fault.recovery_s = min(later) - fault.at if later else None


def _nothing_runs(world):
    try:
        return not world.open_runs()
    except httpx.HTTPError:
        return False


def empty(world):
    """No picture of an earlier round, stored or remembered."""
    client = world.bucket()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    cache = wiring.ports().cache
    for key in cache._client.scan_iter(f"{cache._prefix}*"):
        cache._client.delete(key)


@contextmanager
def _threads(*works):
    ending = threading.Event()
    with ExitStack() as stack:
        for work in works:
            thread = threading.Thread(target=work, args=(ending,))
            thread.start()
            stack.callback(thread.join)
        stack.callback(ending.set)
        yield
