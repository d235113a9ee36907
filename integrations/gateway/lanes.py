"""Lanes: works for several others at once, for each of them one thing at a time, so that a slow one delays only itself."""

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from integrations.errors import IntegrationError

log = logging.getLogger(__name__)


class Lanes:
    """at_once: how many are worked for. Safe between threads."""

    def __init__(self, at_once: int) -> None:
        self._at_once, self._lock = at_once, threading.Lock()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="lane")
        self._under_way: dict[Hashable, Future[None]] = {}

    def begin(self, lane: Hashable, work: Callable[[], None]) -> bool:
        """Do it in a thread of its own, unless this lane or all are busy: then False, and nothing is done."""
        with self._lock:
            self._under_way = {name: future for name, future in self._under_way.items() if not future.done()}
            if lane in self._under_way or len(self._under_way) >= self._at_once:
                return False
            self._under_way[lane] = self._pool.submit(_told, work)
            return True

    def wait(self, at_most_s: float) -> None:
        """Until all that is under way is done, but no longer than that."""
        with self._lock:
            futures = list(self._under_way.values())
        wait(futures, at_most_s)


def _told(work: Callable[[], None]) -> None:
    try:
        work()
    except IntegrationError as exc:  # what it had in hand is lent for a while only, and comes again
        log.warning("%s", exc)
    except Exception:  # a thread's entry point
        log.exception("not foreseen, please report it")
