"""The local twins of the ports: in memory, for tests and for the dry run. They keep the real adapters' promises."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from integrations.cache.hold import check_hold
from integrations.ports import CachedCover, CoverCache, ImageStore
from integrations.storage.naming import check_name, check_put, public_address


class MemoryCoverCache(CoverCache):
    """Covers and claims of one process, shared by its threads."""

    def __init__(self) -> None:
        self._covers: dict[str, CachedCover] = {}
        self._claims: dict[str, tuple[object, float]] = {}
        self._lock = threading.Lock()

    def find(self, fingerprint: str) -> CachedCover | None:
        """The finished cover for these exact inputs, or None."""
        return self._covers.get(fingerprint)

    def remember(self, cover: CachedCover) -> None:
        """Keep `cover`; the newest wins."""
        self._covers[cover.fingerprint] = cover

    def forget(self, fingerprint: str) -> None:
        """Drop the record, if there is one."""
        self._covers.pop(fingerprint, None)

    def claim(self, fingerprint: str, hold_s: float) -> AbstractContextManager[bool]:
        """True inside the block if we may make this cover. Raises ValueError for a bad `hold_s`."""
        check_hold(hold_s)
        return self._claim(fingerprint, hold_s)

    @contextmanager
    def _claim(self, fingerprint: str, hold_s: float) -> Iterator[bool]:
        token, now = object(), time.monotonic()
        with self._lock:
            _, until = self._claims.get(fingerprint, (None, now))
            is_ours = until <= now
            if is_ours:
                self._claims[fingerprint] = (token, now + hold_s)
        try:
            yield is_ours
        finally:
            with self._lock:
                if self._claims.get(fingerprint, (None, 0.0))[0] is token:
                    del self._claims[fingerprint]


class MemoryImageStore(ImageStore):
    """Pictures of one process. base_url: what the addresses it returns start with."""

    def __init__(self, base_url: str = "https://covers.test") -> None:
        self._base_url = base_url
        self._files: dict[str, bytes] = {}
        self._stored_at: dict[str, float] = {}

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store `data` once and return its address."""
        check_put(name, data, content_type)
        self._files.setdefault(name, data)
        self._stored_at.setdefault(name, time.time())
        return self.address(name)

    def address(self, name: str) -> str:
        """The address of `name`."""
        return public_address(self._base_url, name)

    def get(self, name: str) -> bytes | None:
        """The bytes stored under `name`, or None."""
        check_name(name)
        return self._files.get(name)

    def list_names(self, older_than: float) -> Iterator[str]:
        """The pictures stored before that moment, in seconds since the epoch."""
        return iter([name for name, moment in self._stored_at.items() if moment < older_than])

    def delete(self, name: str) -> None:
        """Take the picture away, if it is there."""
        check_name(name)
        self._files.pop(name, None)
        self._stored_at.pop(name, None)
