"""Worker: a thread that does one thing again and again while the gateway runs, and at once when it is woken."""

import logging
import threading
import time
from collections.abc import Callable

from integrations.errors import IntegrationError

log = logging.getLogger(__name__)
TROUBLE_S = 5.0


class Worker:
    """work: does what is due and says how much that was. pause_s: how long to rest where there was nothing."""

    def __init__(self, name: str, work: Callable[[], int], pause_s: float) -> None:
        self._work, self._pause_s = work, pause_s
        self._woken, self._is_ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def stop(self, patience_s: float = 15.0) -> None:
        """End after what is being done. What is left is kept, and taken up by whoever comes next."""
        self._is_ending = True
        self._woken.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while not self._is_ending:
            self._woken.clear()
            try:
                pause_s = 0.0 if self._work() else self._pause_s
            except IntegrationError as exc:
                log.warning("%s: %s", self._thread.name, exc)
                pause_s = TROUBLE_S
            except Exception:  # a thread's entry point: it must not end
                log.exception("%s: not foreseen, please report it", self._thread.name)
                pause_s = TROUBLE_S
            if pause_s and not self._is_ending:
                self._woken.wait(pause_s)


class Sweeper:
    """Drops what was finished long ago, once an hour, as a part of another worker's work."""

    def __init__(self, forget: Callable[[], object], every_s: float = 3600.0) -> None:
        self._forget, self._every_s, self._next_at = forget, every_s, 0.0

    def sweep(self) -> None:
        """Do it if it is time."""
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + self._every_s
            self._forget()
