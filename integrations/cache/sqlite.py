"""SqliteCoverCache: finished covers and claims in one SQLite file, for one machine and any number of processes.

Every call opens its own connection, so instances may be shared by threads and survive a fork.
"""

import fcntl
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from integrations.cache import record
from integrations.cache.hold import check_hold, released_quietly
from integrations.errors import Unavailable
from integrations.ports import CachedCover, CoverCache

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

TABLES = (
    "CREATE TABLE IF NOT EXISTS covers (fingerprint TEXT PRIMARY KEY, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS claims (fingerprint TEXT PRIMARY KEY, token TEXT NOT NULL, until REAL NOT NULL)",
)


class SqliteCoverCache(CoverCache):
    """path: the database file, made with its folder on first use; on a local disk, as SQLite's WAL asks.

    busy_timeout_s: how long a call waits for another writer before it raises Unavailable.
    """

    def __init__(self, path: Path, busy_timeout_s: float = 10.0) -> None:
        self._path = Path(path)
        self._busy_timeout_s = busy_timeout_s

    def find(self, fingerprint: str) -> CachedCover | None:
        """The finished cover for these exact inputs, or None. A damaged record or file is a miss."""
        row = self._run(
            lambda db: db.execute("SELECT record FROM covers WHERE fingerprint = ?", (fingerprint,)).fetchone()
        )
        return None if row is None else record.decode(_as_bytes(row[0]), fingerprint)

    def remember(self, cover: CachedCover) -> None:
        """Keep `cover`; the newest wins."""
        row = (cover.fingerprint, record.encode(cover))
        self._run(lambda db: db.execute("INSERT OR REPLACE INTO covers VALUES (?, ?)", row))

    def forget(self, fingerprint: str) -> None:
        """Drop the record, if there is one."""
        self._run(lambda db: db.execute("DELETE FROM covers WHERE fingerprint = ?", (fingerprint,)))

    def claim(self, fingerprint: str, hold_s: float) -> AbstractContextManager[bool]:
        """True inside the block if we may make this cover. Raises Unavailable, ValueError for a bad `hold_s`."""
        check_hold(hold_s)
        return self._claim(fingerprint, hold_s)

    @contextmanager
    def _claim(self, fingerprint: str, hold_s: float) -> Iterator[bool]:
        token = secrets.token_hex(16)

        def take(db: sqlite3.Connection) -> bool:
            now = time.time()
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM claims WHERE until <= ?", (now,))
            taken = db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", (fingerprint, token, now + hold_s))
            db.execute("COMMIT")
            return taken.rowcount == 1

        def release() -> None:
            ours = (fingerprint, token)
            self._run(lambda db: db.execute("DELETE FROM claims WHERE fingerprint = ? AND token = ?", ours))

        is_ours = self._run(take)
        try:
            yield is_ours
        finally:
            if is_ours:
                released_quietly(release, fingerprint)

    def _run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        try:
            return self._work(work)
        except sqlite3.DatabaseError as exc:
            if not _is_corrupt(exc):
                raise self._unavailable(exc) from exc
            reason = str(exc)
        except OSError as exc:
            raise self._unavailable(exc) from exc
        try:
            self._set_aside(reason)
            return self._work(work)
        except (sqlite3.DatabaseError, OSError) as exc:
            raise self._unavailable(exc) from exc

    def _work(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        with self._lock(fcntl.LOCK_SH), closing(self._connect()) as db:
            try:
                return work(db)
            except sqlite3.OperationalError as exc:
                if "no such table" not in str(exc):
                    raise
        with self._lock(fcntl.LOCK_EX), closing(self._connect()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            for table in TABLES:
                db.execute(table)
            return work(db)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=self._busy_timeout_s, isolation_level=None)
        db.text_factory = bytes
        return db

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        """Shared for every use, exclusive while the file itself is made or replaced.

        Without it a connection to a file that was set aside could, on closing, delete the new file's WAL by its name.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _set_aside(self, reason: str) -> None:
        with self._lock(fcntl.LOCK_EX):
            if self._is_sound():
                return  # another process was here first
            aside = f"{self._path}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
            for suffix in ("", "-wal", "-shm"):
                if os.path.exists(f"{self._path}{suffix}"):
                    os.rename(f"{self._path}{suffix}", f"{aside}{suffix}")
        logger.warning("cache: %s is damaged (%s); it was set aside as %s and started anew", self._path, reason, aside)

    def _is_sound(self) -> bool:
        try:
            with closing(self._connect()) as db:
                return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == b"ok")
        except sqlite3.DatabaseError:
            return False

    def _unavailable(self, exc: Exception) -> Unavailable:
        return Unavailable(f"cache: {self._path}: {exc}")


def _is_corrupt(exc: sqlite3.DatabaseError) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _as_bytes(value: object) -> bytes:
    """What SQLite holds, as bytes: a damaged record may come back as a number."""
    return value if isinstance(value, bytes) else str(value).encode()
